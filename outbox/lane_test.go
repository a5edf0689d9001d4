package outbox_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

func ids(ms ...messaging.Message) []string {
	out := make([]string, len(ms))
	for i, m := range ms {
		out[i] = m.ID
	}
	return out
}

func TestALaneKeepsTheOrderOfAcceptance(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		var want []string
		for n := range 300 {
			want = append(want, w.accept(number(n%7)).ID)
		}
		w.idle()
		if diff := cmp.Diff(want, w.network.list()); diff != "" {
			t.Error(diff)
		}
		if lanes, err := s.Lanes(t.Context()); err != nil || len(lanes) != 0 {
			t.Errorf("the outbox still has %v, %v", lanes, err)
		}
	})
}

// What does not fit in memory stays in the database, and still comes in order.
func TestMoreThanFitsInMemoryComesInOrder(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.network.setOpen(false)
		want := make([]string, 2500)
		var wg sync.WaitGroup
		for n := range want {
			want[n] = w.accept(number(n % 50)).ID
			if n == 1200 { // the rest arrives while the lane is reading
				w.network.setOpen(true)
				wg.Go(func() { w.outbox.Wake(w.instance.ID) })
			}
		}
		wg.Wait()
		w.idle()
		if diff := cmp.Diff(want, w.network.list()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestHighPriorityGoesFirst(t *testing.T) {
	w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
	w.network.setOpen(false)
	with := func(p messaging.Priority) func(*outbox.Draft) { return func(d *outbox.Draft) { d.Priority = p } }
	low, normal, high := w.accept(number(1), with(messaging.Low)), w.accept(number(1)), w.accept(number(1), with(messaging.High))
	w.network.setOpen(true)
	w.outbox.Wake(w.instance.ID)
	w.idle()
	if diff := cmp.Diff(ids(high, normal, low), w.network.list()); diff != "" {
		t.Error(diff)
	}
}

func TestAWaitingMessageIsPassedOnlyByOthers(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.network.setJudge(func(m messaging.Outgoing) *messaging.Outcome {
			if m.To.Phone() == number(1) && m.Attempt <= 2 {
				return &messaging.Outcome{Verdict: messaging.Deferred, Tried: true, Due: w.clock.Now().Add(time.Minute)}
			}
			return nil
		})
		first := w.accept(number(1))
		w.idle()
		behind, other := w.accept(number(1)), w.accept(number(2))
		w.idle()
		if diff := cmp.Diff(ids(other), w.network.list()); diff != "" {
			t.Fatal(diff)
		}
		w.pass(time.Minute) // the second try fails too
		w.restart()         // and the process forgets what it knew
		w.idle()
		last := w.accept(number(1))
		w.idle()
		if got := w.network.list(); len(got) != 1 {
			t.Fatalf("carried %v before its time", got)
		}
		w.network.setJudge(nil)
		w.pass(time.Minute)
		if diff := cmp.Diff(ids(other, first, behind, last), w.network.list()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAScheduledMessageIsSentAtItsTimeAlsoAfterARestart(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		at := w.clock.Now().Add(time.Hour)
		m := w.accept(number(1), func(d *outbox.Draft) { d.SendAt = at })
		if m.Status != messaging.StatusScheduled {
			t.Errorf("status = %s", m.Status)
		}
		w.restart()
		w.idle()
		w.pass(59 * time.Minute)
		if got := w.network.list(); len(got) != 0 {
			t.Fatalf("carried before its time: %v", got)
		}
		w.pass(time.Minute)
		if got := w.status(m); got != messaging.StatusSent {
			t.Errorf("status = %s, want sent", got)
		}
	})
}

func TestCancelingAScheduledMessageFreesThoseBehindIt(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		m := w.accept(number(1), func(d *outbox.Draft) { d.SendAt = w.clock.Now().Add(time.Hour) })
		behind := w.accept(number(1))
		w.idle()
		if got := w.status(behind); got != messaging.StatusQueued {
			t.Fatalf("status behind = %s, want queued", got)
		}
		canceled, err := w.outbox.Cancel(t.Context(), w.tenancy, m.ID)
		if err != nil || canceled.Status != messaging.StatusCanceled || canceled.Error.Code != "CANCELED" {
			t.Fatalf("Cancel = %+v, %v", canceled.State, err)
		}
		w.idle()
		if diff := cmp.Diff(ids(behind), w.network.list()); diff != "" {
			t.Error(diff)
		}
		for _, id := range []string{m.ID, behind.ID} {
			if _, err := w.outbox.Cancel(t.Context(), w.tenancy, id); !errors.Is(err, fault.ErrConflict) {
				t.Errorf("Cancel of an ended message = %v, want CONFLICT", err)
			}
		}
	})
}

func TestAMessageThatCannotBeSentExpires(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.network.setOpen(false)
		short := w.accept(number(1), func(d *outbox.Draft) { d.ExpiresIn = time.Minute })
		long := w.accept(number(2))
		w.idle()
		w.pass(2 * time.Minute)
		if got := w.status(short); got != messaging.StatusExpired {
			t.Errorf("status = %s, want expired", got)
		}
		w.restart()
		w.idle()
		w.network.setOpen(true)
		w.outbox.Wake(w.instance.ID)
		w.idle()
		if diff := cmp.Diff(ids(long), w.network.list()); diff != "" {
			t.Error(diff)
		}
	})
}

