package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portaria/gateway/gatewaytest"
	"portaria/internal/fault"
	"portaria/messaging"
)

// shownMessage is what these tests read of a message.
type shownMessage struct {
	ID      string
	Content struct {
		Body    string
		Caption string
	}
	EditedAt  string `json:"edited_at"`
	RevokedAt string `json:"revoked_at"`
}

// sends sends a text and returns its path.
func (h *house) sends(t *testing.T, instance, token string) (path string) {
	t.Helper()
	answer := h.Expect(t, post("/v1/instances/"+instance+"/messages", token, `{"to":"+5511912345678","text":"Olá"}`), http.StatusAccepted, "")
	return "/v1/messages/" + data[shownMessage](t, answer).ID
}

// A text is edited in either of its forms, a caption by itself, and the answer is
// the message as it stands.
func TestAMessageIsEditedAndRevoked(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	h.instance(t, "one")
	path := h.sends(t, "one", token)
	for _, body := range []string{`{"text":"Olá, Ana"}`, `{"type":"text","text":{"body":"Olá, Ana","preview_url":true}}`} {
		got := data[shownMessage](t, h.Expect(t, patch(path, token, body), http.StatusOK, ""))
		if got.Content.Body != "Olá, Ana" || got.EditedAt == "" || got.RevokedAt != "" {
			t.Errorf("%s: %+v", body, got)
		}
	}
	picture := data[shownMessage](t, h.Expect(t, post("/v1/instances/one/messages", token,
		`{"to":"+5511912345678","image":{"base64":"`+b64(pngFile)+`"},"caption":"a"}`), http.StatusAccepted, ""))
	for _, body := range []string{`{"caption":"b"}`, `{"type":"image","caption":""}`} {
		got := data[shownMessage](t, h.Expect(t, patch("/v1/messages/"+picture.ID, token, body), http.StatusOK, ""))
		if got.EditedAt == "" || got.Content.Caption == "a" {
			t.Errorf("%s: %+v", body, got)
		}
	}
	if got := data[shownMessage](t, h.Expect(t, del(path, token), http.StatusOK, "")); got.RevokedAt == "" || got.Content.Body != "Olá, Ana" {
		t.Errorf("%+v", got)
	}
}

// Who may not see a message may not change it either; to see is enough.
func TestOnlyWhoSeesAMessageActsOnIt(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	other := h.instance(t, "two")
	path := h.sends(t, "one", h.key(t, "whatsapp:send"))
	for _, blind := range []string{h.key(t, "whatsapp:send"), h.locked(t, []string{"*"}, other.ID)} {
		h.Expect(t, patch(path, blind, `{"text":"mine"}`), http.StatusNotFound, "NOT_FOUND")
		h.Expect(t, del(path, blind), http.StatusNotFound, "NOT_FOUND")
	}
	h.Expect(t, del(path, h.key(t, "messages:read")), http.StatusForbidden, "INSUFFICIENT_SCOPE")
	reader := h.key(t, "whatsapp:send", "messages:read")
	h.Expect(t, patch(path, reader, `{"text":"theirs"}`), http.StatusOK, "")
	h.Expect(t, del(path, reader), http.StatusOK, "")
}

