package outbox_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

func (w *world) ref() outbox.LaneRef {
	return outbox.LaneRef{WorkspaceID: w.tenancy.Workspace(), Environment: messaging.Test, InstanceID: w.instance.ID}
}

// What was meant for one number must not go out by another, and what is meant
// for the other must.
func TestFailingWhatWaitsLeavesTheLaneToWhatComesLater(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		lost := w.loseOne()
		w.network.setOpen(false)
		var waiting []messaging.Message
		for n := range 700 { // more than the lane keeps in memory
			waiting = append(waiting, w.accept(number(n%9+1), func(d *outbox.Draft) { d.Priority = messaging.Priority(n % 3) }))
		}
		later := w.accept(number(1), func(d *outbox.Draft) { d.SendAt = w.clock.Now().Add(time.Hour) })
		last := w.last()
		w.restart()                  // the lane has not read anything of it yet
		early := w.accept(number(1)) // for the other number, which is linked already
		for range 2 {
			if err := w.outbox.Fail(t.Context(), w.ref(), last, outbox.ErrOtherNumber()); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range append(waiting, later, lost) {
			got, err := s.Message(t.Context(), w.tenancy, m.ID)
			if err != nil || got.Status != messaging.StatusFailed || got.Error == nil || got.Error.Code != "INSTANCE_LOGGED_OUT" {
				t.Fatalf("message: %+v, %v", got.State, err)
			}
		}
		if got := w.status(early); got != messaging.StatusQueued {
			t.Errorf("what was accepted for the other number is %s", got)
		}
		next := w.accept(number(1))
		w.network.setOpen(true)
		w.outbox.Wake(w.instance.ID)
		w.idle()
		if diff := cmp.Diff(ids(early, next), w.network.list()); diff != "" {
			t.Error(diff)
		}
	})
}

// last is the last place in the lane that is taken.
func (w *world) last() (last int64) {
	w.t.Helper()
	for p := range messaging.Priority(messaging.Priorities) {
		rows, err := w.store.Due(w.t.Context(), w.ref(), p, w.clock.Now().Add(24*time.Hour), 5000)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, row := range rows {
			last = max(last, row.Position)
		}
	}
	return last
}

// loseOne has the network take a message without a word.
func (w *world) loseOne() messaging.Message {
	w.network.setJudge(func(messaging.Outgoing) *messaging.Outcome {
		return &messaging.Outcome{Verdict: messaging.Pending, At: w.clock.Now()}
	})
	lost := w.accept(number(0))
	w.idle()
	w.network.setJudge(nil)
	return lost
}

// A process that ends while it fails what waits leaves the rest to be failed by
// the next.
func TestFailingWhatWaitsCanBeTakenUpAgain(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w, h := newHookedWorld(t, s)
		w.network.setOpen(false)
		var waiting []messaging.Message
		for n := range 1200 {
			waiting = append(waiting, w.accept(number(n)))
		}
		w.idle()
		last := w.last()
		var reports atomic.Int32
		h.report = func([]messaging.Record) error {
			if reports.Add(1) > 1 {
				go w.outbox.Stop()
				return errors.New("the database is away")
			}
			return nil
		}
		if err := w.outbox.Fail(t.Context(), w.ref(), last, outbox.ErrOtherNumber()); !errors.Is(err, context.Canceled) {
			t.Fatalf("Fail = %v, want canceled", err)
		}
		w.restart()
		if err := w.outbox.Fail(t.Context(), w.ref(), last, outbox.ErrOtherNumber()); err != nil {
			t.Fatal(err)
		}
		for _, m := range waiting {
			if got := w.status(m); got != messaging.StatusFailed {
				t.Fatalf("status = %s, want failed", got)
			}
		}
	})
}

func TestFailingAPacedLaneDoesNotWaitForItsTurn(t *testing.T) {
	w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
	w.set(`{"pace":{"enabled":true,"per_hour":1}}`)
	w.accept(number(1))
	held := w.accept(number(2))
	w.idle()
	last := w.last()
	if err := w.outbox.Fail(t.Context(), w.ref(), last, outbox.ErrOtherNumber()); err != nil {
		t.Fatal(err)
	}
	if got := w.status(held); got != messaging.StatusFailed {
		t.Errorf("status = %s, want failed", got)
	}
}
