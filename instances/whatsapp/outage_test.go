package whatsapp_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/wasim"
)

func (w *world) inject(f wasim.Fault) {
	w.t.Helper()
	if _, err := w.sim.Inject(f); err != nil {
		w.t.Fatal(err)
	}
}

// What the server says in the middle of a connection has its state, and what
// time mends is mended.
func TestWhatEndsAConnection(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	for _, c := range []struct {
		name  string
		fault wasim.Fault
		want  []string
	}{
		{"503", wasim.Fault{Name: wasim.FaultStreamError, Code: 503}, []string{"disconnected connection_lost", "connected"}},
		{"515", wasim.Fault{Name: wasim.FaultStreamError, Code: 515}, []string{"disconnected connection_lost", "connected"}},
		{"an unknown one", wasim.Fault{Name: wasim.FaultStreamError, Code: 599}, []string{"disconnected server_error", "connected"}},
		{"unlinked on the phone", wasim.Fault{Name: wasim.FaultDeviceRemoved}, []string{"logged_out device_removed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(p.changes())
			w.inject(c.fault)
			w.eventually(strings.Join(c.want, ", "), func() bool { return len(p.reasons(before)) >= len(c.want) })
			if diff := cmp.Diff(c.want, p.reasons(before)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if w.journal.follow(&p.facts); p.facts.Linked() || p.facts.Phone != ours {
		t.Errorf("facts: %+v", p.facts)
	}
}

// A socket that looks open but says nothing is noticed by the first message,
// and what waited goes with the next connection, once.
func TestADeafConnectionIsNoticed(t *testing.T) {
	timing := quick
	timing.Ack, timing.Ping, timing.Lookup = time.Second, time.Second, time.Second
	w := newWorld(t, timing)
	p := w.linked(ours)
	p.deliver(p.text(ana, "known"))
	before := len(p.changes())
	w.inject(wasim.Fault{Name: wasim.FaultHalfOpen, For: 100 * time.Millisecond})
	pauseFor(150 * time.Millisecond) // what it has struck stays silent for ever
	one, two := p.text(ana, "one"), p.text(beto, "two")
	began := time.Now()
	o := p.send(one, two)
	if took := time.Since(began); took > lastClose {
		t.Errorf("took %s to notice", took)
	}
	for i := range o {
		if o[i].Verdict != messaging.Deferred {
			t.Errorf("%d: %+v", i, o[i])
		}
	}
	p.deliver(one, two)
	w.reads(ana, "known", "one")
	w.reads(beto, "two")
	if got := p.reasons(before); len(got) == 0 || got[0] != "disconnected no_traffic" {
		t.Errorf("states: %q", got)
	}
}

// An outage ends by itself.
func TestAnOutageIsSatOut(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	w.inject(wasim.Fault{Name: wasim.FaultOutage, For: 500 * time.Millisecond})
	p.deliver(p.text(ana, "after all"))
	w.reads(ana, "after all")
}

// When WhatsApp will not say who a recipient is, the message waits, longer from
// time to time. None of that is a try of the message: a puzzle that it meets
// later is its first.
func TestARefusedLookupDefers(t *testing.T) {
	timing := quick
	timing.RetryMin, timing.RetryMax = 10*time.Millisecond, time.Minute
	w := newWorld(t, timing)
	p := w.linked(ours)
	w.inject(wasim.Fault{Name: wasim.FaultLookupError, Code: 429, Count: 6})
	m := p.text(ana, "x")
	for n := range 6 {
		asked := time.Now()
		o := p.send(m)[0]
		if o.Verdict != messaging.Deferred || o.Try() {
			t.Fatalf("%+v", o)
		}
		if wait := o.Due.Sub(asked); n == 5 && wait < 100*time.Millisecond {
			t.Errorf("asked again in %s, however often WhatsApp has refused", wait)
		}
	}
	w.sim.SetFaults(wasim.FaultPlan{Message: func(string, uint16, string) wasim.MessageFault {
		return wasim.MessageFault{AckError: 479}
	}})
	if o := p.send(m)[0]; o.Verdict != messaging.Deferred || !o.Try() || time.Until(o.Due) > timing.RetryMin {
		t.Errorf("the first try: %+v", o)
	}
	w.sim.SetFaults(wasim.FaultPlan{})
	p.deliver(m)
	w.reads(ana, "x")
}

// A code typed on the phone links it as well as a QR does.
func TestACodeLinksAPhone(t *testing.T) {
	w := newWorld(t, quick)
	p := w.instance()
	p.facts.PairPhone = ours
	p.ask(messaging.AskConnect)
	shown := w.board.await(t, p.facts.ID, func(s messaging.Pairing) bool { return s.Code != "" })
	if len(shown.Code) != len("ABCD-1234") || shown.QR != "" {
		t.Errorf("%+v", shown)
	}
	if err := w.sim.Phone(ours).TypeCode(t.Context(), shown.Code); err != nil {
		t.Fatal(err)
	}
	p.await(messaging.InstanceConnected)
	p.deliver(p.text(ana, "linked by a code"))
	w.reads(ana, "linked by a code")
}
