package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/auth"
	"portaria/gateway"
	"portaria/gateway/gatewaytest"
	"portaria/messaging"
)

const hello = `{"to":"+55 11 91234-5678","text":"Olá"}`

func post(path, token, body string) gatewaytest.Request {
	return gatewaytest.Request{Method: http.MethodPost, Path: path, Token: token, Body: body}
}

func get(path, token string) gatewaytest.Request {
	return gatewaytest.Request{Method: http.MethodGet, Path: path, Token: token}
}

// data decodes the data of an answer.
func data[T any](t *testing.T, answer gatewaytest.Response) T {
	t.Helper()
	var envelope struct {
		Data T
		Page struct {
			Next  *string
			Limit int
		}
	}
	if err := json.Unmarshal(answer.Body, &envelope); err != nil {
		t.Fatalf("%v in %s", err, answer.Body)
	}
	return envelope.Data
}

// next returns the cursor of the next page.
func next(t *testing.T, answer gatewaytest.Response) string {
	t.Helper()
	var envelope struct{ Page struct{ Next string } }
	if err := json.Unmarshal(answer.Body, &envelope); err != nil {
		t.Fatal(err)
	}
	return envelope.Page.Next
}

type row struct {
	ID         string
	InstanceID string `json:"instance_id"`
	Status     string
}

// A notification script has a locked key and one curl command.
func TestLockedKeySendsFromItsInstance(t *testing.T) {
	h := open(t)
	i := h.instance(t, "support")
	token := h.locked(t, []string{"whatsapp:send"}, i.ID)
	for _, path := range []string{"/v1/messages", "/v1/instances/support/messages", "/v1/instances/" + i.ID + "/messages"} {
		sent := data[row](t, h.Expect(t, post(path, token, hello), http.StatusAccepted, ""))
		if sent.InstanceID != i.ID {
			t.Errorf("%s sent from %s, want %s", path, sent.InstanceID, i.ID)
		}
		h.Expect(t, get("/v1/messages/"+sent.ID, token), http.StatusOK, "")
	}
	if got := len(data[[]row](t, h.Expect(t, get("/v1/messages?instance=support", token), http.StatusOK, ""))); got != 3 {
		t.Errorf("%d messages are listed, want 3", got)
	}
}

func TestKeyOfTwoInstancesMustNameOne(t *testing.T) {
	h := open(t)
	token := h.locked(t, []string{"*"}, h.instance(t, "a").ID, h.instance(t, "b").ID)
	h.Expect(t, post("/v1/messages", token, hello), http.StatusBadRequest, "INSTANCE_REQUIRED")
}

// A locked key must not learn whether an instance outside its list exists, not
// even by how long the answer takes: the grant alone decides.
func TestLockIsDecidedWithoutTheDatabase(t *testing.T) {
	h := open(t)
	mine, other := h.instance(t, "mine"), h.instance(t, "other")
	token := h.locked(t, []string{"*"}, mine.ID)
	before := h.resolved
	var bodies []string
	for _, ref := range []string{other.ID, "other", "absent", "ins_00000000000000000000000000", "%2e%2e"} {
		for _, request := range []gatewaytest.Request{
			post("/v1/instances/"+ref+"/messages", token, hello), get("/v1/instances/"+ref, token), get("/v1/messages?instance="+ref, token),
		} {
			request.Header = map[string]string{"X-Request-Id": "same"}
			answer := h.Expect(t, request, http.StatusForbidden, "INSTANCE_NOT_ALLOWED")
			bodies = append(bodies, string(answer.Body))
		}
	}
	if h.resolved != before {
		t.Errorf("Resolve was called %d times", h.resolved-before)
	}
	for _, body := range bodies {
		if body != bodies[0] {
			t.Errorf("answers differ: %s and %s", body, bodies[0])
		}
	}
}

