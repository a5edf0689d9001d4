package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/auth"
	"portaria/events/webhooks"
	"portaria/gateway/gatewaytest"
	"portaria/messaging"
)

const hookURL = "https://127.0.0.1:9/portaria"

func patch(path, token, body string) gatewaytest.Request {
	return gatewaytest.Request{Method: http.MethodPatch, Path: path, Token: token, Body: body}
}

func del(path, token string) gatewaytest.Request {
	return gatewaytest.Request{Method: http.MethodDelete, Path: path, Token: token}
}

// hook makes a webhook and returns what the answer shows.
func (h *house) hook(t *testing.T, token, body string) map[string]any {
	t.Helper()
	return data[map[string]any](t, h.Expect(t, post("/v1/webhooks", token, body), http.StatusCreated, ""))
}

func TestAWebhookIsShownAsItWasMade(t *testing.T) {
	h := open(t)
	token, i := h.key(t, "webhooks:manage", "webhooks:read"), h.instance(t, "shop")
	made := h.hook(t, token, `{"url":"`+hookURL+`"}`)
	secret, _ := made["secret"].(string)
	if _, err := webhooks.ParseSecret(secret); err != nil {
		t.Errorf("secret %q: %v", secret, err)
	}
	want := map[string]any{
		"id": made["id"], "url": hookURL, "description": "", "environment": "test", "events": []any{"*"}, "instances": nil, "chats": "all",
		"ordered": false, "enabled": true, "disabled_reason": nil, "disabled_at": nil, "failing_since": nil, "secret": secret,
		"retry_policy": map[string]any{
			"max_attempts": 10.0, "schedule": []any{"0s", "5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "1d"},
		},
		"secret_rotated_until": nil, "created_at": made["created_at"],
	}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Error(diff)
	}
	other := h.hook(t, token, `{"url":"`+hookURL+`","description":"the shop","events":["message.*","call.received"],"instances":["shop","`+i.ID+`"],`+
		`"chats":"group","ordered":true,"enabled":false,"retry_policy":{"max_attempts":3,"schedule":["0s","1500ms"]}}`)
	delete(other, "secret")
	want = map[string]any{
		"id": other["id"], "url": hookURL, "description": "the shop", "environment": "test", "events": []any{"message.*", "call.received"},
		"instances": []any{i.ID}, "chats": "group", "ordered": true, "enabled": false, "disabled_reason": nil, "disabled_at": nil,
		"failing_since": nil, "retry_policy": map[string]any{"max_attempts": 3.0, "schedule": []any{"0s", "1500ms"}},
		"secret_rotated_until": nil, "created_at": other["created_at"],
	}
	if diff := cmp.Diff(want, other); diff != "" {
		t.Error(diff)
	}
	shown := data[map[string]any](t, h.Expect(t, get("/v1/webhooks/"+other["id"].(string), token), http.StatusOK, ""))
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Error(diff)
	}
	list := h.Expect(t, get("/v1/webhooks?limit=1", token), http.StatusOK, "")
	if rows := data[[]map[string]any](t, list); len(rows) != 1 || rows[0]["id"] != other["id"] || strings.Contains(string(list.Body), "whsec_") {
		t.Errorf("the list shows %s", list.Body)
	}
	page := next(t, list)
	if rows := data[[]map[string]any](t, h.Expect(t, get("/v1/webhooks?limit=1&cursor="+page, token), http.StatusOK, "")); rows[0]["id"] != made["id"] {
		t.Errorf("the second page shows %v", rows)
	}
}

