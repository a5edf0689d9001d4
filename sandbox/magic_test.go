package sandbox

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
)

// Every magic recipient does what API.md section 10 says, at exactly the times
// it says. Developers write their own tests against these.
func TestMagicRecipientsKeepTheirTimeline(t *testing.T) {
	for name, want := range map[string][]string{
		"0006": {"try 1: accepted at 0s", "sent 0s", "delivered 100ms", "read 300ms"},
		"4242": {"try 1: accepted at 0s", "sent 0s", "delivered 100ms", "read 300ms"},
		"0001": {"try 1: refused NOT_ON_WHATSAPP"},
		"0009": {"try 1: refused NOT_ON_WHATSAPP"},
		"0010": {"try 1: accepted at 0s"},
		"0011": {"try 1: accepted at 0s"},
		"0012": {"try 1: accepted at 0s", "sent 0s", "delivered 100ms"},
		"0013": {
			"try 1: deferred until 1s PROVIDER_ERROR", "try 2: deferred until 3s PROVIDER_ERROR", "try 3: accepted at 3s",
			"sent 3s", "delivered 3.1s", "read 3.3s",
		},
		"0014": {
			"instance disconnected 0s connection_lost", "try 1: deferred until 1s PROVIDER_ERROR", "instance connected 500ms",
			"try 2: accepted at 1s", "sent 1s", "delivered 1.1s", "read 1.3s",
		},
		"0015": {"try 1: refused PROVIDER_THROTTLED"},
		"0016": {"try 1: accepted at 0s", "sent 0s", "delivered 100ms", "delivered 200ms", "read 300ms"},
		"0017": {"try 1: accepted at 0s", "sent 0s", "read 100ms", "delivered 300ms"},
		"0018": {"try 1: pending", "sent 30s", "delivered 30.1s", "read 30.3s"},
		"0019": {
			"try 1: accepted at 0s", "sent 0s", "delivered 100ms", "read 300ms",
			`received "hi" from +15005550019 400ms`,
		},
		"0020": {"instance logged_out 0s device_removed", "try 1: deferred until 0s INSTANCE_LOGGED_OUT", "try 2: deferred"},
		"0021": {
			"try 1: held until 1h0m0s REACHOUT_TIMELOCKED", "try 2: accepted at 1h0m0s",
			"sent 1h0m0s", "delivered 1h0m0.1s", "read 1h0m0.3s",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.send(t.Context(), to(name))
			w.advance(t, 2*time.Hour)
			if diff := cmp.Diff(w.lines, want); diff != "" {
				t.Errorf("timeline (-got +want):\n%s", diff)
			}
		})
	}
}

func TestOnlyOneRecipientIsRefusedAtOnce(t *testing.T) {
	for _, number := range []string{"0000", "0001", "0009", "0021"} {
		if got, want := RefusesAtOnce(to(number).To), number == "0001"; got != want {
			t.Errorf("RefusesAtOnce(%s) = %v, want %v", number, got, want)
		}
	}
	for _, id := range []string{"15005510001@s.whatsapp.net", "15005550001@g.us", "150055500011@s.whatsapp.net", "15005550001@lid", ""} {
		if RefusesAtOnce(messaging.Address{WAID: id}) {
			t.Errorf("RefusesAtOnce(%q): it is not in the sandbox's range", id)
		}
	}
}

// A message waits at a logged-out instance and goes when its number is linked
// again: logging out is rehearsed once, not for ever.
func TestLoggedOutMessageGoesOnceLinkedAgain(t *testing.T) {
	w := newWorld(t)
	w.send(t.Context(), to("0020"), to("0006"))
	w.advance(t, time.Hour)
	if got := len(w.store.rows); got != 0 {
		t.Fatalf("carried %d while logged out, want 0", got)
	}
	_ = w.channel.Close()
	w.open(t, messaging.InstanceConnected, epoch)
	w.lines = nil
	for _, id := range []string{"msg_0020", "msg_0006"} {
		w.retries = append(w.retries, w.later[id].message)
	}
	w.advance(t, 0)
	if diff := cmp.Diff(w.lines, []string{"try 2: accepted at 1h0m0s", "try 1: accepted at 1h0m0s"}); diff != "" {
		t.Errorf("after linking (-got +want):\n%s", diff)
	}
}