// Attempts are what the network was asked: a message that waits behind another,
// or for a look-up, is not nearer to being given up.
func TestWaitingIsNoAttempt(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		var attempts []int
		w.network.setJudge(func(m messaging.Outgoing) *messaging.Outcome {
			attempts = append(attempts, m.Attempt)
			switch n := len(attempts); {
			case n <= 3:
				return &messaging.Outcome{Verdict: messaging.Deferred, Due: w.clock.Now().Add(time.Minute)}
			case n == 4:
				return &messaging.Outcome{Verdict: messaging.Held, Due: w.clock.Now().Add(time.Minute)}
			case n == 5:
				return &messaging.Outcome{Verdict: messaging.Held, Tried: true, Due: w.clock.Now().Add(time.Minute)}
			default:
				return nil
			}
		})
		m := w.accept(number(1))
		w.idle()
		for range 5 {
			w.restart()
			w.pass(time.Minute)
		}
		if diff := cmp.Diff([]int{1, 1, 1, 1, 1, 2}, attempts); diff != "" {
			t.Error(diff)
		}
		got, err := s.Message(t.Context(), w.tenancy, m.ID)
		if err != nil || got.Status != messaging.StatusSent || got.Attempts != 2 {
			t.Errorf("%+v, %v; want sent with the second attempt", got.State, err)
		}
	})
}

// An acknowledgement that never comes must not hold others, and the message is
// tried again under its id.
func TestALostAcknowledgementIsTriedAgain(t *testing.T) {
	w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
	w.network.setJudge(func(m messaging.Outgoing) *messaging.Outcome {
		if m.To.Phone() == number(1) && m.Attempt == 1 {
			return &messaging.Outcome{Verdict: messaging.Pending, At: w.clock.Now()}
		}
		return nil
	})
	lost := w.accept(number(1))
	w.idle()
	if got := w.status(lost); got != messaging.StatusSending {
		t.Fatalf("status = %s, want sending", got)
	}
	next := w.accept(number(1))
	w.idle()
	if got := w.status(next); got != messaging.StatusSending && got != messaging.StatusSent {
		t.Errorf("the next message is %s", got)
	}
	w.pass(2 * time.Minute)
	if got := w.status(lost); got != messaging.StatusSent {
		t.Errorf("status = %s, want sent", got)
	}
}

func TestDeletingAnInstanceCancelsWhatWaits(t *testing.T) {
	w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
	w.network.setOpen(false)
	now, later := w.accept(number(1)), w.accept(number(2), func(d *outbox.Draft) { d.SendAt = w.clock.Now().Add(time.Hour) })
	w.idle()
	ref := outbox.LaneRef{WorkspaceID: w.tenancy.Workspace(), Environment: messaging.Test, InstanceID: w.instance.ID}
	if err := w.outbox.Drain(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	for _, m := range []messaging.Message{now, later} {
		if got := w.status(m); got != messaging.StatusCanceled {
			t.Errorf("status = %s, want canceled", got)
		}
	}
}

// Whatever fails and whenever the process ends, everything is carried once, and
// what goes to one recipient keeps its order.
func TestOrderWithinARecipientHoldsWhateverFails(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := storetest.Open(t, storetest.Options(t, storetest.Light))
		w := newWorld(t, s)
		defer w.outbox.Stop()
		failing := rapid.SliceOfN(rapid.IntRange(0, 3), 4, 4).Draw(rt, "tries that fail, by recipient")
		w.network.setJudge(func(m messaging.Outgoing) *messaging.Outcome {
			var n int
			fmt.Sscanf(m.To.Phone(), "1202555%04d", &n)
			if m.Attempt <= failing[n] {
				return &messaging.Outcome{Verdict: messaging.Deferred, Tried: true, Due: w.clock.Now().Add(time.Duration(m.Attempt) * time.Second)}
			}
			return nil
		})
		want := make(map[string][]string)
		for range rapid.IntRange(1, 40).Draw(rt, "acts") {
			switch rapid.SampledFrom([]string{"send", "send", "send", "schedule", "pass", "restart"}).Draw(rt, "act") {
			case "send":
				to := number(rapid.IntRange(0, 3).Draw(rt, "to"))
				want[to] = append(want[to], w.accept(to).ID)
			case "schedule":
				to := number(rapid.IntRange(0, 3).Draw(rt, "to"))
				in := time.Duration(rapid.IntRange(1, 5).Draw(rt, "in")) * time.Second
				want[to] = append(want[to], w.accept(to, func(d *outbox.Draft) { d.SendAt = w.clock.Now().Add(in) }).ID)
			case "pass":
				w.clock.pass(time.Second)
			case "restart":
				w.restart()
			}
		}
		for range 400 {
			w.idle()
			if lanes, err := s.Lanes(t.Context()); err == nil && len(lanes) == 0 {
				break
			}
			w.clock.pass(time.Second)
		}
		got := make(map[string][]string)
		for _, id := range w.network.list() {
			m, err := s.Message(t.Context(), w.tenancy, id)
			if err != nil {
				rt.Fatal(err)
			}
			got[m.Peer.Phone()] = append(got[m.Peer.Phone()], id)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Error(diff)
		}
	})
}
