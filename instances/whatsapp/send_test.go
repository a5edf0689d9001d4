package whatsapp_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/instances/whatsapp"
	"portaria/messaging"
	"portaria/wasim"
)

// texts returns what a contact has decrypted.
func (w *world) texts(number string) (texts []string) {
	for _, r := range w.sim.Contact(number).Received() {
		texts = append(texts, r.Message.GetConversation())
	}
	return texts
}

// reads waits until a contact has decrypted these texts, in this order, and no
// others.
func (w *world) reads(number string, want ...string) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for len(w.texts(number)) < len(want) && time.Now().Before(deadline) {
		pauseFor(5 * time.Millisecond)
	}
	if diff := cmp.Diff(want, w.texts(number)); diff != "" {
		w.t.Errorf("%s: %s", number, diff)
	}
}

// A lost acknowledgement holds the instance for the time that it is waited for
// and no longer; others go on, the recipient's next message does not pass, and
// the message comes again under its id.
func TestALostAckHoldsNobodyForLong(t *testing.T) {
	timing := quick
	timing.Ack = 3 * time.Second
	w := newWorld(t, timing)
	p := w.linked(ours)
	p.deliver(p.text(ana, "known"), p.text(beto, "known"))
	lost, behind, other := p.text(ana, "lost"), p.text(ana, "behind"), p.text(beto, "other")
	var once atomic.Bool
	w.sim.SetFaults(wasim.FaultPlan{Message: func(_ string, _ uint16, id string) wasim.MessageFault {
		return wasim.MessageFault{NoAck: id == lost.WAMessageID && once.CompareAndSwap(false, true)}
	}})
	began := time.Now()
	o := p.send(lost, behind, other)
	if took := time.Since(began); took > timing.Ack+timing.Ping {
		t.Errorf("the batch took %s", took)
	}
	if o[0].Verdict != messaging.Deferred || o[0].Due.IsZero() || o[1].Verdict != messaging.Deferred || o[2].Verdict != messaging.Accepted {
		t.Fatalf("outcomes: %+v", o)
	}
	if !o[0].MayBeTaken() || o[1].Try() {
		t.Errorf("tried: %+v; only waited: %+v", o[0], o[1])
	}
	p.deliver(lost, behind)
	w.reads(ana, "known", "lost", "behind")
	if diff := cmp.Diff([]messaging.InstanceState{"pairing", "connecting", "connected"}, p.states()); diff != "" {
		t.Errorf("the connection was alive: %s", diff)
	}
}

// A connection that drops in the middle of a message is made anew, and each
// contact gets each message once, in order.
func TestDropsDuringSendsLoseAndRepeatNothing(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	var n atomic.Int64
	w.sim.SetFaults(wasim.FaultPlan{Message: func(string, uint16, string) wasim.MessageFault {
		switch n.Add(1) % 10 {
		case 3:
			return wasim.MessageFault{DropBefore: true}
		case 7:
			return wasim.MessageFault{DropAfter: true}
		default:
			return wasim.MessageFault{}
		}
	}})
	want := make(map[string][]string)
	var batch []messaging.Outgoing
	for i := range 60 {
		to, text := []string{ana, beto}[i%2], fmt.Sprint(i)
		want[to] = append(want[to], text)
		batch = append(batch, p.text(to, text))
	}
	p.deliver(batch...)
	for _, to := range []string{ana, beto} {
		w.reads(to, want[to]...)
	}
}

// WhatsApp's refusals are told apart.
func TestRefusalsAreJudgedByTheirCode(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	for i, c := range []struct {
		code, attempt int
		verdict       messaging.Verdict
		due           bool
		reason        string
	}{
		{429, 1, messaging.Deferred, true, "PROVIDER_THROTTLED"},
		{479, 1, messaging.Deferred, true, "PROVIDER_ERROR"}, // an invalid stanza: keys that have just changed
		{479, 5, messaging.Refused, false, "PROVIDER_ERROR"},
		{503, 9, messaging.Deferred, true, "PROVIDER_ERROR"},
		{400, 1, messaging.Refused, false, "PROVIDER_ERROR"},
		{499, 1, messaging.Deferred, true, "PROVIDER_ERROR"}, // nobody knows what it means
		{499, 5, messaging.Refused, false, "PROVIDER_ERROR"},
	} {
		t.Run(fmt.Sprintf("%d, try %d", c.code, c.attempt), func(t *testing.T) {
			w.sim.SetFaults(wasim.FaultPlan{Message: func(string, uint16, string) wasim.MessageFault {
				return wasim.MessageFault{AckError: c.code}
			}})
			to := fmt.Sprint("551198888100", i)
			m := p.text(to, "x")
			m.Attempt = c.attempt
			o := p.send(m)[0]
			if !o.Try() || o.Verdict != c.verdict || o.Due.IsZero() == c.due || o.Error == nil || o.Error.Code != c.reason {
				t.Errorf("%+v, %+v", o, o.Error)
			}
			w.sim.SetFaults(wasim.FaultPlan{})
			if c.verdict == messaging.Deferred {
				p.deliver(m)
				w.reads(to, "x")
			}
		})
	}
}

