package gateway_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"portaria/auth"
	"portaria/gateway"
	"portaria/gateway/gatewaytest"
	"portaria/messaging"
)

// keyed is a message with an Idempotency-Key.
func keyed(path, token, key, body string) gatewaytest.Request {
	r := post(path, token, body)
	r.Header = map[string]string{"Idempotency-Key": key}
	return r
}

// A caller that lost the answer asks again and must not send twice.
func TestRepeatedRequestIsReplayed(t *testing.T) {
	h := open(t)
	i := h.instance(t, "a")
	token := h.key(t, "*")
	first := h.Expect(t, keyed("/v1/instances/a/messages", token, "k", hello), http.StatusAccepted, "")
	again := h.Expect(t, keyed("/v1/instances/"+i.ID+"/messages", token, "k", hello), http.StatusAccepted, "")
	if string(first.Body) != string(again.Body) {
		t.Errorf("the replay differs:\n%s\n%s", first.Body, again.Body)
	}
	if first.Header.Get("Idempotent-Replayed") != "" || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("Idempotent-Replayed: %q, then %q", first.Header.Get("Idempotent-Replayed"), again.Header.Get("Idempotent-Replayed"))
	}
	h.Expect(t, keyed("/v1/instances/a/messages", token, "k", hello+" "), http.StatusUnprocessableEntity, "IDEMPOTENCY_KEY_REUSED")
	alias := post("/v1/instances/a/messages", token, hello)
	alias.Header = map[string]string{"X-Idempotency-Key": "k"}
	h.Expect(t, alias, http.StatusAccepted, "")
	if got := h.accepted(); got != 1 {
		t.Errorf("%d messages were accepted, want 1", got)
	}
	if h.kept != 0 {
		t.Errorf("the answer was kept %d times beside the message's own transaction", h.kept)
	}
}

// What is kept of a request must not tell the PIN in it: of a plain hash, a
// million guesses would find it.
func TestWhatIsKeptDoesNotTellASecret(t *testing.T) {
	const body = `{"pin":"123456"}`
	hashOf := func(secret string) string {
		h := open(t, func(o *gateway.Options) { o.Secret = []byte(secret) })
		h.unpaired(t, "new")
		token := h.key(t, "*")
		for range 2 { // the second is replayed
			h.Expect(t, keyed("/v1/instances/new/pairing-links", token, "k", body), http.StatusCreated, "")
		}
		h.Expect(t, keyed("/v1/instances/new/pairing-links", token, "k", `{"pin":"123457"}`), http.StatusUnprocessableEntity, "IDEMPOTENCY_KEY_REUSED")
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.claims) != 1 {
			t.Fatalf("%d answers are kept", len(h.claims))
		}
		for _, claim := range h.claims {
			return claim.RequestHash
		}
		return ""
	}
	plain := sha256.Sum256([]byte(body))
	one, same, other := hashOf("one"), hashOf("one"), hashOf("other")
	if one == hex.EncodeToString(plain[:]) || one == other {
		t.Error("who knows no secret of the installation can try PINs out")
	}
	if one != same {
		t.Error("another node of the installation would not know the request again")
	}
}

// The scope of a key is its lineage, method and path: others are other acts.
func TestKeysAreScoped(t *testing.T) {
	h := open(t)
	a, b := h.instance(t, "a"), h.instance(t, "b")
	id, token := h.Mint(t, auth.NewKey{Environment: messaging.Test, Scopes: []string{"*"}, Instances: []string{a.ID, b.ID}})
	successor, secret, err := h.keys.Rotate(t.Context(), workspace, id, 3_600_000_000_000)
	if err != nil {
		t.Fatal(err)
	}
	stranger := h.locked(t, []string{"*"}, a.ID)
	for _, test := range []struct {
		name, path, token string
		replayed          bool
	}{
		{"first", "/v1/instances/a/messages", token, false},
		{"the same", "/v1/instances/a/messages", token, true},
		{"the key's successor " + successor.ID, "/v1/instances/a/messages", secret.Reveal(), true},
		{"another instance", "/v1/instances/b/messages", token, false},
		{"another key", "/v1/instances/a/messages", stranger, false},
		{"another path", "/v1/messages", stranger, false},
	} {
		answer := h.Expect(t, keyed(test.path, test.token, "k", hello), http.StatusAccepted, "")
		if got := answer.Header.Get("Idempotent-Replayed") == "true"; got != test.replayed {
			t.Errorf("%s: replayed %v, want %v", test.name, got, test.replayed)
		}
	}
}

// Fifty callers with one key, at once: one message, and each is told either
// what became of it or that it is under way.
func TestConcurrentRequestsWithOneKeyAreOneMessage(t *testing.T) {
	h := open(t)
	h.instance(t, "a")
	token := h.key(t, "*")
	var callers sync.WaitGroup
	var first, replayed, told atomic.Int64
	for range 50 {
		callers.Go(func() {
			answer := h.Do(t, keyed("/v1/instances/a/messages", token, "k", hello))
			switch {
			case answer.Status == http.StatusConflict && answer.Code() == "IDEMPOTENCY_IN_PROGRESS":
				told.Add(1)
			case answer.Status == http.StatusAccepted && answer.Header.Get("Idempotent-Replayed") == "true":
				replayed.Add(1)
			case answer.Status == http.StatusAccepted:
				first.Add(1)
			default:
				t.Errorf("%d %s", answer.Status, answer.Body)
			}
		})
	}
	callers.Wait()
	if first.Load() != 1 || h.accepted() != 1 {
		t.Errorf("%d first answers, %d replays, %d told to wait: %d messages", first.Load(), replayed.Load(), told.Load(), h.accepted())
	}
}