// whatsapp:send alone reads what its own key lineage sent, and nothing else.
func TestSendersReadOnlyTheirOwnMessages(t *testing.T) {
	h := open(t)
	h.instance(t, "shared")
	mine, theirs := h.key(t, "whatsapp:send"), h.key(t, "whatsapp:send")
	reader, both := h.key(t, "messages:read"), h.key(t, "whatsapp:send", "messages:read")
	sent := data[row](t, h.Expect(t, post("/v1/instances/shared/messages", mine, hello), http.StatusAccepted, "")).ID

	for _, test := range []struct {
		name, token string
		listed      int
		shown       int
		canceled    int
	}{
		{"another sender", theirs, 0, http.StatusNotFound, http.StatusNotFound},
		{"a reader", reader, 1, http.StatusOK, http.StatusForbidden},
		{"the sender", mine, 1, http.StatusOK, http.StatusOK},
		{"a sender who reads all", both, 1, http.StatusOK, http.StatusConflict},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := len(data[[]row](t, h.Do(t, get("/v1/messages", test.token)))); got != test.listed {
				t.Errorf("%d messages are listed, want %d", got, test.listed)
			}
			for path, want := range map[string]int{"/v1/messages/" + sent: test.shown, "/v1/messages/" + sent + "/events": test.shown} {
				if got := h.Do(t, get(path, test.token)).Status; got != want {
					t.Errorf("%s: %d, want %d", path, got, want)
				}
			}
			if got := h.Do(t, post("/v1/messages/"+sent+"/cancel", test.token, "")).Status; got != test.canceled {
				t.Errorf("cancel: %d, want %d", got, test.canceled)
			}
		})
	}
}

func TestKeyIsTakenFromThreeHeadersThatAgree(t *testing.T) {
	h := open(t)
	good, other := h.key(t, "*"), h.key(t, "*")
	for _, test := range []struct {
		name   string
		header map[string]string
		status int
		code   string
	}{
		{"bearer", map[string]string{"Authorization": "Bearer " + good}, 200, ""},
		{"bearer in any case", map[string]string{"Authorization": "bEARER  " + good}, 200, ""},
		{"X-API-Key", map[string]string{"X-API-Key": good}, 200, ""},
		{"apikey", map[string]string{"apikey": good}, 200, ""},
		{"all three", map[string]string{"Authorization": "Bearer " + good, "X-API-Key": good, "apikey": good}, 200, ""},
		{"two that differ", map[string]string{"Authorization": "Bearer " + good, "X-API-Key": other}, 400, "BAD_REQUEST"},
		{"aliases that differ", map[string]string{"X-API-Key": good, "apikey": other}, 400, "BAD_REQUEST"},
		{"an empty alias", map[string]string{"Authorization": "Bearer " + good, "X-API-Key": ""}, 400, "BAD_REQUEST"},
		{"another scheme", map[string]string{"Authorization": "Basic " + good}, 401, "UNAUTHORIZED"},
		{"no scheme", map[string]string{"Authorization": good}, 401, "UNAUTHORIZED"},
		{"nothing", nil, 401, "UNAUTHORIZED"},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := h.Expect(t, gatewaytest.Request{Method: http.MethodGet, Path: "/v1/me", Header: test.header}, test.status, test.code)
			if test.status == 401 && answer.Header.Get("WWW-Authenticate") == "" {
				t.Error("401 came without WWW-Authenticate")
			}
		})
	}
	h.Expect(t, get("/v1/me?apikey="+good, ""), 401, "UNAUTHORIZED")
	answer := h.Expect(t, get("/v1/me?apikey="+good, good), 400, "BAD_REQUEST")
	if strings.Contains(string(answer.Body), good) {
		t.Errorf("the answer echoes a key: %s", answer.Body)
	}
}