// A body that means nothing, or two things, changes nothing.
func TestEditsThatMeanNothingAreRefused(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	h.instance(t, "one")
	path := h.sends(t, "one", token)
	for body, want := range map[string]string{
		`{}`:                          "text:required",
		`{"text":""}`:                 "text:required",
		`{"text":{"body":" "}}`:       "text.body:required",
		`{"text":7}`:                  "text:type",
		`{"text":"a","caption":"b"}`:  "caption:requires",
		`{"type":"poll","text":"a"}`:  "type:enum",
		`{"type":"image","text":"a"}`: "type:requires",
		`{"text":"a","to":"b"}`:       "to:unknown",
		`{"text":"` + strings.Repeat("a", messaging.MaxTextBytes+1) + `"}`:    "text:max_bytes",
		`{"caption":"` + strings.Repeat("a", messaging.MaxTextBytes+1) + `"}`: "caption:max_bytes",
	} {
		answer := h.Expect(t, patch(path, token, body), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
		if got := strings.TrimSpace(fieldRules(t, answer)); got != want {
			t.Errorf("%.60s: %s, want %s", body, got, want)
		}
	}
	if len(h.acts.edits) != 0 {
		t.Errorf("%d edits went through", len(h.acts.edits))
	}
}

// What the network says no to is a conflict with a code of its own, in the
// language of the caller.
func TestActsThatFailAreAnswered(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	h.instance(t, "one")
	path := h.sends(t, "one", token)
	for _, c := range []struct {
		fault    error
		status   int
		code     string
		sentence string
	}{
		{messaging.ErrTooOld, http.StatusConflict, "MESSAGE_TOO_OLD", "A mensagem foi enviada há tempo demais para isto."},
		{messaging.ErrActRefused, http.StatusConflict, "REFUSED_BY_NETWORK", "O WhatsApp não aceitou isto."},
		{fault.ErrUnavailable, http.StatusServiceUnavailable, "UNAVAILABLE", "O serviço não pode fazer isto agora; tente de novo."},
	} {
		h.acts.fault = c.fault
		for _, r := range []gatewaytest.Request{
			patch(path, token, `{"text":"a"}`), del(path, token), post("/v1/instances/one/typing", token, `{"to":"+5511912345678","state":"typing"}`),
		} {
			r.Header = map[string]string{"Accept-Language": "pt-BR"}
			if r.Method == http.MethodPost && c.code == "MESSAGE_TOO_OLD" {
				continue // there is no message
			}
			var envelope struct{ Error struct{ Message string } }
			if err := json.Unmarshal(h.Expect(t, r, c.status, c.code).Body, &envelope); err != nil || envelope.Error.Message != c.sentence {
				t.Errorf("%s %s: %q, %v", r.Method, c.code, envelope.Error.Message, err)
			}
		}
	}
}

// A chat is shown each state, and only chats in which somebody would see it.
func TestTypingIsShownToAChat(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	h.instance(t, "one")
	h.unpaired(t, "off")
	const path = "/v1/instances/one/typing"
	for _, state := range []string{"typing", "recording", "paused"} {
		got := data[struct {
			To struct {
				WAID string `json:"wa_id"`
			}
			State string
		}](t, h.Expect(t, post(path, token, `{"to":"+55 11 91234-5678","state":"`+state+`"}`), http.StatusOK, ""))
		if got.State != state || got.To.WAID != "5511912345678@s.whatsapp.net" {
			t.Errorf("%s: %+v", state, got)
		}
	}
	if diff := cmp.Diff([]messaging.Typing{messaging.TypingText, messaging.TypingRecording, messaging.TypingPaused}, h.acts.typed); diff != "" {
		t.Error(diff)
	}
	for body, want := range map[string]string{
		`{}`: "to:required state:required",
		`{"to":"+5511912345678","state":"thinking"}`:                      "state:enum",
		`{"to":"120363144038483540@newsletter","state":"typing"}`:         "to:format",
		`{"to":"+5511912345678","state":"typing","instance":"elsewhere"}`: "instance:unknown",
	} {
		if got := strings.TrimSpace(fieldRules(t, h.Expect(t, post(path, token, body), http.StatusUnprocessableEntity, "VALIDATION_FAILED"))); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	for _, nobody := range []string{"12", "+15005550001"} {
		h.Expect(t, post(path, token, `{"to":"`+nobody+`","state":"typing"}`), http.StatusUnprocessableEntity, "INVALID_RECIPIENT")
	}
	h.Expect(t, post("/v1/instances/off/typing", token, `{"to":"+5511912345678","state":"typing"}`), http.StatusConflict, "INSTANCE_NOT_CONNECTED")
}

// Only what contacts wrote to this very instance can be marked as read, whoever
// may read it, and all of it or nothing.
func TestMessagesAreMarkedAsRead(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	one, two := h.instance(t, "one"), h.instance(t, "two")
	first, second := h.Inbound(t, messaging.Test, one.ID), h.Inbound(t, messaging.Test, one.ID)
	elsewhere := h.Inbound(t, messaging.Test, two.ID)
	_, ours, _ := strings.Cut(h.sends(t, "one", token), "/v1/messages/")
	const path = "/v1/instances/one/read"
	ids := func(list ...string) string {
		text, err := json.Marshal(map[string]any{"message_ids": list})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for body, want := range map[string]string{
		`{}`:                        "message_ids:required",
		ids():                       "message_ids:required",
		ids(make([]string, 101)...): "message_ids:max",
		ids(first, ours, elsewhere, "msg_x", "3EB0AA"): "message_ids[1]:not_found message_ids[2]:not_found message_ids[3]:not_found message_ids[4]:not_found",
	} {
		answer := h.Expect(t, post(path, token, body), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
		if got := strings.TrimSpace(fieldRules(t, answer)); got != want {
			t.Errorf("%.60s: %s, want %s", body, got, want)
		}
	}
	if len(h.acts.read) != 0 {
		t.Errorf("%v were marked", h.acts.read)
	}
	got := data[struct {
		MessageIDs []string `json:"message_ids"`
	}](t, h.Expect(t, post(path, token, ids(first, second)), http.StatusOK, ""))
	if diff := cmp.Diff([]string{first, second}, got.MessageIDs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{first, second}, h.acts.read); diff != "" {
		t.Error(diff)
	}
}

// A repeat under one Idempotency-Key asks the network once.
func TestActsAreDoneOnceUnderOneKey(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	h.instance(t, "one")
	r := keyed("/v1/instances/one/typing", token, "k", `{"to":"+5511912345678","state":"typing"}`)
	first, again := h.Expect(t, r, http.StatusOK, ""), h.Expect(t, r, http.StatusOK, "")
	if string(again.Body) != string(first.Body) || again.Header.Get("Idempotent-Replayed") != "true" || len(h.acts.typed) != 1 {
		t.Errorf("typed %d times; the repeat is %s", len(h.acts.typed), again.Body)
	}
}

// A reaction is one emoji, or none, and is for a message of the same chat:
// elsewhere nobody would see it.
func TestReactionsAreOneEmojiInTheirChat(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	one := h.instance(t, "one")
	in := h.Inbound(t, messaging.Test, one.ID)
	_, out, _ := strings.Cut(h.sends(t, "one", token), "/v1/messages/")
	react := func(to, id, emoji string) gatewaytest.Response {
		text, err := json.Marshal(map[string]any{"to": to, "type": "reaction", "reaction": map[string]any{"message_id": id, "emoji": emoji}})
		if err != nil {
			t.Fatal(err)
		}
		return h.Do(t, post("/v1/instances/one/messages", token, string(text)))
	}
	const chat = "+5511912345678"
	for _, emoji := range []string{"👍", "❤️", "", "👩🏽‍❤️‍💋‍👨🏿", "🇧🇷", "1️⃣", "ℹ️", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"} {
		for _, id := range []string{in, out} {
			if answer := react(chat, id, emoji); answer.Status != http.StatusAccepted {
				t.Errorf("%q: %s", emoji, answer.Body)
			}
		}
	}
	for _, emoji := range []string{"a", "ok", "é", "👍👍", "👍a", " ", "\n", "\u0000", strings.Repeat("👩🏽‍❤️‍💋‍", 9)} {
		if got := strings.TrimSpace(fieldRules(t, react(chat, in, emoji))); got != "reaction.emoji:format" {
			t.Errorf("%q: %s", emoji, got)
		}
	}
	for to, status := range map[string]int{
		"5511912345678@s.whatsapp.net": http.StatusAccepted, "+551112345678": http.StatusAccepted, "123456789012345@lid": http.StatusAccepted,
		"+5511912345679": http.StatusUnprocessableEntity, "120363025246125486@g.us": http.StatusUnprocessableEntity,
	} {
		answer := react(to, in, "👍")
		if answer.Status != status {
			t.Errorf("to %s: %s", to, answer.Body)
		}
		if got := strings.TrimSpace(fieldRules(t, answer)); status != http.StatusAccepted && got != "reaction.message_id:not_found" {
			t.Errorf("to %s: %s", to, got)
		}
	}
}
