package gateway_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/gateway"
	"portaria/messaging"
	"portaria/sandbox"
)

// shownInstance is what tests look at of an instance.
type shownInstance struct {
	ID     string
	State  string
	Reason string `json:"state_reason"`
	Phone  string
}

// control asks for a control of an instance.
func (h *house) control(t *testing.T, token, instance, act, body string, status int, code string) shownInstance {
	t.Helper()
	answer := h.Expect(t, post("/v1/sandbox/instances/"+instance+"/"+act, token, body), status, code)
	if code != "" {
		return shownInstance{}
	}
	return data[shownInstance](t, answer)
}

// A test of faults must be able to rely on the answer: the instance is shown as
// the control left it.
func TestControlsShowWhatTheyBringAbout(t *testing.T) {
	h := open(t)
	i := h.instance(t, "shop")
	token := h.key(t, "sandbox:run")
	for _, step := range []struct{ act, body, state, reason string }{
		{"drop", `{"seconds":1.5}`, "disconnected", "network_unreachable"},
		{"reconnect", ``, "connected", ""},
		{"drop", `{}`, "disconnected", "network_unreachable"},
		{"reconnect", `{}`, "connected", ""},
		{"ban", `{"seconds":31622400}`, "restricted", "temporary_ban"},
		{"ban", `{"seconds":null}`, "banned", "banned"},
		{"reconnect", `{}`, "connected", ""},
		{"logout", `{}`, "logged_out", "device_removed"},
	} {
		got := h.control(t, token, "shop", step.act, step.body, http.StatusOK, "")
		if got.ID != i.ID || got.State != step.state || got.Reason != step.reason {
			t.Errorf("%s: %+v, want %s %s", step.act, got, step.state, step.reason)
		}
	}
	want := []time.Duration{1500 * time.Millisecond, 0, 366 * 24 * time.Hour, 0}
	if diff := cmp.Diff(want, h.sandbox.lasted()); diff != "" {
		t.Error(diff)
	}
}

// What cannot be done to an instance, and what is no time, changes nothing.
func TestControlsRefuse(t *testing.T) {
	h := open(t)
	h.instance(t, "on")
	h.unpaired(t, "new")
	token := h.key(t, "sandbox:run")
	for _, c := range []struct{ instance, act, body, code, fields string }{
		{"new", "drop", `{}`, "INSTANCE_NOT_CONNECTED", ""},
		{"new", "logout", `{}`, "CONFLICT", ""},
		{"new", "ban", `{}`, "CONFLICT", ""},
		{"new", "scan", `{}`, "INSTANCE_NOT_PAIRING", ""},
		{"on", "scan", `{}`, "INSTANCE_NOT_PAIRING", ""},
		{"on", "reconnect", `{}`, "CONFLICT", ""},
		{"on", "drop", `{"seconds":0}`, "VALIDATION_FAILED", "seconds:range"},
		{"on", "drop", `{"seconds":-1}`, "VALIDATION_FAILED", "seconds:range"},
		{"on", "drop", `{"seconds":1e-12}`, "VALIDATION_FAILED", "seconds:range"},
		{"on", "drop", `{"seconds":31622401}`, "VALIDATION_FAILED", "seconds:range"},
		{"on", "ban", `{"seconds":1e300}`, "VALIDATION_FAILED", "seconds:range"},
		{"on", "ban", `{"seconds":"5s"}`, "VALIDATION_FAILED", "seconds:type"},
		{"on", "ban", `{"for":5}`, "VALIDATION_FAILED", "for:unknown"},
		{"on", "reconnect", `{"seconds":5}`, "VALIDATION_FAILED", "seconds:unknown"},
		{"on", "scan", `{"code":5}`, "VALIDATION_FAILED", "code:type"},
		{"on", "logout", `[]`, "VALIDATION_FAILED", ":type"},
	} {
		answer := h.Do(t, post("/v1/sandbox/instances/"+c.instance+"/"+c.act, token, c.body))
		if answer.Code() != c.code || fieldRules(t, answer) != c.fields {
			t.Errorf("%s %s %s: %s %q, want %s %q", c.instance, c.act, c.body, answer.Code(), fieldRules(t, answer), c.code, c.fields)
		}
	}
	if got := h.sandbox.lasted(); got != nil {
		t.Errorf("something was done: %v", got)
	}
}

// A code is what the instance shows, in any of its forms: scripts copy the link
// of the QR, or its text, or type the code.
func TestAScanTakesWhatIsShown(t *testing.T) {
	for name, c := range map[string]struct {
		phone, code string
		refused     string
	}{
		"whatever is shown":      {},
		"the link of the QR":     {code: "http://elsewhere.example" + gateway.ScanPath + firstToken + " "},
		"the text of the QR":     {code: sandbox.LinkQR(firstToken)},
		"the code":               {phone: "5511912345678", code: "ABCD-1234"},
		"another code":           {phone: "5511912345678", code: "ABCD-1235", refused: "PAIRING_CODE_WRONG"},
		"a code instead of a QR": {code: "ABCD-1234", refused: "PAIRING_CODE_WRONG"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			i := h.unpaired(t, "new")
			tenancy := messaging.NewTenancy(workspace, messaging.Test, messaging.AllInstances())
			if _, err := h.Connect(t.Context(), tenancy, i.ID, c.phone); err != nil {
				t.Fatal(err)
			}
			status := http.StatusOK
			if c.refused != "" {
				status = http.StatusConflict
			}
			got := h.control(t, h.key(t, "sandbox:run"), "new", "scan", `{"code":"`+c.code+`"}`, status, c.refused)
			if c.refused == "" && (got.State != "connected" || got.Phone == "") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// silent is a network whose changes another process takes in.
type silent struct{ phones }

func (silent) Drop(context.Context, messaging.TestInstance, time.Duration) error { return nil }

// The change is recorded when the control returns; should the instance not show
// it in time, the answer still says what has been done.
func TestAControlThatIsTakenInLateIsAnsweredAsDone(t *testing.T) {
	h := open(t, func(o *gateway.Options) { o.Controls = silent{} })
	h.instance(t, "shop")
	got := h.control(t, h.key(t, "sandbox:run"), "shop", "drop", `{}`, http.StatusOK, "")
	if got.State != "disconnected" || got.Reason != "network_unreachable" {
		t.Errorf("got %+v", got)
	}
}

// A key that is locked to an instance controls that one and no other.
func TestALockedKeyControlsItsInstance(t *testing.T) {
	h := open(t)
	mine := h.instance(t, "mine")
	h.instance(t, "other")
	token := h.locked(t, []string{"sandbox:run"}, mine.ID)
	h.control(t, token, "mine", "drop", `{}`, http.StatusOK, "")
	h.control(t, token, "other", "drop", `{}`, http.StatusForbidden, "INSTANCE_NOT_ALLOWED")
	h.Expect(t, post("/v1/sandbox/instances/other/inbound", token, `{"from":"+5511912345678","text":"a"}`), http.StatusForbidden, "INSTANCE_NOT_ALLOWED")
	h.Expect(t, post("/v1/sandbox/reset", token, ``), http.StatusForbidden, "KEY_IS_INSTANCE_LOCKED")
}

// A reset is of the whole world, and happens once for each request.
func TestAResetIsPassedOn(t *testing.T) {
	h := open(t)
	answer := h.Expect(t, post("/v1/sandbox/reset", h.key(t, "sandbox:run"), ``), http.StatusOK, "")
	if !data[struct{ Reset bool }](t, answer).Reset || h.sandbox.resets != 1 {
		t.Errorf("%s, %d resets", answer.Body, h.sandbox.resets)
	}
}
