package gateway_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/auth"
	"portaria/gateway/gatewaytest"
	"portaria/messaging"
	"portaria/sandbox"
	"portaria/sandbox/runs"
)

// shownRun is what tests look at of a run.
type shownRun struct {
	ID         string
	InstanceID string `json:"instance_id"`
	State      string
	Passed     bool
	Steps      []struct {
		Number    int
		Step      string
		Passed    bool
		MessageID string `json:"message_id"`
		Problem   *struct{ Code string }
		Text      string
	}
	Timeline []string
}

// script posts a script.
func script(token, steps string) gatewaytest.Request {
	return post("/v1/sandbox/runs", token, `{"steps":[`+steps+`]}`)
}

// A script becomes the steps that its author wrote, each with what it needs.
func TestAScriptIsHandedOnAsItWasWritten(t *testing.T) {
	h := open(t)
	request := script(h.key(t, "sandbox:run", "whatsapp:send"), `{"send":{"to":"+15005550006","text":"Olá"}},`+
		`{"send":{"to":"nobody","text":"Olá"},"fails":"INVALID_RECIPIENT"},{"inbound":{`+ana+`,"text":"Oi"}},`+
		`{"expect":{"event":"message.read","absent":true}},{"expect":{"event":"message.read","within":"366d"}},`+
		`{"advance":{"seconds":1.5}},{"advance":60},{"advance":"2h"},{"drop":{"seconds":5}},"drop",{"drop":null},{"reconnect":{}},`+
		`{"connect":{}},{"scan":{"code":" https://x/sandbox/scan/T "}},"scan",{"logout":{},"fails":"CONFLICT"},{"ban":{"seconds":2}},{"ban":{}}`)
	request.Header = map[string]string{"X-Sandbox-Seed": "a seed"}
	h.Expect(t, request, http.StatusCreated, "")
	type step struct {
		Kind    runs.Kind
		Acts    bool
		Fails   string
		Event   messaging.EventType
		Within  time.Duration
		Absent  bool
		Matches bool
		Lasts   time.Duration
		Code    string
	}
	var got []step
	s := h.sandbox.script(t)
	for _, one := range s.Steps {
		e := one.Expect
		got = append(got, step{one.Kind, one.Act != nil, one.Fails, e.Event, e.Within, e.Absent, e.Matches != nil, one.Lasts, one.Code})
	}
	want := []step{
		{Kind: "send", Acts: true},
		{Kind: "send", Acts: true, Fails: "INVALID_RECIPIENT"},
		{Kind: "inbound", Acts: true},
		{Kind: "expect", Event: "message.read", Within: 5 * time.Second, Absent: true},
		{Kind: "expect", Event: "message.read", Within: 366 * 24 * time.Hour},
		{Kind: "advance", Lasts: 1500 * time.Millisecond},
		{Kind: "advance", Lasts: time.Minute},
		{Kind: "advance", Lasts: 2 * time.Hour},
		{Kind: "drop", Lasts: 5 * time.Second},
		{Kind: "drop"},
		{Kind: "drop"},
		{Kind: "reconnect"},
		{Kind: "connect"},
		{Kind: "scan", Code: sandbox.LinkQR("T")},
		{Kind: "scan"},
		{Kind: "logout", Fails: "CONFLICT"},
		{Kind: "ban", Lasts: 2 * time.Second},
		{Kind: "ban"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s.Seed != "a seed" || s.Instance != nil || s.Unpaired || s.KeyID == "" || s.Lineage == "" || h.sandbox.drawn("a seed") != 0 {
		t.Errorf("%+v", s)
	}
}

// A run is shown when it has been played, and afterwards.
func TestARunIsShownAgain(t *testing.T) {
	h := open(t)
	i := h.instance(t, "shop")
	token := h.key(t, "sandbox:run", "whatsapp:send")
	answer := h.Expect(t, post("/v1/sandbox/runs", token, `{"name":"an order","instance":"shop","steps":[`+
		`{"send":{"to":"+15005550006","text":"Olá"}},{"send":{"to":"nobody","text":"Olá"},"fails":"INVALID_RECIPIENT"},`+
		`{"send":{"to":"nobody","text":"Olá"}}]}`), http.StatusCreated, "")
	run := data[shownRun](t, answer)
	if run.Passed || run.State != "ended" || run.InstanceID != i.ID || len(run.Steps) != 3 || len(run.Timeline) != 3 {
		t.Fatalf("%+v", run)
	}
	for n, want := range []struct {
		passed bool
		code   string
	}{{true, ""}, {true, "INVALID_RECIPIENT"}, {false, "INVALID_RECIPIENT"}} {
		got := run.Steps[n]
		code := ""
		if got.Problem != nil {
			code = got.Problem.Code
		}
		if got.Number != n+1 || got.Passed != want.passed || code != want.code || (got.MessageID != "") != (n == 0) {
			t.Errorf("step %d: %+v", n+1, got)
		}
	}
	shown := h.Expect(t, get("/v1/sandbox/runs/"+run.ID, token), http.StatusOK, "")
	if diff := cmp.Diff(run, data[shownRun](t, shown)); diff != "" {
		t.Error(diff)
	}
	other := h.instance(t, "other")
	for path, key := range map[string]string{
		run.ID: h.locked(t, []string{"sandbox:run"}, other.ID), "run_01jd00000000000000000000aa": token, "x": token, i.ID: token,
	} {
		h.Expect(t, get("/v1/sandbox/runs/"+path, key), http.StatusNotFound, "NOT_FOUND")
	}
}

// Everything that is wrong with a script is told at once, with the place, and
// nothing of it is played.
func TestScriptsAreCheckedBeforeTheyArePlayed(t *testing.T) {
	h := open(t)
	token := h.key(t, "*")
	many := strings.TrimSuffix(strings.Repeat(`"drop",`, runs.MaxSteps+1), ",")
	for body, want := range map[string]string{
		`{}`:                       "steps:length",
		`{"steps":null}`:           "steps:length",
		`{"steps":[]}`:             "steps:length",
		`{"steps":{}}`:             "steps:type",
		`{"steps":[` + many + `]}`: "steps:length",
		`{"name":"` + strings.Repeat("a", 101) + `","steps":["drop"]}`:                                              "name:max_length",
		`{"name":"a\nb","steps":["drop"]}`:                                                                          "name:format",
		`{"instance":"a","unpaired":true,"steps":["drop"]}`:                                                         "unpaired:requires",
		`{"until":1,"steps":["drop"]}`:                                                                              "until:unknown",
		`{"steps":[null,{},{"fails":"A"},5]}`:                                                                       "steps[3]:type steps[0]:required steps[1]:required steps[2]:required",
		`{"steps":["send","Drop","hop"]}`:                                                                           "steps[0]:enum steps[1]:enum steps[2]:enum",
		`{"steps":[{"drop":{},"ban":{}}]}`:                                                                          "steps[0].ban:requires",
		`{"steps":[{"hop":{}}]}`:                                                                                    "steps[0].hop:unknown steps[0]:required",
		`{"steps":[{"drop":5}]}`:                                                                                    "steps[0].drop:type",
		`{"steps":["drop",{"drop":{"seconds":0,"x":1}}]}`:                                                           "steps[1].drop.x:unknown steps[1].drop.seconds:range",
		`{"steps":[{"reconnect":{"seconds":1}}]}`:                                                                   "steps[0].reconnect.seconds:unknown",
		`{"steps":[{"ban":{"seconds":-1}},{"scan":{"code":1}}]}`:                                                    "steps[1].scan.code:type steps[0].ban.seconds:range",
		`{"steps":["drop","drop",{"send":{"text":"a"}}]}`:                                                           "steps[2].send.to:required",
		`{"steps":[{"send":{"to":"x","text":{"body":5}}}]}`:                                                         "steps[0].send.text.body:type",
		`{"steps":[{"send":{"to":"x","image":{"url":"a","base64":"%"}}}]}`:                                          "steps[0].send.image:requires steps[0].send.image.base64:format",
		`{"steps":[{"send":{"to":"x","text":"a","wait":"sent"}}]}`:                                                  "steps[0].send.wait:unknown",
		`{"steps":[{"send":{"to":"x","text":"a"},"fails":"nope"}]}`:                                                 "steps[0].fails:pattern",
		`{"steps":[{"advance":1,"fails":"A"}]}`:                                                                     "steps[0].fails:requires",
		`{"steps":[{"inbound":{"text":"a"}},{"inbound":{"type":"call"}}]}`:                                          "steps[0].inbound.from:required steps[1].inbound.from:required",
		`{"steps":[{"expect":{}},{"expect":{"event":"message.red"}}]}`:                                              "steps[0].expect.event:required steps[1].expect.event:enum",
		`{"steps":[{"expect":{"event":"message.read","within":5}}]}`:                                                "steps[0].expect.within:type",
		`{"steps":[{"expect":{"event":"message.read","within":"5"}}]}`:                                              "steps[0].expect.within:duration",
		`{"steps":[{"expect":{"event":"message.read","within":"367d"}}]}`:                                           "steps[0].expect.within:max",
		`{"steps":[{"expect":{"event":"message.read","match":[]}}]}`:                                                "steps[0].expect.match:type",
		`{"steps":[{"expect":{"event":"message.read","match":{"mesage":{},"a":1}}}]}`:                               "steps[0].expect.match.a:unknown steps[0].expect.match.mesage:unknown",
		`{"steps":[{"expect":{"event":"call.received","match":{"message":{}}}}]}`:                                   "steps[0].expect.match.message:unknown",
		`{"steps":[{"expect":{"event":"message.read","match":{"message":"` + strings.Repeat("a", 17<<10) + `"}}}]}`: "steps[0].expect.match:max_bytes",
		`{"steps":[{"advance":-1},{"advance":31622401},{"advance":{}},{"advance":"1"},{"advance":"367d"},{"advance":[]}]}`: "steps[5].advance:type steps[0].advance.seconds:range " +
			"steps[1].advance.seconds:range steps[2].advance.seconds:required steps[3].advance:duration steps[4].advance:max",
		`{"steps":[{"inbound":{"type":"edit","message_id":"step:1","text":"a"}}]}`:            "steps[0].inbound.message_id:not_found",
		`{"steps":["drop",{"inbound":{"type":"revoke","message_id":"step:1"}}]}`:              "steps[1].inbound.message_id:not_found",
		`{"steps":["drop",{"send":{"to":"x","text":"a","reply_to":"step:01"}}]}`:              "steps[1].send.reply_to:not_found",
		`{"steps":[{"inbound":{` + ana + `,"reaction":{"message_id":"step:x","emoji":""}}}]}`: "steps[0].inbound.reaction.message_id:not_found",
	} {
		answer := h.Do(t, post("/v1/sandbox/runs", token, body))
		if answer.Code() != "VALIDATION_FAILED" || fieldRules(t, answer) != want {
			t.Errorf("%.200s:\n%s %q\nwant %q", body, answer.Code(), fieldRules(t, answer), want)
		}
	}
	for _, message := range []string{`"buttons":[]`, `"type":"list"`} {
		for _, step := range []string{`{"send":{"to":"x",` + message + `}}`, `{"inbound":{` + ana + `,` + message + `}}`} {
			answer := h.Expect(t, script(token, `"drop",`+step), http.StatusUnprocessableEntity, "UNSUPPORTED_MESSAGE_TYPE")
			if !strings.Contains(string(answer.Body), `"field":"steps[1]`) {
				t.Errorf("%s: %s", step, answer.Body)
			}
		}
	}
	if n := h.accepted(); n != 0 || h.sandbox.scripts != nil {
		t.Errorf("%d messages, %d scripts", n, len(h.sandbox.scripts))
	}
}

// What an event is expected to hold is compared with the event as it is shown.
func TestAMatchIsASubsetOfTheEvent(t *testing.T) {
	h := open(t)
	shop := h.instance(t, "shop")
	token := h.key(t, "sandbox:run")
	m := messaging.Message{
		ID: "msg_1", InstanceID: shop.ID, Environment: messaging.Test, Direction: messaging.Outbound,
		Peer:    messaging.Address{Input: "+1", WAID: "1@s.whatsapp.net"},
		Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: "Olá"}, Mentions: []string{"a", "b"}},
	}
	event := messaging.Event{
		Type: "message.failed", Message: &m,
		State: messaging.State{Status: messaging.StatusFailed, Attempts: 2, Error: &messaging.SendError{Code: "NOT_ON_WHATSAPP"}},
	}
	for match, want := range map[string]bool{
		`{"message":{}}`: true, `{"message":{"status":"failed","attempts":2}}`: true,
		`{"message":{"error":{"code":"NOT_ON_WHATSAPP"},"to":{"input":"+1"}}}`: true,
		`{"message":{"content":{"mentions":["a","b"],"preview_url":false}}}`:   true, `{"message":{"metadata":null}}`: true,
		`{"message":{"content":{"mentions":["a"]}}}`: false, `{"message":{"status":"sent"}}`: false, `{"message":{"attempts":"2"}}`: false,
		`{"message":{"metadata":{}}}`: false, `{"message":{"nothing":null}}`: false, `{"message":null}`: false, `{"message":{"error":{"code":{}}}}`: false,
	} {
		h.Expect(t, script(token, `{"expect":{"event":"message.failed","match":`+match+`}}`), http.StatusCreated, "")
		if got := h.sandbox.script(t).Steps[0].Expect.Matches(&event); got != want {
			t.Errorf("%s: %v, want %v", match, got, want)
		}
	}
	h.Expect(t, script(token, `{"expect":{"event":"message.failed","match":{}}}`), http.StatusCreated, "")
	if h.sandbox.script(t).Steps[0].Expect.Matches != nil {
		t.Error("an empty match narrows")
	}
}