func TestOverridesReplaceWhatTheRecipientDoes(t *testing.T) {
	for name, test := range map[string]struct {
		to       string
		override messaging.Override
		want     []string
	}{
		"sent":      {"0006", messaging.Override{Outcome: "sent"}, []string{"try 1: accepted at 0s"}},
		"delivered": {"0006", messaging.Override{Outcome: "delivered"}, []string{"try 1: accepted at 0s", "sent 0s", "delivered 100ms"}},
		"read, of one who fails": {"0009", messaging.Override{Outcome: "read"}, []string{
			"try 1: accepted at 0s", "sent 0s", "delivered 100ms", "read 300ms",
		}},
		"failed":             {"0006", messaging.Override{Outcome: "failed"}, []string{"try 1: refused PROVIDER_ERROR"}},
		"failed with a code": {"0006", messaging.Override{Outcome: "failed", Code: "RECIPIENT_BLOCKED"}, []string{"try 1: refused RECIPIENT_BLOCKED"}},
		"late acknowledgement": {"0006", messaging.Override{DelayMS: map[string]int64{"sent": 100}}, []string{
			"try 1: pending", "sent 100ms", "delivered 200ms", "read 400ms",
		}},
		"late acknowledgement and no more": {"0006", messaging.Override{Outcome: "sent", DelayMS: map[string]int64{"sent": 100}}, []string{
			"try 1: pending", "sent 100ms",
		}},
		"slow one made fast": {"0018", messaging.Override{DelayMS: map[string]int64{"sent": 0}}, []string{
			"try 1: accepted at 0s", "sent 0s", "delivered 100ms", "read 300ms",
		}},
		"late delivery, and what follows it": {"0019", messaging.Override{DelayMS: map[string]int64{"delivered": 5000}}, []string{
			"try 1: accepted at 0s", "sent 0s", "delivered 5s", "read 5.2s", `received "hi" from +15005550019 5.3s`,
		}},
		"read before delivered": {"0006", messaging.Override{DelayMS: map[string]int64{"delivered": 900, "read": 50}}, []string{
			"try 1: accepted at 0s", "sent 0s", "read 50ms", "delivered 900ms",
		}},
		"everything at once": {"0016", messaging.Override{DelayMS: map[string]int64{"sent": 0, "delivered": 0, "read": 0}}, []string{
			"try 1: accepted at 0s", "sent 0s", "delivered 0s", "read 0s", "delivered 100ms",
		}},
		"delays of one who hiccups": {"0013", messaging.Override{DelayMS: map[string]int64{"read": 1000}}, []string{
			"try 1: deferred until 1s PROVIDER_ERROR", "try 2: deferred until 3s PROVIDER_ERROR", "try 3: accepted at 3s",
			"sent 3s", "delivered 3.1s", "read 4s",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m := to(test.to)
			m.Sandbox = &test.override
			w.send(t.Context(), m)
			w.advance(t, time.Minute)
			// What is due at once may be told before Send has returned.
			first := slices.IndexFunc(w.lines, func(line string) bool { return strings.HasPrefix(line, "try 1: ") })
			lines := slices.Insert(slices.Delete(slices.Clone(w.lines), first, first+1), 0, w.lines[first])
			if diff := cmp.Diff(lines, test.want); diff != "" {
				t.Errorf("timeline (-got +want):\n%s", diff)
			}
		})
	}
}

func TestOverridesAreValidated(t *testing.T) {
	day := (24 * time.Hour).Milliseconds()
	for name, test := range map[string]struct {
		override *messaging.Override
		want     []string
	}{
		"none":              {nil, nil},
		"empty":             {&messaging.Override{}, nil},
		"all":               {&messaging.Override{Outcome: "failed", Code: "NOT_ON_WHATSAPP", DelayMS: map[string]int64{"sent": day, "read": 0}}, nil},
		"unknown outcome":   {&messaging.Override{Outcome: "played"}, []string{"sandbox.outcome enum"}},
		"unknown code":      {&messaging.Override{Outcome: "failed", Code: "OUT_OF_INK"}, []string{"sandbox.code enum"}},
		"code of a success": {&messaging.Override{Outcome: "read", Code: "CANCELED"}, []string{"sandbox.code requires"}},
		"delays": {
			&messaging.Override{DelayMS: map[string]int64{"sent": -1, "delivered": day + 1, "read": 5, "played": 5}},
			[]string{"sandbox.delay_ms.delivered range", "sandbox.delay_ms enum", "sandbox.delay_ms.sent range"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range ValidateOverride(test.override) {
				got = append(got, f.Field+" "+f.Rule)
			}
			if diff := cmp.Diff(got, test.want); diff != "" {
				t.Errorf("fields (-got +want):\n%s", diff)
			}
		})
	}
}

// Whatever a stranger writes into an override, a plan that passed validation
// tells its steps in time order and never before the message was acknowledged.
func FuzzValidOverridesMakeOrderedPlans(f *testing.F) {
	f.Add("0016", "read", "", int64(0), int64(900), int64(50))
	f.Add("0018", "", "", int64(1), int64(0), int64(86400000))
	f.Add("0019", "failed", "PROVIDER_ERROR", int64(-1), int64(1), int64(1))
	f.Fuzz(func(t *testing.T, lastFour, outcome, code string, sent, delivered, read int64) {
		o := &messaging.Override{Outcome: outcome, Code: code, DelayMS: map[string]int64{"sent": sent, "delivered": delivered, "read": read}}
		if len(ValidateOverride(o)) > 0 {
			return
		}
		p := planFor(messaging.Address{WAID: "1500555" + lastFour + "@s.whatsapp.net"}, o)
		before := time.Duration(0)
		for _, s := range p.steps {
			if s.after < before {
				t.Errorf("%+v: step %v comes before %v", o, s, before)
			}
			before = s.after
		}
		if p.entry == refuse && (p.owes() || sentence(p.code) == "") {
			t.Errorf("%+v: a refusal needs a known code and owes nothing: %+v", o, p)
		}
	})
}

var _ messaging.Reporter = (*world)(nil)

// A clock that cannot be waited for would leave these tests hanging.
func TestAdvanceWithoutAnythingDueReturns(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	state, err := w.clocks.Advance(ctx, workspace, 0)
	if err != nil || !state.Now.Equal(epoch) {
		t.Errorf("Advance(0) = %v, %v; want %v", state, err, epoch)
	}
}
