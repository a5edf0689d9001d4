package whatsapp_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/wasim"
)

// reasons returns the states of the instance with their reasons, as far as they
// came after the first n records.
func (p *phone) reasons(after int) (all []string) {
	for _, c := range p.changes()[after:] {
		text := string(c.State)
		if c.Reason != "" {
			text += " " + c.Reason
		}
		if len(all) == 0 || all[len(all)-1] != text {
			all = append(all, text)
		}
	}
	return all
}

// Each refusal of a login has its state, and only those that time mends are
// tried again.
func TestRefusedLogins(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	for _, c := range []struct {
		fault    wasim.LoginFault
		want     string
		unlinked bool
		back     bool
	}{
		{wasim.LoginFault{Reason: 402, Code: 101, Expire: time.Second}, "restricted temporary_ban", false, true},
		{wasim.LoginFault{Reason: 402, Code: 101}, "banned banned", false, false},
		{wasim.LoginFault{Reason: 405}, "disconnected client_outdated", false, false},
		{wasim.LoginFault{Reason: 500}, "disconnected connection_lost", false, true},
		{wasim.LoginFault{Reason: 503}, "disconnected connection_lost", false, true},
		{wasim.LoginFault{Reason: 409}, "disconnected server_error", false, true},
		{wasim.LoginFault{Reason: 403}, "logged_out unauthorized", true, false},
		{wasim.LoginFault{Reason: 406}, "logged_out unauthorized", true, false},
		{wasim.LoginFault{Reason: 401}, "logged_out unauthorized", true, false},
	} {
		t.Run(fmt.Sprint(c.fault.Reason, c.fault.Expire), func(t *testing.T) {
			if w.journal.follow(&p.facts); !p.facts.Linked() {
				p = w.linked(ours)
			}
			w.sim.SetFaults(wasim.FaultPlan{Login: func(string, uint16) *wasim.LoginFault { return &c.fault }})
			before := len(p.changes())
			p.ask(messaging.AskRestart)
			w.eventually(c.want, func() bool { return len(p.reasons(before)) > 1 })
			if diff := cmp.Diff([]string{"connecting", c.want}, p.reasons(before)[:2]); diff != "" { // a short ban may be over already
				t.Error(diff)
			}
			w.sim.SetFaults(wasim.FaultPlan{})
			if c.back {
				p.await(messaging.InstanceConnected)
				p.deliver(p.text(ana, "back"))
				return
			}
			pauseFor(3 * quick.ReconnectMax)
			if all := p.reasons(before); all[len(all)-1] != c.want {
				t.Errorf("went on: %q", all)
			}
			w.journal.follow(&p.facts)
			if p.facts.Linked() == c.unlinked || p.facts.Ask != messaging.AskNothing || p.facts.Desired != messaging.DesiredConnected {
				t.Errorf("facts: %+v", p.facts)
			}
		})
	}
}

// A dropped connection comes back by itself, and both are told.
func TestADropIsToldAndMended(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	before := len(p.changes())
	w.sim.Phone(ours).Drop()
	w.eventually("dropped", func() bool { return len(p.reasons(before)) >= 2 })
	if diff := cmp.Diff([]string{"disconnected connection_lost", "connected"}, p.reasons(before)); diff != "" {
		t.Error(diff)
	}
	if err := w.sim.Restart(); err != nil {
		t.Fatal(err)
	}
	w.eventually("connected after the restart", func() bool { return len(p.reasons(before)) >= 4 })
	p.deliver(p.text(ana, "after the restart"))
}

// A connection that is ended at every login is dialled ever more seldom: the
// delays alone, each twice the one before, add up to more than the test lasts.
func TestAConnectionThatFlapsIsNotDialledForEver(t *testing.T) {
	timing := quick
	timing.ReconnectMax = time.Minute
	w := newWorld(t, timing)
	p := w.linked(ours)
	before, began := w.dials.Load(), time.Now()
	for time.Since(began) < 2*time.Second {
		if n := len(p.changes()); p.changes()[n-1].State == messaging.InstanceConnected {
			w.sim.Phone(ours).Drop()
		}
		pauseFor(time.Millisecond)
	}
	if n := w.dials.Load() - before; n > 10 {
		t.Errorf("dialled %d times in 2 s", n)
	}
}