// A locked key plays on its own instances only.
func TestALockedKeyPlaysOnItsInstances(t *testing.T) {
	h := open(t)
	one, two, other := h.instance(t, "one"), h.instance(t, "two"), h.instance(t, "other")
	single, double := h.locked(t, []string{"sandbox:run"}, one.ID), h.locked(t, []string{"sandbox:run"}, one.ID, two.ID)
	play := func(token, instance string, status int, code string) shownRun {
		t.Helper()
		answer := h.Expect(t, post("/v1/sandbox/runs", token, `{`+instance+`"steps":["drop"]}`), status, code)
		if code != "" {
			return shownRun{}
		}
		return data[shownRun](t, answer)
	}
	for _, c := range []struct{ token, instance, want string }{
		{single, ``, one.ID}, {single, `"instance":"one",`, one.ID}, {double, `"instance":"two",`, two.ID}, {double, `"instance":"` + two.ID + `",`, two.ID},
	} {
		if got := play(c.token, c.instance, http.StatusCreated, ""); got.InstanceID != c.want {
			t.Errorf("%s: played on %s", c.instance, got.InstanceID)
		}
	}
	play(double, ``, http.StatusBadRequest, "INSTANCE_REQUIRED")
	play(single, `"instance":"other",`, http.StatusForbidden, "INSTANCE_NOT_ALLOWED")
	play(single, `"instance":"`+other.ID+`",`, http.StatusForbidden, "INSTANCE_NOT_ALLOWED")
	play(single, `"instance":"nobody",`, http.StatusForbidden, "INSTANCE_NOT_ALLOWED")
	all := h.key(t, "sandbox:run")
	play(all, `"instance":"nobody",`, http.StatusNotFound, "INSTANCE_NOT_FOUND")
	play(all, `"instance":"a\u0000b",`, http.StatusNotFound, "INSTANCE_NOT_FOUND")
	if got := play(all, ``, http.StatusCreated, ""); got.InstanceID != "" || h.sandbox.script(t).Instance != nil {
		t.Errorf("no instance of its own: %+v", got)
	}
	play(all, `"unpaired":true,`, http.StatusCreated, "")
	if !h.sandbox.script(t).Unpaired {
		t.Error("unpaired is not handed on")
	}
	answer := h.Expect(t, post("/v1/sandbox/runs", single, `{"unpaired":true,"steps":["drop"]}`), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	if rules := fieldRules(t, answer); rules != "unpaired:requires" {
		t.Errorf("a locked key's unpaired run: %s", rules)
	}
}

// Scripts send in the name of their key: it needs the scope, and pays.
func TestAScriptSendsInTheNameOfItsKey(t *testing.T) {
	h := open(t)
	h.instance(t, "shop")
	const sends = `{"instance":"shop","steps":[{"inbound":{` + ana + `,"text":"Oi"}},{"send":{"to":"+5511912345678","text":"Olá"}}]}`
	answer := h.Expect(t, post("/v1/sandbox/runs", h.key(t, "sandbox:run"), sends), http.StatusForbidden, "INSUFFICIENT_SCOPE")
	if !strings.Contains(string(answer.Body), `"required":["sandbox:run","whatsapp:send"]`) {
		t.Errorf("%s", answer.Body)
	}
	id, token := h.Mint(t, auth.NewKey{Environment: messaging.Test, Scopes: []string{"*"}, AllInstances: true, MessagesPerMinute: 1})
	answer = h.Expect(t, post("/v1/sandbox/runs", token, sends), http.StatusCreated, "")
	if !data[shownRun](t, answer).Passed || !strings.Contains(answer.Header.Get("RateLimit"), `"messages";r=0`) {
		t.Errorf("%s\n%s", answer.Header.Get("RateLimit"), answer.Body)
	}
	if m := h.messages[1]; m.KeyID != id || m.Lineage == "" || m.Direction != messaging.Outbound || h.messages[0].KeyID != "" {
		t.Errorf("%+v", h.messages)
	}
	answer = h.Expect(t, post("/v1/sandbox/runs", token, sends), http.StatusCreated, "")
	if run := data[shownRun](t, answer); run.Passed || run.Steps[1].Problem.Code != "RATE_LIMITED" {
		t.Errorf("%s", answer.Body)
	}
}

// Files of steps are read when their turn comes, also out of the script itself.
func TestStepsBringTheirFiles(t *testing.T) {
	h := open(t)
	h.instance(t, "shop")
	picture := `"image":{"base64":"` + b64(pngFile) + `"}`
	pdf := `"document":{"base64":"` + b64(pdfFile) + `","filename":"a.pdf"}`
	answer := h.Expect(t, post("/v1/sandbox/runs", h.key(t, "*"), `{"instance":"shop","steps":[{"send":{"to":"+5511912345678",`+picture+`}},`+
		`{"inbound":{`+ana+`,`+pdf+`}},{"inbound":{`+ana+`,"image":{"url":"http://10.0.0.1/a.png"}},"fails":"URL_NOT_ALLOWED"}]}`), http.StatusCreated, "")
	if !data[shownRun](t, answer).Passed {
		t.Fatalf("%s", answer.Body)
	}
	if one, two := h.messages[0].Content.Media, h.messages[1].Content.Media; one.MIME != "image/png" || two.MIME != "application/pdf" || two.Size != int64(len(pdfFile)) {
		t.Errorf("%+v %+v", one, two)
	}
	if n := h.files(t); n != 2 {
		t.Errorf("%d files", n)
	}
}

// A step can answer, react to, edit and delete what an earlier one made, whose
// id nobody knows beforehand.
func TestStepsReferToEarlierOnes(t *testing.T) {
	h := open(t)
	h.instance(t, "shop")
	answer := h.Expect(t, post("/v1/sandbox/runs", h.key(t, "*"), `{"instance":"shop","steps":[{"send":{"to":"+5511912345678","text":"Olá"}},`+
		`{"inbound":{`+ana+`,"text":"Oi","reply_to":"step:1"}},{"inbound":{`+ana+`,"reaction":{"message_id":"step:1","emoji":"👍"}}},`+
		`{"send":{"to":"+5511912345678","text":"Sim","reply_to":"step:2"}},{"send":{"to":"+5511912345678","reaction":{"message_id":"step:2","emoji":"👍"}}},`+
		`{"inbound":{"type":"edit","message_id":"step:2","text":"Oi!"}},{"inbound":{"type":"revoke","message_id":"step:6"}},`+
		`{"send":{"to":"nobody","text":"a"},"fails":"INVALID_RECIPIENT"},{"inbound":{"type":"revoke","message_id":"step:8"},"fails":"VALIDATION_FAILED"}]}`),
		http.StatusCreated, "")
	if !data[shownRun](t, answer).Passed {
		t.Fatalf("%s", answer.Body)
	}
	first, second := h.messages[0], h.messages[1]
	if second.Content.ReplyTo.MessageID != first.ID || h.messages[2].Content.Reaction.Message.MessageID != first.ID ||
		h.messages[3].Content.ReplyTo.MessageID != second.ID || h.messages[4].Content.Reaction.Message.MessageID != second.ID {
		t.Errorf("%+v", h.messages)
	}
	if second.Content.Text.Body != "Oi!" || second.RevokedAt.IsZero() {
		t.Errorf("%+v", second)
	}
}

// An instance in a run refuses others, and a repeated request is the same run.
func TestARunIsPlayedOnce(t *testing.T) {
	h := open(t)
	h.instance(t, "shop")
	token := h.key(t, "*")
	first := h.Expect(t, keyed("/v1/sandbox/runs", token, "k", `{"steps":[{"send":{"to":"+15005550006","text":"a"}}]}`), http.StatusCreated, "")
	again := h.Expect(t, keyed("/v1/sandbox/runs", token, "k", `{"steps":[{"send":{"to":"+15005550006","text":"a"}}]}`), http.StatusCreated, "")
	if string(first.Body) != string(again.Body) || len(h.sandbox.scripts) != 1 || h.accepted() != 1 {
		t.Errorf("%d scripts, %d messages", len(h.sandbox.scripts), h.accepted())
	}
	h.sandbox.play = func(context.Context, *runs.Script) (runs.Run, error) { return runs.Run{}, runs.ErrInProgress }
	h.Expect(t, post("/v1/sandbox/runs", token, `{"instance":"shop","steps":["drop"]}`), http.StatusConflict, "SANDBOX_RUN_IN_PROGRESS")
}

// The timeline is to be read: in columns, each line with its time.
func TestTheTimelineIsReadable(t *testing.T) {
	h := open(t)
	h.sandbox.play = func(context.Context, *runs.Script) (runs.Run, error) {
		began := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
		return runs.Run{ID: "run_01jd00000000000000000000aa", State: runs.Ended, StartedAt: began, EndedAt: began, Report: runs.Report{
			Began: began, Elapsed: 65 * time.Second,
			Steps: []runs.StepReport{
				{Kind: runs.Send, Passed: true, MessageID: "msg_1", Events: []runs.Happening{{ID: "evt_1", Type: "message.queued", MessageID: "msg_1"}}},
				{Kind: runs.Expect, Passed: true, Took: 300 * time.Millisecond, Met: "evt_3", MessageID: "msg_1", Events: []runs.Happening{
					{ID: "evt_2", Type: "message.sent", At: 0, MessageID: "msg_1"},
					{ID: "evt_3", Type: "message.read", At: 300 * time.Millisecond, MessageID: "msg_1"},
				}},
				{Kind: runs.Send, Passed: true, At: 300 * time.Millisecond, Problem: &runs.Problem{Code: "INVALID_RECIPIENT", Message: "No."}},
				{Kind: runs.Expect, At: 300 * time.Millisecond, Took: time.Minute, Problem: &runs.Problem{Code: "EVENT_DID_NOT_COME", Message: "It did not come."}, Events: []runs.Happening{
					{ID: "evt_4", Type: "instance.disconnected", At: time.Minute, Says: "network_unreachable"},
				}},
				{Kind: runs.Expect, Passed: true, At: 60300 * time.Millisecond, Met: "evt_4"},
				{Kind: runs.Drop, Skipped: true, At: 2 * time.Hour},
			},
		}}, nil
	}
	got := data[shownRun](t, h.Expect(t, script(h.key(t, "sandbox:run"), `"drop"`), http.StatusCreated, ""))
	want := []string{
		"+0s      1 send                   passed  msg_1",
		"+0s        message.queued         msg_1",
		"+0s      2 expect                 passed  message.read +300ms  msg_1",
		"+0s        message.sent           msg_1",
		"+300ms     message.read           msg_1",
		"+300ms   3 send                   passed  refused as it should be  INVALID_RECIPIENT: No.",
		"+300ms   4 expect                 FAILED  EVENT_DID_NOT_COME: It did not come.",
		"+1m        instance.disconnected  network_unreachable",
		"+1m0.3s  5 expect                 passed  instance.disconnected +1m",
		"+2h      6 drop                   skipped",
	}
	if diff := cmp.Diff(want, got.Timeline); diff != "" {
		t.Error(diff)
	}
	if got.Steps[3].Text != "FAILED  EVENT_DID_NOT_COME: It did not come." {
		t.Errorf("%+v", got.Steps[3])
	}
}

// As many steps as may be are played, and the largest script fits.
func TestALongScriptIsPlayed(t *testing.T) {
	h := open(t)
	steps := strings.TrimSuffix(strings.Repeat(`"reconnect",`, runs.MaxSteps), ",")
	run := data[shownRun](t, h.Expect(t, script(h.key(t, "sandbox:run"), steps), http.StatusCreated, ""))
	if len(run.Steps) != runs.MaxSteps || len(run.Timeline) != runs.MaxSteps || !strings.Contains(run.Timeline[runs.MaxSteps-1], strconv.Itoa(runs.MaxSteps)) {
		t.Errorf("%d steps, %d lines", len(run.Steps), len(run.Timeline))
	}
}