// A reach-out lock holds those who never wrote, without asking the network
// again, while who did is answered. It ends by itself.
func TestAReachOutLockHoldsStrangersOnly(t *testing.T) {
	timing := quick
	timing.ColdHold = time.Hour
	w := newWorld(t, timing)
	p := w.linked(ours)
	id, err := w.sim.Contact(beto).SendText(t.Context(), ours, "hi")
	if err != nil {
		t.Fatal(err)
	}
	w.inbound(id)
	var asked atomic.Int64
	w.sim.SetFaults(wasim.FaultPlan{Message: func(string, uint16, string) wasim.MessageFault {
		asked.Add(1)
		return wasim.MessageFault{AckError: 463}
	}})
	cold := p.text(ana, "cold")
	if o := p.send(cold)[0]; o.Verdict != messaging.Held || o.Due.IsZero() || o.Error.Code != "REACHOUT_TIMELOCKED" {
		t.Fatalf("%+v", o)
	}
	w.sim.SetFaults(wasim.FaultPlan{Message: func(string, uint16, string) wasim.MessageFault {
		asked.Add(1)
		return wasim.MessageFault{}
	}})
	o := p.send(p.text("5511988880003", "cold too"), p.text(beto, "answer"))
	if o[0].Verdict != messaging.Held || o[1].Verdict != messaging.Accepted || asked.Load() != 2 {
		t.Errorf("%+v; the network was asked %d times", o, asked.Load())
	}
	w.ahead.Add(int64(timing.ColdHold))
	w.eventually("the lock ends", func() bool { return p.send(cold)[0].Verdict == messaging.Accepted })
}

// A number that WhatsApp does not know is refused, and a Brazilian one is found
// under either of its two forms.
func TestRecipientsAreLookedUpFirst(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	const short, long, nobody = "551188880005", "5511988880005", "5521977770000"
	w.sim.Contact(long).Exists(false)
	w.sim.Contact(nobody).Exists(false)
	w.sim.Contact("552177770000").Exists(false)
	o := p.send(p.text(long, "ninth digit"), p.text(nobody, "x"), p.text(ana, "plain"))
	if o[0].Verdict != messaging.Accepted || o[2].Verdict != messaging.Accepted {
		t.Errorf("%+v", o)
	}
	if o[1].Verdict != messaging.Refused || o[1].Error.Code != "NOT_ON_WHATSAPP" {
		t.Errorf("%+v", o[1])
	}
	w.reads(short, "ninth digit")
	checker := p.channel.(interface {
		CheckNumbers(context.Context, []messaging.Address) ([]messaging.NumberCheck, error)
	})
	checks, err := checker.CheckNumbers(t.Context(), []messaging.Address{
		{Input: "a", WAID: long + "@s.whatsapp.net"}, {Input: "b", WAID: nobody + "@s.whatsapp.net"}, {Input: "c", WAID: "5511988880009@s.whatsapp.net"},
	})
	want := []messaging.NumberCheck{
		{Input: "a", WAID: short + "@s.whatsapp.net", LID: "100551188880005@lid", Exists: true},
		{Input: "b"},
		{Input: "c", WAID: "5511988880009@s.whatsapp.net", LID: "105511988880009@lid", Exists: true},
	}
	if diff := cmp.Diff(want, checks); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

// While the instance is not connected, messages wait for the connection.
func TestWithoutAConnectionMessagesWait(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	p.ask(messaging.AskNothing) // just opened
	if o := p.send(p.text(ana, "x"))[0]; o.Verdict != messaging.Deferred || !o.Due.IsZero() {
		t.Errorf("%+v", o)
	}
	p.await(messaging.InstanceConnected)
	closing, cancel := context.WithCancel(t.Context())
	cancel()
	if o := p.channel.Send(closing, []messaging.Outgoing{p.text(ana, "x")})[0]; o.Verdict != messaging.Deferred || !o.Due.IsZero() {
		t.Errorf("closing: %+v", o)
	}
}

// Ten instances that send at the same instant share one database of sessions;
// every message can be read by its contact, and so can every answer by us.
func TestInstancesThatSendTogetherLoseNoSession(t *testing.T) {
	w := newWorld(t, quick)
	const instances, each = 10, 20
	answers := w.sim.Contact(ana).AnswerWith(func(r wasim.Received) string { return "re: " + r.Message.GetConversation() })
	var phones []*phone
	for i := range instances {
		phones = append(phones, w.linked(fmt.Sprintf("55119000001%02d", i)))
	}
	var senders sync.WaitGroup
	for n, p := range phones {
		senders.Go(func() {
			var batch []messaging.Outgoing
			for i := range each {
				batch = append(batch, p.text(ana, fmt.Sprintf("%d/%d", n, i)))
			}
			p.deliver(batch...)
		})
	}
	senders.Wait()
	w.eventually("ana has read all", func() bool { return len(answers.Received()) == instances*each })
	for _, r := range answers.Received() {
		if r.Retries > 0 {
			t.Errorf("%s could only be read after %d tries", r.WAMessageID, r.Retries)
		}
	}
	w.eventually("every answer is recorded", func() bool {
		return len(records[messaging.InboundMessage](w.journal, func(messaging.InboundMessage) bool { return true })) == instances*each
	})
}

// The window grows with the speed of the network, so that a batch takes about a
// quarter of a second.
func TestTheWindowFollowsTheRoundTrip(t *testing.T) {
	w := newWorld(t, whatsapp.Timing{})
	p := w.linked(ours)
	w.sim.SetRoundTrip(300 * time.Millisecond)
	w.eventually("the window shrinks", func() bool {
		p.deliver(p.text(ana, "slow"))
		return p.channel.Window() == 1
	})
	w.sim.SetRoundTrip(0)
	w.eventually("the window grows", func() bool {
		p.deliver(p.text(ana, "quick"))
		return p.channel.Window() > 1
	})
}
