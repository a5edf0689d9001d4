package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"portaria/auth"
	"portaria/gateway/gatewaytest"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
	"portaria/wasim"
)

// What is done with messages besides sending them reaches the contact's phone:
// reactions, edits, deletions, typing and read receipts, from a whole gateway
// through a real client.
func TestActsOnMessagesReachTheContact(t *testing.T) {
	for _, engine := range heavyEngines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := newLiveWorld(t, engine)
			w.instance("shop", "5511900000001")
			contact := w.wasim.Contact("5511987000001")
			m := w.send("shop", `{"to":"+5511987000001","text":"helo"}`)
			w.waitForStatus(m.ID, "read")
			w.do(w.key, http.MethodPatch, "/v1/messages/"+m.ID, `{"text":"hello"}`, http.StatusOK, &m)
			if m.Content.Body != "hello" {
				t.Errorf("the edited message reads %q", m.Content.Body)
			}
			w.do(w.key, http.MethodDelete, "/v1/messages/"+m.ID, "", http.StatusOK, nil)

			hi, err := contact.SendText(t.Context(), "5511900000001", "hi")
			if err != nil {
				t.Fatal(err)
			}
			waitUntil(t, patience, func() bool { return len(w.messages("inbound")) == 1 })
			in := w.messages("inbound")[0]
			w.do(w.key, http.MethodPost, "/v1/instances/shop/read", fmt.Sprintf(`{"message_ids":[%q]}`, in.ID), http.StatusOK, nil)
			w.do(w.key, http.MethodPost, "/v1/instances/shop/typing", `{"to":"+5511987000001","state":"recording"}`, http.StatusOK, nil)
			for _, emoji := range []string{"👍", ""} {
				reaction := w.send("shop", fmt.Sprintf(`{"to":"+5511987000001","type":"reaction","reaction":{"message_id":%q,"emoji":%q}}`, in.ID, emoji))
				w.waitForStatus(reaction.ID, "read")
			}

			if !waitUntil(t, patience, func() bool {
				s, ok := contact.Sent(hi)
				return ok && s.Read && len(contact.Typing()) == 1 && len(contact.Received()) == 5
			}) {
				t.Fatalf("the contact has %d messages and saw %v", len(contact.Received()), contact.Typing())
			}
			if got := contact.Typing()[0]; got.State != "recording" || got.From != "5511900000001" {
				t.Errorf("the contact sees %+v", got)
			}
			checkActs(t, contact.Received(), m.WAMessageID, hi)
			if edited, revoked := w.events("message.edited"), w.events("message.revoked"); len(edited) != 1 || len(revoked) != 1 {
				t.Errorf("%d edits and %d deletions were told", len(edited), len(revoked))
			}
		})
	}
}

// checkActs reads what a contact got: a text, its edit, its deletion, a reaction
// to what the contact wrote, and that it was taken back.
func checkActs(t *testing.T, got []wasim.Received, ours, theirs string) {
	t.Helper()
	edit := got[1].Message.GetEditedMessage().GetMessage().GetProtocolMessage()
	if edit.GetKey().GetID() != ours || edit.GetEditedMessage().GetConversation() != "hello" {
		t.Errorf("the edit is %v", edit)
	}
	if gone := got[2].Message.GetProtocolMessage(); gone.GetKey().GetID() != ours || gone.GetType().String() != "REVOKE" {
		t.Errorf("the deletion is %v", gone)
	}
	for i, emoji := range map[int]string{3: "👍", 4: ""} {
		reaction := got[i].Message.GetReactionMessage()
		if reaction.GetKey().GetID() != theirs || reaction.GetKey().GetFromMe() || reaction.GetText() != emoji {
			t.Errorf("reaction %q is %v", emoji, reaction)
		}
	}
}

// The time in which a message can be edited and deleted goes by the sandbox clock,
// so that a test need not wait for two days.
func TestActsComeTooLateByTheSandboxClock(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		d := newRealDoor(t, s)
		api := gatewaytest.NewClient(t, d.URL())
		_, token := d.Mint(t, auth.NewKey{Name: "acts", Environment: messaging.Test, Scopes: []string{"*"}, AllInstances: true})
		ask := func(method, path, body string, status int, code string) (m liveMessage) {
			t.Helper()
			answer := api.Expect(t, gatewaytest.Request{Method: method, Path: path, Token: token, Body: body}, status, code)
			envelope := struct{ Data any }{&m}
			if err := json.Unmarshal(answer.Body, &envelope); err != nil {
				t.Fatal(err)
			}
			return m
		}
		advance := func(seconds int) {
			t.Helper()
			ask(http.MethodPost, "/v1/sandbox/clock/advance", fmt.Sprintf(`{"seconds":%d}`, seconds), http.StatusOK, "")
		}
		ask(http.MethodPost, "/v1/instances", `{"name":"shop"}`, http.StatusCreated, "")
		ask(http.MethodPut, "/v1/sandbox/clock", `{"mode":"frozen"}`, http.StatusOK, "")
		var paths []string
		for range 2 {
			m := ask(http.MethodPost, "/v1/instances/shop/messages?wait=sent&timeout=30s", `{"to":"+12025550147","text":"helo"}`, http.StatusOK, "")
			paths = append(paths, "/v1/messages/"+m.ID)
		}
		const minutes, hours = 60, 60 * 60
		advance(15 * minutes)
		ask(http.MethodPatch, paths[0], `{"text":"hello"}`, http.StatusOK, "")
		advance(1)
		ask(http.MethodPatch, paths[0], `{"text":"hello again"}`, http.StatusConflict, "MESSAGE_TOO_OLD")
		ask(http.MethodPatch, paths[0], `{"text":"hello"}`, http.StatusOK, "") // it says so already
		advance(60*hours - 15*minutes - 1)
		ask(http.MethodDelete, paths[0], "", http.StatusOK, "")
		advance(1)
		ask(http.MethodDelete, paths[0], "", http.StatusOK, "") // it is gone already
		ask(http.MethodDelete, paths[1], "", http.StatusConflict, "MESSAGE_TOO_OLD")
	})
}
