package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portaria/auth"
	"portaria/gateway/gatewaytest"
	"portaria/messaging"
)

// A dry run answers, stores nothing, pays nothing and takes no Idempotency-Key:
// the same request without it still runs.
func TestADryRunLeavesNothing(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	_, token := h.Mint(t, auth.NewKey{
		Environment: messaging.Test, Scopes: bulkScopes, AllInstances: true, RatePerMinute: 60, RateBurst: 20, MessagesPerMinute: 1800,
	})
	body := `{"message":{"image":{"base64":"` + b64(pngFile) + `","caption":"{{a}}"}},"recipients":[{"to":"x"}` + strings.Repeat(`,{"to":"5511912345678"}`, 250) + `]}`
	r := post("/v1/instances/one/bulk?dry_run=true", token, body)
	r.Header = map[string]string{"Idempotency-Key": "k"}
	answer := h.Expect(t, r, http.StatusOK, "")
	type rehearsal struct {
		Accepted               bool
		Total, Valid, Invalid  int
		Outcomes               map[string]int
		Faults                 []map[string]any
		DurationSeconds        float64 `json:"duration_seconds"`
		Tokens                 map[string]int
		StartsAt, EndsAt, Name string
	}
	got := data[rehearsal](t, answer)
	want := rehearsal{
		Total: 251, Valid: 250, Invalid: 1, Outcomes: map[string]int{"read": 250}, DurationSeconds: 90, Tokens: map[string]int{"requests": 4, "messages": 250},
		Faults: []map[string]any{{"row": 1., "line": nil, "column": "to", "code": "INVALID_RECIPIENT", "message": "The recipient cannot be."}},
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if left := answer.Header.Get("X-RateLimit-Remaining"); left != "19" {
		t.Errorf("%s tokens are left of 20", left)
	}
	r.Path = "/v1/instances/one/bulk"
	r.Body = strings.Replace(body, `{"to":"x"},`, "", 1)
	made := data[shown](t, h.Expect(t, r, http.StatusAccepted, ""))
	again := h.Expect(t, r, http.StatusAccepted, "")
	if data[shown](t, again).ID != made.ID || again.Header.Get("Idempotent-Replayed") != "true" || h.bulks.stored() != 1 {
		t.Errorf("the repeat is another bulk: %s", again.Body)
	}
	if n := h.files(t); n != 1 {
		t.Errorf("%d files were kept for one bulk", n)
	}
	h.Expect(t, post("/v1/instances/one/bulk?dry_run=yes", token, r.Body), http.StatusBadRequest, "BAD_REQUEST")
}

// One upload is one bulk, also when it comes as a form with another boundary;
// another one under the same key is refused.
func TestOneIdempotencyKeyIsOneUpload(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	token := h.key(t, bulkScopes...)
	send := func(file, message string) gatewaytest.Request {
		r := gatewaytest.Request{Method: http.MethodPost, Path: "/v1/instances/one/bulk", Token: token}
		r.Body, r.Header = form(t, part{"file", "a.csv", "", file}, part{"message", "", "", message})
		r.Header["Idempotency-Key"] = "k"
		return r
	}
	first := data[shown](t, h.Expect(t, send("to\n5511912345678\n", `{"text":"a"}`), http.StatusAccepted, ""))
	again := h.Expect(t, send("to\n5511912345678\n", `{"text":"a"}`), http.StatusAccepted, "")
	if data[shown](t, again).ID != first.ID || h.bulks.stored() != 1 {
		t.Errorf("the repeat is another bulk: %s", again.Body)
	}
	h.Expect(t, send("to\n5511912345679\n", `{"text":"a"}`), http.StatusUnprocessableEntity, "IDEMPOTENCY_KEY_REUSED")
	h.Expect(t, send("to\n5511912345678\n", `{"text":"b"}`), http.StatusUnprocessableEntity, "IDEMPOTENCY_KEY_REUSED")
	other := post("/v1/instances/one/bulk", token, `{"message":{"text":"a"},"recipients":[{"to":"5511912345678"}]}`)
	other.Header = map[string]string{"Idempotency-Key": "k"}
	h.Expect(t, other, http.StatusUnprocessableEntity, "IDEMPOTENCY_KEY_REUSED")
	other.Header["Idempotency-Key"] = "j"
	h.Expect(t, other, http.StatusAccepted, "")
	other.Body = strings.Replace(other.Body, "678", "679", 1)
	h.Expect(t, other, http.StatusUnprocessableEntity, "IDEMPOTENCY_KEY_REUSED")
}

// A bulk costs a token for each hundred recipients, as far as the key's bucket
// can hold them, and one message for each; who has not so much is told when to
// come back, or that it never can be.
func TestABulkIsPaidBeforeItIsStored(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	mint := func(burst, messages int64) string {
		_, token := h.Mint(t, auth.NewKey{
			Environment: messaging.Test, Scopes: bulkScopes, AllInstances: true, RatePerMinute: 60, RateBurst: burst, MessagesPerMinute: messages,
		})
		return token
	}
	send := func(token string, n int) gatewaytest.Request {
		return post("/v1/instances/one/bulk", token, `{"message":{"text":"a"},"recipients":[`+strings.Repeat(`{"to":"5511912345678"},`, n-1)+`{"to":"5511912345678"}]}`)
	}
	// 1 for the request and 3 for 201 recipients leave 16 of 20.
	rich := mint(20, 0)
	if left := h.Expect(t, send(rich, 201), http.StatusAccepted, "").Header.Get("X-RateLimit-Remaining"); left != "16" {
		t.Errorf("%s tokens are left of 20", left)
	}
	// The whole bucket, and no more, however many there are.
	if left := h.Expect(t, send(mint(5, 0), 5000), http.StatusAccepted, "").Header.Get("X-RateLimit-Remaining"); left != "0" {
		t.Errorf("%s tokens are left of 5", left)
	}
	if h.Expect(t, send(mint(1, 0), 5000), http.StatusAccepted, ""); h.bulks.stored() != 3 {
		t.Errorf("%d bulks", h.bulks.stored())
	}
	spent := mint(5, 0)
	h.Expect(t, get("/v1/me", spent), http.StatusOK, "")
	refused := h.Expect(t, send(spent, 5000), http.StatusTooManyRequests, "RATE_LIMITED")
	if after := refused.Header.Get("Retry-After"); after != "1" && after != "2" {
		t.Errorf("Retry-After %q", after)
	}
	// 1,800 a minute let 300 through at once.
	slow := mint(50, 1800)
	never := h.Expect(t, send(slow, 301), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	if diff := cmp.Diff(fieldsOf(t, never), []string{"recipients:max"}); diff != "" || !strings.Contains(string(never.Body), `"limit":300`) {
		t.Errorf("%s%s", never.Body, diff)
	}
	accepted := h.Expect(t, send(slow, 200), http.StatusAccepted, "")
	if !strings.Contains(accepted.Header.Get("RateLimit"), `"messages";r=100`) {
		t.Errorf("RateLimit: %s", accepted.Header.Get("RateLimit"))
	}
	later := h.Expect(t, send(slow, 250), http.StatusTooManyRequests, "RATE_LIMITED")
	if after := later.Header.Get("Retry-After"); after == "" || after == "0" {
		t.Errorf("Retry-After %q", after)
	}
	if h.bulks.stored() != 4 {
		t.Errorf("%d bulks were stored", h.bulks.stored())
	}
}