// A restart of the server does not make a number dial through its ban, nor fight
// again for what another program has taken: that is as it was before.
func TestARestartKeepsWhatEndedTheConnection(t *testing.T) {
	for _, c := range []struct {
		state  messaging.InstanceState
		reason string
		until  time.Duration
	}{
		{messaging.InstanceRestricted, messaging.ReasonTemporaryBan, time.Hour},
		{messaging.InstanceBanned, messaging.ReasonBanned, 0},
		{messaging.InstanceDisconnected, messaging.ReasonStreamReplaced, 0},
		{messaging.InstanceDisconnected, messaging.ReasonClientOutdated, 0},
	} {
		t.Run(c.reason, func(t *testing.T) {
			w := newWorld(t, quick)
			p := w.linked(ours)
			p.seen(c.state, c.reason, c.until)
			before, dials := len(p.changes()), w.dials.Load()
			p.resume()
			pauseFor(5 * quick.ReconnectMax)
			if n := w.dials.Load() - dials; n != 0 || len(p.changes()) != before {
				t.Errorf("dialled %d times, and recorded %q", n, p.reasons(before))
			}
			p.ask(messaging.AskRestart)
			p.await(messaging.InstanceConnected)
		})
	}
}

// A ban that ends while the server is down, or after it is back, ends.
func TestABanEndsAfterARestart(t *testing.T) {
	for _, left := range []time.Duration{-time.Hour, 500 * time.Millisecond} {
		t.Run(left.String(), func(t *testing.T) {
			w := newWorld(t, quick)
			p := w.linked(ours)
			p.seen(messaging.InstanceRestricted, messaging.ReasonTemporaryBan, left)
			before := len(p.changes())
			p.resume()
			w.eventually("it is connected again", func() bool { return len(p.reasons(before)) >= 2 })
			if now := time.Now(); now.Before(p.facts.StateUntil) {
				t.Errorf("connected %s too early", p.facts.StateUntil.Sub(now))
			}
			if diff := cmp.Diff([]string{"connecting", "connected"}, p.reasons(before)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// seen closes the channel and sets how the connection was last seen to end.
func (p *phone) seen(state messaging.InstanceState, reason string, left time.Duration) {
	p.w.t.Helper()
	p.close()
	p.w.journal.follow(&p.facts)
	p.facts.State, p.facts.StateReason, p.facts.StateUntil = state, reason, time.Time{}
	if left != 0 {
		p.facts.StateUntil = time.Now().Add(left).UTC().Truncate(time.Microsecond)
	}
}

// resume opens the channel as the manager does when the server starts.
func (p *phone) resume() {
	p.w.t.Helper()
	p.facts.Ask = messaging.AskNothing
	p.open()
}

// A second program with the same session takes the connection, and we do not
// fight for it.
func TestAReplacedSessionIsNotFoughtFor(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	w.journal.follow(&p.facts)
	other := &phone{w: w, facts: p.facts}
	other.facts.ID = "ins_other"
	other.ask(messaging.AskRestart)
	other.await(messaging.InstanceConnected)
	p.await(messaging.InstanceDisconnected)
	pauseFor(3 * quick.ReconnectMax)
	if last := p.last(); last.Reason != messaging.ReasonStreamReplaced || last.State != messaging.InstanceDisconnected {
		t.Errorf("%+v", last)
	}
	other.close()
	p.ask(messaging.AskRestart)
	p.await(messaging.InstanceConnected)
}

// A logout unlinks the phone, ends the owner's desire and forgets the session;
// the number stays known.
func TestALogoutUnlinksThePhone(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	p.ask(messaging.AskLogout)
	last := p.await(messaging.InstanceLoggedOut)
	if last.Reason != messaging.ReasonLoggedOutByOwner || last.Linked == nil || *last.Linked != (messaging.Link{}) {
		t.Errorf("%+v", last)
	}
	if devices := w.sim.Phone(ours).Devices(); len(devices) != 0 {
		t.Errorf("the phone still lists %v", devices)
	}
	w.journal.follow(&p.facts)
	if p.facts.Desired != messaging.DesiredDisconnected || p.facts.Linked() || p.facts.Ask != messaging.AskNothing || p.facts.Phone != ours {
		t.Errorf("facts: %+v", p.facts)
	}
	p.facts.Desired = messaging.DesiredConnected
	p.ask(messaging.AskConnect)
	p.await(messaging.InstancePairing)
}

// A phone that cannot be told does not keep a logout from being done.
func TestALogoutWithoutANetworkIsDoneAllTheSame(t *testing.T) {
	timing := quick
	timing.Logout = 200 * time.Millisecond
	w := newWorld(t, timing)
	p := w.linked(ours)
	if err := w.sim.Close(); err != nil {
		t.Fatal(err)
	}
	p.ask(messaging.AskLogout)
	p.await(messaging.InstanceLoggedOut)
}

// An instance whose session is missing says so, and does not try for ever.
func TestAMissingSessionIsALogout(t *testing.T) {
	w := newWorld(t, quick)
	p := w.instance()
	p.facts.LinkedID, p.facts.Phone = "5511900000001:7@s.whatsapp.net", ours
	p.ask(messaging.AskNothing)
	if last := p.await(messaging.InstanceLoggedOut); last.Reason != messaging.ReasonSessionLost || last.Linked == nil {
		t.Errorf("%+v", last)
	}
}

// The session of an instance that is gone can be deleted without a network.
func TestASessionIsForgottenWithoutANetwork(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	p.close()
	w.journal.follow(&p.facts)
	if err := w.sim.Close(); err != nil {
		t.Fatal(err)
	}
	live, _ := p.facts.Live()
	for range 2 { // one that is gone is no error
		if err := w.driver.Forget(t.Context(), live); err != nil {
			t.Fatal(err)
		}
	}
	p.resume()
	if last := p.await(messaging.InstanceLoggedOut); last.Reason != messaging.ReasonSessionLost {
		t.Errorf("%+v", last)
	}
}

// A pairing that nobody scans ends, the code goes away, and nothing dials any
// more.
func TestAPairingThatNobodyScansEnds(t *testing.T) {
	timing := quick
	timing.Pairing = 300 * time.Millisecond
	w := newWorld(t, timing)
	p := w.instance()
	p.ask(messaging.AskConnect)
	last := p.await(messaging.InstanceCreated)
	if last.Reason != messaging.ReasonPairingTimeout || !last.Done.Equal(p.facts.AskedAt) {
		t.Errorf("%+v", last)
	}
	w.eventually("the code goes", func() bool { return len(w.board.showing()) == 0 })
	dials := w.dials.Load()
	pauseFor(2 * timing.Pairing)
	if now := w.dials.Load(); now != dials {
		t.Errorf("dialled %d times after the end", now-dials)
	}
}

// A live instance that was never asked to connect stays quiet, and so does
// one that is only known as connected from an earlier time.
func TestAnUnlinkedInstanceNeverDialsUnasked(t *testing.T) {
	w := newWorld(t, quick)
	p := w.instance()
	p.ask(messaging.AskNothing)
	pauseFor(100 * time.Millisecond)
	if n := w.dials.Load(); n != 0 || len(p.changes()) != 0 {
		t.Errorf("dialled %d times, recorded %+v", n, p.changes())
	}
}

// Closing in the middle of everything is quick and leaves nothing behind; the
// package's goleak watches over the latter.
func TestClosingAtAnyMomentIsQuick(t *testing.T) {
	for name, moment := range map[string]func(w *world) *phone{
		"pairing": func(w *world) *phone {
			p := w.instance()
			p.ask(messaging.AskConnect)
			p.await(messaging.InstancePairing)
			return p
		},
		"connecting": func(w *world) *phone {
			p := w.linked(ours)
			p.ask(messaging.AskNothing)
			return p
		},
		"unreachable": func(w *world) *phone {
			p := w.linked(ours)
			if err := w.sim.Close(); err != nil {
				w.t.Fatal(err)
			}
			p.await(messaging.InstanceDisconnected)
			return p
		},
		"sending": func(w *world) *phone {
			p := w.linked(ours)
			w.sim.SetFaults(wasim.FaultPlan{Message: func(string, uint16, string) wasim.MessageFault { return wasim.MessageFault{NoAck: true} }})
			m := p.text(ana, "x")
			begun := make(chan struct{})
			channel := p.channel
			go func() {
				close(begun)
				channel.Send(w.t.Context(), []messaging.Outgoing{m})
			}()
			<-begun
			return p
		},
		"recording": func(w *world) *phone {
			p := w.linked(ours)
			w.journal.setBroken(true)
			w.sim.Phone(ours).Drop()
			pauseFor(50 * time.Millisecond)
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, quick)
			p := moment(w)
			p.close()
			if o := closedChannel(p, w); o.Verdict != messaging.Deferred {
				t.Errorf("%+v", o)
			}
		})
	}
}

func closedChannel(p *phone, w *world) messaging.Outcome {
	live, _ := p.facts.Live()
	channel, err := w.driver.Open(w.t.Context(), live)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := channel.Close(); err != nil {
		w.t.Error(err)
	}
	return channel.Send(w.t.Context(), []messaging.Outgoing{p.text(ana, "x")})[0]
}
