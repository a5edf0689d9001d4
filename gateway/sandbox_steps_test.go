package gateway

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox/runs"
)

// scriptSeeds are scripts, good and bad.
var scriptSeeds = []string{
	`{"steps":["drop",{"send":{"to":"+15005550006","text":"a"}},{"expect":{"event":"message.read","match":{"message":{"a":[1]}}}}]}`,
	`{"steps":[{"inbound":{"from":"+5511912345678","video":{"base64":"AAAA"}}},{"inbound":{"type":"call","video":true,"group":false}}]}`,
	`{"steps":[{"advance":1e308},{"advance":"1d"},{"advance":{"seconds":null}},{"drop":null},{"ban":{"seconds":1e-300}}]}`,
	`{"steps":[{"scan":{"code":"/sandbox/scan/"}},{"fails":"A"},{"send":{"to":"x","text":"a","reply_to":"step:1"},"fails":"B"},null,5,[]]}`,
	`{"name":"\u0000","steps":[{"inbound":{"type":"edit","message_id":"step:-1","caption":""}}],"unpaired":true}`,
	`{"steps":{}}`, `{"steps":[{"send":{"buttons":[]}}]}`, `{"steps":[{"drop":{},"drop":{}}]}`, `[]`, ``,
}

// Whatever a body holds, it becomes a script that can be played or a refusal:
// never a panic, a step of no kind, or a time that is none.
func FuzzScript(f *testing.F) {
	for _, seed := range scriptSeeds {
		f.Add([]byte(seed))
	}
	scopes, err := auth.ParseScopes([]string{"*"}, messaging.Test)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		call := testCall(messaging.Test)
		call.Grant.Scopes, call.Grant.AllInstances = scopes, true
		var script createRun
		if err := decodeBody(body, &script, call); err != nil {
			if fault.As(err) == nil {
				t.Fatalf("%q: %v is no fault", body, err)
			}
			return
		}
		if n := len(script.Steps); n == 0 || n > runs.MaxSteps || !jsontext.Value(body).IsValid() {
			t.Fatalf("%q has %d steps", body, n)
		}
		call.exchange.body = body
		p := call.exchange.server.newPlayer(call, len(script.Steps))
		for i := range script.Steps {
			checkPlayable(t, p.step(i, &script.Steps[i]))
		}
	})
}

// checkPlayable fails for a step that a run could not play.
func checkPlayable(t *testing.T, s runs.Step) {
	t.Helper()
	acts := s.Kind == runs.Send || s.Kind == runs.Inbound
	switch {
	case s.Kind == "", acts != (s.Act != nil), s.Lasts < 0 || s.Lasts > maxAhead:
	case s.Kind == runs.Expect && (s.Expect.Event == "" || s.Expect.Within < 0 || s.Expect.Within > maxAhead):
	case s.Fails != "" && (!isCode(s.Fails) || s.Kind == runs.Expect || s.Kind == runs.Advance):
	default:
		return
	}
	t.Fatalf("%+v", s)
}