// The headers of API.md section 2, to the letter.
func TestLimitsAreToldInEveryAnswer(t *testing.T) {
	h := open(t)
	i := h.instance(t, "a")
	_, token := h.Mint(t, auth.NewKey{
		Environment: messaging.Test, Scopes: []string{"*"}, Instances: []string{i.ID}, RatePerMinute: 60, RateBurst: 3, MessagesPerMinute: 6,
	})
	answer := h.Expect(t, get("/v1/me", token), http.StatusOK, "")
	want := map[string]string{
		"RateLimit-Policy": `"key";q=60;w=60`, "RateLimit": `"key";r=2;t=1`, "X-Ratelimit-Limit": "60", "X-Ratelimit-Remaining": "2",
		"Portaria-Environment": "test",
	}
	for name, value := range want {
		if got := answer.Header.Get(name); got != value {
			t.Errorf("%s: %s, want %s", name, got, value)
		}
	}
	reset, err := strconv.ParseInt(answer.Header.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil || reset < time.Now().Unix() || reset > time.Now().Unix()+2 {
		t.Errorf("X-RateLimit-Reset is %d (%v)", reset, err)
	}

	answer = h.Expect(t, post("/v1/messages", token, hello), http.StatusAccepted, "")
	if got := answer.Header.Get("RateLimit-Policy"); got != `"key";q=60;w=60, "messages";q=6;w=60` {
		t.Errorf("RateLimit-Policy: %s", got)
	}
	if got := answer.Header.Get("RateLimit"); !regexp.MustCompile(`^"key";r=1;t=2, "messages";r=0;t=10$`).MatchString(got) {
		t.Errorf("RateLimit: %s", got)
	}

	answer = h.Expect(t, post("/v1/messages", token, hello), http.StatusTooManyRequests, "RATE_LIMITED")
	if !strings.Contains(string(answer.Body), `"policy":"messages"`) || answer.Header.Get("Retry-After") != "10" {
		t.Errorf("Retry-After %s, %s", answer.Header.Get("Retry-After"), answer.Body)
	}
	answer = h.Expect(t, get("/v1/me", token), http.StatusTooManyRequests, "RATE_LIMITED")
	if answer.Header.Get("Retry-After") != "1" || answer.Header.Get("X-RateLimit-Remaining") != "0" {
		t.Errorf("Retry-After %s, %s left", answer.Header.Get("Retry-After"), answer.Header.Get("X-RateLimit-Remaining"))
	}
	if got := h.accepted(); got != 1 {
		t.Errorf("%d messages were accepted, want 1", got)
	}
}

// A recipient that is refused is not an accepted one.
func TestRefusedRecipientsSpendNoMessageToken(t *testing.T) {
	h := open(t)
	_, token := h.Mint(t, auth.NewKey{
		Environment: messaging.Test, Scopes: []string{"*"}, Instances: []string{h.instance(t, "a").ID}, MessagesPerMinute: 6,
	})
	for range 3 {
		h.Expect(t, post("/v1/messages", token, `{"to":"123","text":"a"}`), http.StatusUnprocessableEntity, "INVALID_RECIPIENT")
		h.Expect(t, post("/v1/messages", token, `{"to":"","text":"a"}`), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	}
	h.Expect(t, post("/v1/messages", token, hello), http.StatusAccepted, "")
}

func TestAnswersSpeakTheCallersLanguageAndForm(t *testing.T) {
	h := open(t)
	token := h.locked(t, []string{"*"}, h.instance(t, "a").ID)
	request := post("/v1/messages", token, `{"to":5}`)
	request.Header = map[string]string{"Accept-Language": "pt-BR", "Accept": "application/problem+json", "X-Request-Id": "mine"}
	answer := h.Expect(t, request, http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	var got map[string]any
	if err := json.Unmarshal(answer.Body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "urn:portaria:error:VALIDATION_FAILED", "title": "Unprocessable Entity", "status": 422.0,
		"detail": "O pedido tem campos que não são válidos.", "code": "VALIDATION_FAILED", "request_id": "mine",
		"details": map[string]any{"fields": []any{
			map[string]any{"field": "to", "rule": "type", "message": "tem o tipo errado"},
			map[string]any{"field": "text", "rule": "required", "message": "é obrigatório"},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := answer.Header.Get("X-Request-Id"); got != "mine" {
		t.Errorf("X-Request-Id is %s", got)
	}
}

func TestQueriesAreStrict(t *testing.T) {
	h := open(t)
	token := h.key(t, "*")
	for _, path := range []string{
		"/v1/messages?statsu=sent", "/v1/messages?status=lost", "/v1/messages?limit=0", "/v1/messages?limit=201", "/v1/messages?limit=ten",
		"/v1/messages?limit=1&limit=2", "/v1/messages?cursor=!!", "/v1/messages?cursor=bXNn", "/v1/messages?direction=up",
		"/v1/messages?since=yesterday", "/v1/messages?to=abc", "/v1/events?after=evt_1", "/v1/events?type=message.lost",
		"/v1/logs?status=9", "/v1/logs?cursor=LTE", "/v1/instances?name=a", "/v1/me?x=1", "/v1/sandbox/messages?cursor=MDE",
		"/v1/messages?bulk=%00", "/v1/messages?bulk=%ff", "/v1/messages?instance=%00", "/v1/logs?key=%7f", "/v1/events?instance=%c2%85",
		"/v1/messages?%ff=1", "/v1/me?%00=%00",
	} {
		answer := h.Expect(t, get(path, token), http.StatusBadRequest, "BAD_REQUEST")
		if !strings.Contains(string(answer.Body), `"fields":[{`) {
			t.Errorf("%s: the answer names no parameter: %s", path, answer.Body)
		}
	}
	h.Expect(t, get("/v1/messages?status=sent&direction=outbound&since=2026-01-31T12:00:00Z&to=%2B5511912345678&limit=200&bulk=blk_1", token), 200, "")
	for _, event := range []string{"bulk.started", "instance.banned", "message.reaction", "call.received", "webhook.disabled"} {
		h.Expect(t, get("/v1/events?type="+event, token), 200, "")
	}
}

// Following page.next must show every row once, newest first.
func TestPagesAreCompleteAndDisjoint(t *testing.T) {
	h := open(t)
	h.instance(t, "a")
	token := h.key(t, "*")
	var sent []string
	for range 7 {
		sent = append([]string{data[row](t, h.Do(t, post("/v1/instances/a/messages", token, hello))).ID}, sent...)
	}
	var listed []string
	for path := "/v1/messages?limit=3"; path != ""; {
		answer := h.Expect(t, get(path, token), http.StatusOK, "")
		for _, m := range data[[]row](t, answer) {
			listed = append(listed, m.ID)
		}
		path = ""
		if cursor := next(t, answer); cursor != "" {
			path = "/v1/messages?limit=3&cursor=" + cursor
		}
	}
	if diff := cmp.Diff(sent, listed); diff != "" {
		t.Errorf("(-sent +listed):\n%s", diff)
	}
}

// A follower of events asks after the last one it saw, page by page.
func TestEventsAfterAnEventComeOldestFirst(t *testing.T) {
	h := open(t)
	h.instance(t, "a")
	token := h.key(t, "*")
	first := data[[]row](t, h.Expect(t, get("/v1/events", token), http.StatusOK, ""))[0].ID
	for range 5 {
		h.Do(t, post("/v1/instances/a/messages", token, hello))
	}
	var sequences []int
	for path := "/v1/events?limit=2&after=" + first; path != ""; {
		answer := h.Expect(t, get(path, token), http.StatusOK, "")
		for _, e := range data[[]struct{ Sequence int }](t, answer) {
			sequences = append(sequences, e.Sequence)
		}
		path = ""
		if cursor := next(t, answer); cursor != "" {
			path = "/v1/events?limit=2&after=" + first + "&cursor=" + cursor
		}
	}
	if diff := cmp.Diff([]int{2, 3, 4, 5, 6}, sequences); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEveryRequestUnderV1IsLoggedOnce(t *testing.T) {
	h := open(t, func(o *gateway.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	i := h.instance(t, "a")
	id, token := h.Mint(t, auth.NewKey{Environment: messaging.Test, Scopes: []string{"whatsapp:send"}, Instances: []string{i.ID}})
	send := post("/v1/instances/a/messages?wait=sent", token, hello)
	send.Header = map[string]string{"X-Forwarded-For": "198.51.100.7", "User-Agent": "curl/8", "X-Request-Id": "r1"}
	h.Do(t, send)
	h.Do(t, get("/v1/events", token))
	h.Do(t, get("/v1/me", ""))
	h.Do(t, get("/v1/phone/5511912345678", token))
	h.Do(t, get("/healthz", ""))
	if got := h.stop(); got != nil {
		t.Fatal(got)
	}
	var got []messaging.RequestLog
	for _, entry := range h.logs {
		if entry.Duration < 0 || entry.At.IsZero() || entry.RequestID == "" {
			t.Errorf("incomplete: %+v", entry)
		}
		entry.ID, entry.At, entry.Duration = 0, time.Time{}, 0
		if entry.RequestID != "r1" {
			entry.RequestID, entry.IP, entry.UserAgent = "", "", ""
		}
		got = append(got, entry)
	}
	known := messaging.RequestLog{WorkspaceID: workspace, Environment: messaging.Test, KeyID: id, Lineage: id}
	sent, scope, nobody, lost := known, known, messaging.RequestLog{}, messaging.RequestLog{}
	sent.RequestID, sent.Method, sent.Route, sent.Status = "r1", "POST", "/v1/instances/{instance}/messages", 202
	sent.InstanceID, sent.IP, sent.UserAgent = i.ID, "198.51.100.7", "curl/8"
	scope.Method, scope.Route, scope.Status, scope.ErrorCode = "GET", "/v1/events", 403, "INSUFFICIENT_SCOPE"
	nobody.Method, nobody.Route, nobody.Status, nobody.ErrorCode = "GET", "/v1/me", 401, "UNAUTHORIZED"
	lost.Method, lost.Route, lost.Status, lost.ErrorCode = "GET", "/v1/*", 404, "NOT_FOUND"
	if diff := cmp.Diff([]messaging.RequestLog{sent, scope, nobody, lost}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatTheEngineRefusesWearsTheEnvelope(t *testing.T) {
	h := open(t)
	token := h.key(t, "*")
	h.Expect(t, get("/nowhere", ""), http.StatusNotFound, "NOT_FOUND")
	h.Expect(t, get("/v1/nowhere", token), http.StatusNotFound, "NOT_FOUND")
	h.Expect(t, get("/v1/me/", token), http.StatusNotFound, "NOT_FOUND")
	answer := h.Expect(t, gatewaytest.Request{Method: http.MethodDelete, Path: "/v1/messages", Token: token}, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
	if got := answer.Header.Get("Allow"); got != "GET, HEAD, POST" {
		t.Errorf("Allow: %s", got)
	}
	h.Expect(t, gatewaytest.Request{Method: "BREW", Path: "/v1/messages", Token: token}, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
	huge := get("/v1/me", token)
	huge.Header = map[string]string{"X-Huge": strings.Repeat("a", 20_000)}
	h.Expect(t, huge, http.StatusRequestHeaderFieldsTooLarge, "HEADERS_TOO_LARGE")
}

// A bug in one request must not end the others, nor tell strangers about it.
func TestPanicsAndUnexpectedErrorsAreAnsweredWithoutTheirText(t *testing.T) {
	h := open(t)
	h.instance(t, "a")
	token := h.key(t, "*")
	h.onAccept = func() { panic("the secret of the house") }
	answer := h.Expect(t, post("/v1/instances/a/messages", token, hello), http.StatusInternalServerError, "INTERNAL")
	if strings.Contains(string(answer.Body), "secret") {
		t.Errorf("the answer tells: %s", answer.Body)
	}
	if log := h.logged.String(); !strings.Contains(log, "the secret of the house") || !strings.Contains(log, "door_test.go") {
		t.Errorf("the log does not tell: %s", log)
	}
	h.onAccept = nil
	h.Expect(t, post("/v1/instances/a/messages", token, hello), http.StatusAccepted, "")
}

func TestMeShowsTheKey(t *testing.T) {
	h := open(t)
	i := h.instance(t, "a")
	id, token := h.Mint(t, auth.NewKey{
		Environment: messaging.Test, Scopes: []string{"whatsapp:*", "messages:read"}, Instances: []string{i.ID}, MessagesPerMinute: 9,
	})
	got := data[map[string]any](t, h.Expect(t, get("/v1/me", token), http.StatusOK, ""))
	want := map[string]any{
		"id": id, "name": "test", "workspace_id": workspace, "environment": "test", "scopes": []any{"messages:read", "whatsapp:*"},
		"all_instances": false, "instances": []any{map[string]any{"id": i.ID, "name": "a"}}, "expires_at": nil,
		"limits": map[string]any{"rate_per_minute": 600.0, "rate_burst": 100.0, "messages_per_minute": 9.0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if open := data[map[string]any](t, h.Do(t, get("/v1/me", h.key(t, "*")))); open["instances"] != nil || open["all_instances"] != true {
		t.Errorf("a key of all instances shows %v", open)
	}
}

func TestInstancesAreMadeShownAndChanged(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:manage")
	made := data[map[string]any](t, h.Expect(t, post("/v1/instances", token, `{"name":"support","metadata":{"a":1},"settings":{"mark_read":true},"sandbox":{"paired":false}}`), http.StatusCreated, ""))
	if made["state"] != "created" || made["phone"] != nil || made["name"] != "support" {
		t.Errorf("made %v", made)
	}
	h.Expect(t, post("/v1/instances", token, `{"name":"support"}`), http.StatusConflict, "NAME_TAKEN")
	for _, name := range []string{"", "UPPER", "ins_x", "-a", "a b", strings.Repeat("a", 65), "ção"} {
		h.Expect(t, post("/v1/instances", token, `{"name":"`+name+`"}`), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	}
	patch := post("/v1/instances/support", token, `{"settings":{"pace":{"per_hour":10},"mark_read":null}}`)
	patch.Method = http.MethodPatch
	changed := data[map[string]any](t, h.Expect(t, patch, http.StatusOK, ""))
	if diff := cmp.Diff(map[string]any{"pace": map[string]any{"per_hour": 10.0}, "mark_read": nil}, changed["settings"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	h.Expect(t, get("/v1/instances/support", token), http.StatusOK, "")
	h.Expect(t, get("/v1/instances", token), http.StatusOK, "")
}

func TestSandboxClockIsShownSetAndMoved(t *testing.T) {
	h := open(t)
	token := h.key(t, "sandbox:run")
	put := post("/v1/sandbox/clock", token, `{"mode":"frozen"}`)
	put.Method = http.MethodPut
	before := data[struct{ Now time.Time }](t, h.Expect(t, put, http.StatusOK, "")).Now
	after := data[struct {
		Now  time.Time
		Mode string
	}](t, h.Expect(t, post("/v1/sandbox/clock/advance", token, `{"seconds":90.5}`), http.StatusOK, ""))
	if moved := after.Now.Sub(before); moved != 90500*time.Millisecond || after.Mode != "frozen" {
		t.Errorf("moved by %v, mode %s", moved, after.Mode)
	}
	for _, body := range []string{`{}`, `{"seconds":-1}`, `{"seconds":1e300}`, `{"seconds":"5"}`} {
		h.Expect(t, post("/v1/sandbox/clock/advance", token, body), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	}
	put.Body = `{"mode":"backwards"}`
	h.Expect(t, put, http.StatusUnprocessableEntity, "VALIDATION_FAILED")
}

func TestCarriagesAreListed(t *testing.T) {
	h := open(t)
	i := h.instance(t, "a")
	h.carriages = append(h.carriages, messaging.Carriage{
		Position: 1, WAMessageID: "3EB0", MessageID: "msg_1", InstanceID: i.ID, CarriedAt: time.Now(),
		To:      messaging.Address{Input: "+1", WAID: "1@s.whatsapp.net"},
		Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: "Olá"}},
	})
	token := h.key(t, "sandbox:run")
	if got := len(data[[]row](t, h.Expect(t, get("/v1/sandbox/messages?instance=a", token), http.StatusOK, ""))); got != 1 {
		t.Errorf("%d carriages, want 1", got)
	}
}

func TestHealthTellsWhatIsWrongOnlyToTheLog(t *testing.T) {
	h := open(t)
	h.Expect(t, get("/healthz", ""), http.StatusOK, "")
	h.Expect(t, get("/readyz", ""), http.StatusOK, "")
	h.mu.Lock()
	h.notReady = http.ErrServerClosed
	h.mu.Unlock()
	answer := h.Expect(t, get("/readyz", ""), http.StatusServiceUnavailable, "UNAVAILABLE")
	if answer.Header.Get("Retry-After") == "" || strings.Contains(string(answer.Body), "closed") {
		t.Errorf("%s", answer.Body)
	}
	if !strings.Contains(h.logged.String(), http.ErrServerClosed.Error()) {
		t.Error("the log does not say what is wrong")
	}
}
