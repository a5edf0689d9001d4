package whatsapp_test

import (
	"sync/atomic"
	"testing"

	"portaria/messaging"
	"portaria/wasim"
)

// A number that sends too much is told to slow down, and its messages wait. Only
// one that WhatsApp has itself refused for most of an hour fails; those that
// waited behind it were not refused, and go on waiting.
func TestOnlyAMessageThatIsThrottledForGoodFails(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	var refusals atomic.Int64
	w.sim.SetFaults(wasim.FaultPlan{Message: func(string, uint16, string) wasim.MessageFault {
		refusals.Add(1)
		return wasim.MessageFault{AckError: 429}
	}})
	first, behind := p.text(ana, "first"), p.text(beto, "behind")
	behind.Attempt = 1000 // it was put off as often, and never tried
	w.eventually("the first is given up", func() bool {
		first.Attempt++
		o := p.send(first)[0]
		if o.Verdict == messaging.Deferred {
			return false
		}
		if o.Verdict != messaging.Refused || o.Error.Code != "PROVIDER_THROTTLED" {
			t.Fatalf("the first: %+v, %+v", o, o.Error)
		}
		return true
	})
	if n := refusals.Load(); n != 20 {
		t.Errorf("it was refused %d times", n)
	}
	if o := p.send(behind)[0]; o.Verdict != messaging.Deferred {
		t.Errorf("the one behind it: %+v, %+v", o, o.Error)
	}
	w.sim.SetFaults(wasim.FaultPlan{})
	p.deliver(behind)
	w.reads(beto, "behind")
	w.reads(ana)
}
