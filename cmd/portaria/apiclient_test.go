package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func answering(t *testing.T, h http.HandlerFunc) *apiClient {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	api, err := newAPIClient(server.URL+"/", "sk_test_token", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// What answers under PORTARIA_URL may be anything; people must be told what is
// wrong in their words, and scripts by a code.
func TestAnswersOfStrangersAreToldFromPortarias(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   string // the code
	}{
		"a proxy's page":      {502, "<html>Bad Gateway</html>", "NOT_PORTARIA"},
		"an empty answer":     {200, "", "NOT_PORTARIA"},
		"another JSON":        {200, `{"ok":true}`, "NOT_PORTARIA"},
		"a list":              {200, `[1]`, "NOT_PORTARIA"},
		"a refusal":           {403, `{"success":false,"error":{"code":"INSUFFICIENT_SCOPE","message":"No.","details":{}},"request_id":"r"}`, "INSUFFICIENT_SCOPE"},
		"a refusal of fields": {422, `{"success":false,"error":{"code":"VALIDATION_FAILED","message":"No.","details":{"fields":[{"field":"to","rule":"required","message":"is required"}]}}}`, "VALIDATION_FAILED"},
	} {
		t.Run(name, func(t *testing.T) {
			api := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			})
			_, err := api.post(t.Context(), "/v1/messages", "", []byte(`{}`))
			if got := describe(err); got.Code != c.want || got.exit != exitFailed {
				t.Errorf("said %s with exit %d, want %s with %d", got.Code, got.exit, c.want, exitFailed)
			}
		})
	}
}

func TestRefusedFieldsAreNamed(t *testing.T) {
	_, err := readAnswer(422, []byte(`{"success":false,"error":{"code":"VALIDATION_FAILED","message":"The request is not valid.",
		"details":{"fields":[{"field":"to","rule":"required","message":"is required"},{"field":"text","rule":"max","message":"is too long"}]}}}`))
	want := "The request is not valid. to: is required; text: is too long"
	if got := describe(err).Message; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}

// A redirect would carry the key to wherever a stranger points.
func TestTheClientFollowsNoRedirect(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	api := answering(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	if _, err := api.post(t.Context(), "/v1/messages", "", []byte(`{}`)); !errors.Is(err, errStrangeAnswer) {
		t.Errorf("post = %v, want NOT_PORTARIA", err)
	}
	if asked {
		t.Error("the client followed a redirect")
	}
}

func TestTheClientSendsWhatTheAPIReads(t *testing.T) {
	var got *http.Request
	api := answering(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		_, _ = w.Write([]byte(`{"success":true,"data":{"id":"msg_1"},"request_id":"r"}`))
	})
	data, err := api.post(t.Context(), "/v1/messages?wait=sent", "order-1", []byte(`{}`))
	if err != nil || string(data) != `{"id":"msg_1"}` {
		t.Fatalf("post = %s, %v", data, err)
	}
	for header, want := range map[string]string{
		"Authorization": "Bearer sk_test_token", "Content-Type": "application/json", "Idempotency-Key": "order-1",
	} {
		if got.Header.Get(header) != want {
			t.Errorf("%s = %q, want %q", header, got.Header.Get(header), want)
		}
	}
	if got.URL.String() != "/v1/messages?wait=sent" {
		t.Errorf("asked for %s", got.URL)
	}
}

// A token that was given in the wrong place must not end in a log.
func TestTokensAreKeptOutOfSentences(t *testing.T) {
	said := usageError("unexpected argument sk_live_0123456789abcdef and sk_test_x").Error()
	if strings.Contains(said, "0123") || !strings.Contains(said, "sk_live_…") {
		t.Errorf("said %q", said)
	}
}

func FuzzReadAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"success":true,"data":{}}`, `{"success":false,"error":{"code":"A","message":"b","details":{"fields":[{}]}}}`,
		`{"success":false,"error":{"details":{"fields":[1,{"field":2}]}}}`, `[]`, ``, `{"success":true,"error":null}`,
	} {
		f.Add(200, seed)
	}
	f.Fuzz(func(t *testing.T, status int, text string) {
		if _, err := readAnswer(status, []byte(text)); err != nil && describe(err).exit != exitFailed {
			t.Fatalf("an answer was taken for wrong usage: %v", err)
		}
	})
}

// Two keys in one variable are a slip of a script, not an unreachable server.
func TestAKeyThatIsNoWordIsRefusedBeforeItIsSent(t *testing.T) {
	for _, token := range []string{"sk_test_a\nsk_test_b", "sk_test_a ", "sk_tést"} {
		if _, err := newAPIClient("http://127.0.0.1:1", token, time.Second); err == nil || !strings.Contains(err.Error(), "one word") {
			t.Errorf("newAPIClient(%q) = %v", token, err)
		}
	}
}