func TestWebhooksAreRefusedWithAllThatIsWrong(t *testing.T) {
	h := open(t)
	token := h.key(t, "*")
	for body, fields := range map[string]string{
		`{}`:           "url",
		`{"url":""}`:   "url",
		`{"url":null}`: "url",
		`{"url":7,"events":"*","instances":"shop","retry_policy":[],"secret":"x"}`:                                               "url events instances retry_policy secret",
		`{"url":"` + hookURL + `","events":["message.nothing"],"chats":"some","description":"` + strings.Repeat("x", 257) + `"}`: "description events[0] chats",
		`{"url":"` + hookURL + `","events":[]}`:                                                                                  "events",
		`{"url":"` + hookURL + `","instances":[]}`:                                                                               "instances",
		`{"url":"` + hookURL + `","instances":[7]}`:                                                                              "instances",
		`{"url":"` + hookURL + `","retry_policy":{"max_attempts":0}}`:                                                            "retry_policy.max_attempts",
		`{"url":"` + hookURL + `","retry_policy":{"max_attempts":51}}`:                                                           "retry_policy.max_attempts",
		`{"url":"` + hookURL + `","retry_policy":{"tries":3,"max_attempts":"x"}}`:                                                "retry_policy.tries retry_policy.max_attempts",
		`{"url":"` + hookURL + `","retry_policy":{"schedule":["5","1d"]}}`:                                                       "retry_policy.schedule[0]",
		`{"url":"` + hookURL + `","retry_policy":{"schedule":["8d"]}}`:                                                           "retry_policy.schedule[0]",
		`{"url":"` + hookURL + `","retry_policy":{"schedule":[]}}`:                                                               "retry_policy.schedule",
		`{"url":"https://user:pass@127.0.0.1/"}`:                                                                                 "url",
		`{"url":"` + hookURL + `","instances":["` + strings.Repeat(`a","`, 1000) + `a"]}`:                                        "instances",
	} {
		answer := h.Expect(t, post("/v1/webhooks", token, body), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
		var refusal struct {
			Error struct {
				Details struct {
					Fields []struct{ Field, Message string }
				}
			}
		}
		if err := json.Unmarshal(answer.Body, &refusal); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range refusal.Error.Details.Fields {
			got = append(got, f.Field)
		}
		if strings.Join(got, " ") != fields {
			t.Errorf("%.120s: %v is refused, want %s", body, got, fields)
		}
	}
	for _, url := range []string{"https://10.0.0.1/", "https://[::1]/", "ftp://127.0.0.1/", "https://169.254.169.254/", "https://[::ffff:10.0.0.1]/"} {
		h.Expect(t, post("/v1/webhooks", token, `{"url":"`+url+`"}`), http.StatusUnprocessableEntity, "URL_NOT_ALLOWED")
	}
	h.Expect(t, post("/v1/webhooks", token, `{"url":"`+hookURL+`","instances":["nobody"]}`), http.StatusNotFound, "INSTANCE_NOT_FOUND")
	h.Expect(t, post("/v1/webhooks", token, `{"url":"`+hookURL+`","instances":["\u0000"]}`), http.StatusNotFound, "INSTANCE_NOT_FOUND")
}

func TestAWorldHasOnlySoManyWebhooks(t *testing.T) {
	h := open(t)
	token := h.key(t, "*")
	for range webhooks.MaxEndpoints {
		h.hook(t, token, `{"url":"`+hookURL+`"}`)
	}
	h.Expect(t, post("/v1/webhooks", token, `{"url":"`+hookURL+`"}`), http.StatusConflict, "TOO_MANY_WEBHOOKS")
}

// A patch changes what it names and nothing else.
func TestPatchingAWebhook(t *testing.T) {
	h := open(t)
	token, i := h.key(t, "*"), h.instance(t, "shop")
	made := h.hook(t, token, `{"url":"`+hookURL+`","instances":["shop"],"retry_policy":{"max_attempts":2}}`)
	delete(made, "secret")
	path := "/v1/webhooks/" + made["id"].(string)
	usual := map[string]any{"max_attempts": 10.0, "schedule": []any{"0s", "5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "1d"}}
	for _, c := range []struct {
		body string
		sets map[string]any
	}{
		{`{}`, nil},
		{`{"description":"x"}`, map[string]any{"description": "x"}},
		{`{"url":"https://127.0.0.1:10/"}`, map[string]any{"url": "https://127.0.0.1:10/"}},
		{`{"url":null,"events":null,"description":null}`, nil},
		{`{"events":["call.received","call.received"],"chats":"direct","ordered":true}`, map[string]any{"events": []any{"call.received"}, "chats": "direct", "ordered": true}},
		{`{"retry_policy":{"schedule":["1s"]}}`, map[string]any{"retry_policy": map[string]any{"max_attempts": 1.0, "schedule": []any{"1s"}}}},
		{`{"retry_policy":null}`, map[string]any{"retry_policy": usual}},
		{`{"instances":null}`, map[string]any{"instances": nil}},
		{`{"instances":["` + i.ID + `"]}`, map[string]any{"instances": []any{i.ID}}},
		{`{"enabled":false}`, map[string]any{"enabled": false}},
		{`{"enabled":true}`, map[string]any{"enabled": true}},
	} {
		for name, value := range c.sets {
			made[name] = value
		}
		got := data[map[string]any](t, h.Expect(t, patch(path, token, c.body), http.StatusOK, ""))
		if diff := cmp.Diff(made, got); diff != "" {
			t.Errorf("%s:\n%s", c.body, diff)
		}
	}
	h.Expect(t, patch(path, token, `{"secret":"whsec_x"}`), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	h.Expect(t, patch(path, token, `{"url":""}`), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	h.Expect(t, patch(path, token, `{"url":"https://10.1.2.3/"}`), http.StatusUnprocessableEntity, "URL_NOT_ALLOWED")
	gone := data[map[string]any](t, h.Expect(t, del(path, token), http.StatusOK, ""))
	if diff := cmp.Diff(made, gone); diff != "" {
		t.Error(diff)
	}
	for _, r := range []gatewaytest.Request{get(path, token), patch(path, token, `{}`), del(path, token), post(path+"/test", token, "")} {
		h.Expect(t, r, http.StatusNotFound, "NOT_FOUND")
	}
}

// A webhook tells its URL what it hears: a locked key must not be able to have
// it told of what the key itself may not see.
func TestALockedKeysWebhookHearsOfItsInstancesAlone(t *testing.T) {
	h := open(t)
	mine, also, theirs := h.instance(t, "mine"), h.instance(t, "also"), h.instance(t, "theirs")
	token, free := h.locked(t, []string{"*"}, mine.ID, also.ID), h.key(t, "*")
	own := []any{min(mine.ID, also.ID), max(mine.ID, also.ID)}
	made := h.hook(t, token, `{"url":"`+hookURL+`"}`)
	if diff := cmp.Diff(own, made["instances"]); diff != "" {
		t.Errorf("without a list:\n%s", diff)
	}
	if made = h.hook(t, token, `{"url":"`+hookURL+`","instances":null}`); cmp.Diff(own, made["instances"]) != "" {
		t.Errorf("with null: %v", made["instances"])
	}
	path := "/v1/webhooks/" + made["id"].(string)
	for _, list := range []string{`["theirs"]`, `["` + theirs.ID + `"]`, `["mine","theirs"]`, `["nobody"]`, `["ins_x"]`} {
		h.Expect(t, post("/v1/webhooks", token, `{"url":"`+hookURL+`","instances":`+list+`}`), http.StatusForbidden, "INSTANCE_NOT_ALLOWED")
		h.Expect(t, patch(path, token, `{"instances":`+list+`}`), http.StatusForbidden, "INSTANCE_NOT_ALLOWED")
	}
	h.Expect(t, patch(path, token, `{"instances":null}`), http.StatusForbidden, "INSTANCE_NOT_ALLOWED")
	if got := data[map[string]any](t, h.Expect(t, patch(path, token, `{"instances":["also"]}`), http.StatusOK, "")); cmp.Diff([]any{also.ID}, got["instances"]) != "" {
		t.Errorf("narrowed to one: %v", got["instances"])
	}
	// What hears of more than the key's instances does not exist for it.
	for _, body := range []string{`{"url":"` + hookURL + `"}`, `{"url":"` + hookURL + `","instances":["mine","theirs"]}`} {
		wide := h.hook(t, free, body)["id"].(string)
		for _, r := range []gatewaytest.Request{
			get("/v1/webhooks/"+wide, token), patch("/v1/webhooks/"+wide, token, `{"enabled":false}`), del("/v1/webhooks/"+wide, token),
			post("/v1/webhooks/"+wide+"/rotate-secret", token, ""), post("/v1/webhooks/"+wide+"/replay", token, `{"since":"2026-01-31T12:00:00Z"}`),
			get("/v1/webhooks/"+wide+"/deliveries", token), post("/v1/webhooks/"+wide+"/test", token, ""),
			patch("/v1/webhooks/"+wide, token, `{"instances":["theirs"]}`),
		} {
			h.Expect(t, r, http.StatusNotFound, "NOT_FOUND")
		}
	}
	if rows := data[[]map[string]any](t, h.Expect(t, get("/v1/webhooks", token), http.StatusOK, "")); len(rows) != 2 {
		t.Errorf("the key sees %d webhooks, want its own 2", len(rows))
	}
	live := auth.NewKey{Environment: messaging.Live, Scopes: []string{"*"}, AllInstances: true}
	_, other := h.Mint(t, live)
	h.Expect(t, get(path, other), http.StatusNotFound, "NOT_FOUND")
}

// The secret is shown when it is made and never again, also not to a repeated
// request; and it is not kept.
func TestASecretIsShownOnce(t *testing.T) {
	h := open(t)
	token := h.key(t, "*")
	id := h.hook(t, token, `{"url":"`+hookURL+`"}`)["id"].(string)
	seen := make(map[string]bool)
	for path, body := range map[string]string{"/v1/webhooks": `{"url":"` + hookURL + `"}`, "/v1/webhooks/" + id + "/rotate-secret": `{"grace":"2h"}`} {
		request := post(path, token, body)
		request.Header = map[string]string{"Idempotency-Key": "once"}
		first, again := h.Do(t, request), h.Do(t, request)
		if first.Status != again.Status || again.Header.Get("Idempotent-Replayed") != "true" || first.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: %d, then %d %s", path, first.Status, again.Status, again.Body)
		}
		shown, replayed := data[map[string]any](t, first), data[map[string]any](t, again)
		secret, _ := shown["secret"].(string)
		if !strings.HasPrefix(secret, "whsec_") || seen[secret] {
			t.Errorf("%s: the secret is %q", path, secret)
		}
		seen[secret] = true
		shown["secret"] = nil
		if diff := cmp.Diff(shown, replayed); diff != "" {
			t.Errorf("%s: the replay differs:\n%s", path, diff)
		}
		h.mu.Lock()
		for _, kept := range h.claims {
			if strings.Contains(string(kept.Body), "whsec_") {
				t.Errorf("%s: the secret is kept in %s", path, kept.Body)
			}
		}
		h.mu.Unlock()
	}
	if n := len(data[[]map[string]any](t, h.Expect(t, get("/v1/webhooks", token), http.StatusOK, ""))); n != 2 {
		t.Errorf("%d webhooks, want 2", n)
	}
}

func TestRotatingASecret(t *testing.T) {
	h := open(t)
	token := h.key(t, "webhooks:manage")
	path := "/v1/webhooks/" + h.hook(t, token, `{"url":"`+hookURL+`"}`)["id"].(string) + "/rotate-secret"
	for body, grace := range map[string]time.Duration{``: 24 * time.Hour, `{}`: 24 * time.Hour, `{"grace":"90m"}`: 90 * time.Minute, `{"grace":"0s"}`: 0} {
		got := data[struct {
			Secret string
			Until  time.Time `json:"secret_rotated_until"`
		}](t, h.Expect(t, post(path, token, body), http.StatusOK, ""))
		if left := time.Until(got.Until); grace == 0 && !got.Until.IsZero() || grace > 0 && (left > grace || left < grace-time.Minute) {
			t.Errorf("%s: until %v", body, got.Until)
		}
	}
	for _, body := range []string{`{"grace":"8d"}`, `{"grace":"24"}`, `{"grace":24}`, `{"grace":"-1s"}`, `{"for":"1h"}`} {
		h.Expect(t, post(path, token, body), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	}
}

func TestDeliveriesAreShownAndRepeated(t *testing.T) {
	t.Parallel() // it waits for an answer that does not come
	h := open(t)
	token := h.key(t, "webhooks:manage", "webhooks:read", "events:read")
	path := "/v1/webhooks/" + h.hook(t, token, `{"url":"`+hookURL+`"}`)["id"].(string)
	tried := data[map[string]any](t, h.Expect(t, post(path+"/test", token, ""), http.StatusOK, ""))
	want := map[string]any{
		"id": tried["id"], "webhook_id": strings.TrimPrefix(path, "/v1/webhooks/"), "event_id": tried["event_id"], "event_type": "webhook.test",
		"instance_id": nil, "state": "delivered", "attempts": 1.0, "next_attempt_at": nil, "status_code": 204.0, "duration_ms": 12.0,
		"error_class": nil, "answer": "thanks", "created_at": tried["created_at"], "attempted_at": tried["attempted_at"],
	}
	if diff := cmp.Diff(want, tried); diff != "" {
		t.Error(diff)
	}
	// The event of a test is in the history, with the webhook and without its secret.
	events := h.Expect(t, get("/v1/events?type=webhook.test", token), http.StatusOK, "")
	if rows := data[[]struct{ Data map[string]map[string]any }](t, events); len(rows) != 1 || rows[0].Data["webhook"]["url"] != hookURL || strings.Contains(string(events.Body), "secret\"") {
		t.Errorf("the history says %s", events.Body)
	}
	again := data[map[string]any](t, h.Expect(t, post(path+"/deliveries/"+tried["id"].(string)+"/replay", token, ""), http.StatusAccepted, ""))
	if again["event_id"] != tried["event_id"] || again["id"] == tried["id"] || again["state"] != "pending" || again["next_attempt_at"] == nil || again["status_code"] != nil || again["duration_ms"] != nil {
		t.Errorf("the repeat is %v", again)
	}
	h.hooks.hold()
	waiting := h.Expect(t, post(path+"/test", token, ""), http.StatusAccepted, "")
	pending := data[map[string]any](t, waiting)["id"].(string)
	h.Expect(t, post(path+"/deliveries/"+pending+"/replay", token, ""), http.StatusConflict, "CONFLICT")
	for _, id := range []string{messaging.NewID(messaging.DeliveryPrefix, time.Now()), "dlv_x", "%00"} {
		h.Expect(t, post(path+"/deliveries/"+id+"/replay", token, ""), http.StatusNotFound, "NOT_FOUND")
	}
	all := []string{pending, again["id"].(string), tried["id"].(string)}
	for query, want := range map[string][]string{
		"": all, "?state=delivered": all[2:], "?state=pending": all[:2], "?state=failed": {}, "?limit=1": all[:1], "?after=" + all[2]: {all[1], all[0]},
	} {
		rows := data[[]struct{ ID string }](t, h.Expect(t, get(path+"/deliveries"+query, token), http.StatusOK, ""))
		got := make([]string, 0, len(rows))
		for _, row := range rows {
			got = append(got, row.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("deliveries%s:\n%s", query, diff)
		}
	}
	forward := h.Expect(t, get(path+"/deliveries?limit=1&after="+all[2], token), http.StatusOK, "")
	if rows := data[[]struct{ ID string }](t, h.Expect(t, get(path+"/deliveries?limit=1&after="+all[2]+"&cursor="+next(t, forward), token), http.StatusOK, "")); len(rows) != 1 || rows[0].ID != all[0] {
		t.Errorf("the second page forward shows %v", rows)
	}
	for _, query := range []string{"?state=lost", "?after=evt_x", "?cursor=x", "?instance=a"} {
		h.Expect(t, get(path+"/deliveries"+query, token), http.StatusBadRequest, "BAD_REQUEST")
	}
}

// One Idempotency-Key for two deliveries of a webhook means two requests.
func TestRepeatsOfTwoDeliveriesAreTwoRequests(t *testing.T) {
	h := open(t)
	token := h.key(t, "*")
	path := "/v1/webhooks/" + h.hook(t, token, `{"url":"`+hookURL+`"}`)["id"].(string)
	made := make(map[string]bool)
	for range 2 {
		tried := data[struct{ ID string }](t, h.Expect(t, post(path+"/test", token, ""), http.StatusOK, "")).ID
		request := post(path+"/deliveries/"+tried+"/replay", token, "")
		request.Header = map[string]string{"Idempotency-Key": "once"}
		for range 2 {
			made[data[struct{ ID string }](t, h.Expect(t, request, http.StatusAccepted, "")).ID] = true
		}
	}
	if len(made) != 2 {
		t.Errorf("%d deliveries were queued, want 2", len(made))
	}
}

func TestReplayingATime(t *testing.T) {
	h := open(t)
	token := h.key(t, "webhooks:manage")
	path := "/v1/webhooks/" + h.hook(t, token, `{"url":"`+hookURL+`"}`)["id"].(string) + "/replay"
	for body, want := range map[string]map[string]any{
		`{"since":"2026-01-31T12:00:00Z","until":"2026-02-01T00:00:00-03:00"}`:                  {"queued": 3.0, "more": false, "last": "2026-02-01T03:00:00.000Z"},
		`{"since":"2026-01-31T12:00:00Z","until":"2026-02-01T00:00:00Z","include":"failed"}`:    {"queued": 3.0, "more": false, "last": "2026-02-01T00:00:00.000Z"},
		`{"since":"2026-01-31T12:00:00.5Z","until":"2026-02-01T00:00:00.250Z","include":"all"}`: {"queued": 10000.0, "more": true, "last": "2026-02-01T00:00:00.250Z"},
	} {
		if diff := cmp.Diff(want, data[map[string]any](t, h.Expect(t, post(path, token, body), http.StatusAccepted, ""))); diff != "" {
			t.Errorf("%s:\n%s", body, diff)
		}
	}
	for _, body := range []string{
		``, `{}`, `{"since":"yesterday"}`, `{"since":"2026-01-31"}`, `{"since":"2026-01-31T12:00:00Z","include":"some"}`, `{"since":7}`,
		`{"since":"2026-01-31T12:00:00Z","until":"2026-01-30T12:00:00Z"}`, `{"since":"2026-01-31T12:00:00Z","to":"2026-01-30T12:00:00Z"}`,
	} {
		h.Expect(t, post(path, token, body), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	}
}

// A disabled webhook is told nothing, not even a test.
func TestADisabledWebhookCannotBeTested(t *testing.T) {
	h := open(t)
	token := h.key(t, "*")
	made := h.hook(t, token, `{"url":"`+hookURL+`","enabled":false}`)
	path := "/v1/webhooks/" + made["id"].(string)
	h.Expect(t, post(path+"/test", token, ""), http.StatusConflict, "WEBHOOK_DISABLED")
	h.hooks.mu.Lock()
	e := &h.hooks.endpoints[0]
	e.DisabledReason, e.DisabledAt, e.FailingSince = messaging.ReasonFailing, time.Now(), time.Now().Add(-time.Hour)
	h.hooks.mu.Unlock()
	shown := data[map[string]any](t, h.Expect(t, get(path, token), http.StatusOK, ""))
	if shown["disabled_reason"] != "failing" || shown["disabled_at"] == nil || shown["failing_since"] == nil {
		t.Errorf("shown as %v", shown)
	}
	shown = data[map[string]any](t, h.Expect(t, patch(path, token, `{"enabled":true}`), http.StatusOK, ""))
	if fmt.Sprint(shown["disabled_reason"], shown["disabled_at"], shown["failing_since"]) != "<nil> <nil> <nil>" {
		t.Errorf("enabled again as %v", shown)
	}
}