// The same on several nodes, which do not see each other's requests in flight:
// the store lets one claim win and the others answer with it.
func TestNodeThatLostTheRaceReplaysTheWinner(t *testing.T) {
	h := open(t)
	i := h.instance(t, "a")
	token := h.key(t, "*")
	h.Expect(t, keyed("/v1/instances/a/messages", token, "k", hello), http.StatusAccepted, "")
	var scope string
	var winner messaging.Claim
	for scope, winner = range h.claims {
		delete(h.claims, scope)
	}
	h.onAccept = func() { // the other node commits between our look-up and our write
		h.mu.Lock()
		defer h.mu.Unlock()
		h.claims[scope] = winner
	}
	answer := h.Expect(t, keyed("/v1/instances/"+i.ID+"/messages", token, "k", hello), http.StatusAccepted, "")
	if string(answer.Body) != string(winner.Body) || answer.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("got %s, want the winner's %s", answer.Body, winner.Body)
	}
	if got := h.accepted(); got != 1 {
		t.Errorf("%d messages, want 1", got)
	}
}

// Only success uses a key up; a request that was refused can be mended.
func TestRefusedRequestFreesItsKey(t *testing.T) {
	h := open(t)
	h.instance(t, "a")
	token := h.key(t, "*")
	h.Expect(t, keyed("/v1/instances/a/messages", token, "k", `{"to":"1","text":"a"}`), http.StatusUnprocessableEntity, "INVALID_RECIPIENT")
	h.Expect(t, keyed("/v1/instances/a/messages", token, "k", `{`), http.StatusBadRequest, "INVALID_JSON")
	h.onAccept = func() { panic("crash") }
	h.Expect(t, keyed("/v1/instances/a/messages", token, "k", hello), http.StatusInternalServerError, "INTERNAL")
	h.onAccept = nil
	h.Expect(t, keyed("/v1/instances/a/messages", token, "k", hello), http.StatusAccepted, "")
}

// Every POST takes the header, those without a claim of their own too.
func TestEveryPostIsIdempotent(t *testing.T) {
	h := open(t)
	h.instance(t, "a")
	token := h.key(t, "*")
	sent := data[row](t, h.Do(t, post("/v1/instances/a/messages", token, hello))).ID
	for _, r := range []gatewaytest.Request{
		keyed("/v1/instances", token, "k", `{"name":"b"}`),
		keyed("/v1/messages/"+sent+"/cancel", token, "k", ""),
		keyed("/v1/sandbox/clock/advance", token, "k", `{"seconds":1}`),
	} {
		first, again := h.Do(t, r), h.Do(t, r)
		if first.Status >= 300 || again.Status != first.Status || string(again.Body) != string(first.Body) || again.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s: %d %s, then %d %s", r.Path, first.Status, first.Body, again.Status, again.Body)
		}
	}
}

// A caller that waited for "sent" and asks again gets the answer that it was
// given, not the one of the moment of acceptance.
func TestFinalAnswerOfAWaitIsWhatIsReplayed(t *testing.T) {
	h := open(t)
	h.instance(t, "a")
	token := h.key(t, "*")
	h.await = func(context.Context) (messaging.Status, error) { return messaging.StatusDelivered, nil }
	first := h.Expect(t, keyed("/v1/instances/a/messages?wait=sent", token, "k", hello), http.StatusOK, "")
	again := h.Expect(t, keyed("/v1/instances/a/messages?wait=sent", token, "k", hello), http.StatusOK, "")
	if string(first.Body) != string(again.Body) || data[row](t, again).Status != "delivered" || h.accepted() != 1 {
		t.Errorf("%s\n%s", first.Body, again.Body)
	}
}

func TestMalformedKeysAreRefused(t *testing.T) {
	h := open(t)
	h.instance(t, "a")
	token := h.key(t, "*")
	for _, key := range []string{"", strings.Repeat("a", 256), "ção", "a\tb"} {
		h.Expect(t, keyed("/v1/instances/a/messages", token, key, hello), http.StatusBadRequest, "BAD_REQUEST")
	}
	two := keyed("/v1/instances/a/messages", token, "a", hello)
	two.Header["X-Idempotency-Key"] = "b"
	h.Expect(t, two, http.StatusBadRequest, "BAD_REQUEST")
	h.Expect(t, keyed("/v1/instances/a/messages", token, strings.Repeat("a", 255), hello), http.StatusAccepted, "")
	h.Expect(t, gatewaytest.Request{Method: http.MethodGet, Path: "/v1/me", Token: token, Header: map[string]string{"Idempotency-Key": ""}}, http.StatusOK, "")
}
