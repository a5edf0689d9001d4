package outbox_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

// hooked is a store that lets a test act at the moment between a read and what
// the lane makes of it, or keep a record from being written.
type hooked struct {
	*store.Store
	due    func(rows []outbox.Parcel)
	report func(records []messaging.Record) error
}

func (h *hooked) Due(ctx context.Context, l outbox.LaneRef, p messaging.Priority, now time.Time, n int) ([]outbox.Parcel, error) {
	rows, err := h.Store.Due(ctx, l, p, now, n)
	if h.due != nil {
		h.due(rows)
	}
	return rows, err
}

func (h *hooked) Report(ctx context.Context, r ...messaging.Record) error {
	if h.report != nil {
		if err := h.report(r); err != nil {
			return err
		}
	}
	return h.Store.Report(ctx, r...)
}

// newHookedWorld is newWorld on a store that the test can interrupt.
func newHookedWorld(t *testing.T, s *store.Store) (*world, *hooked) {
	w := newWorld(t, s)
	w.outbox.Stop()
	h := &hooked{Store: s}
	w.outbox = outbox.New(outbox.Options{
		Store: h, Reporter: h, Channels: w.network,
		Clocks: func(outbox.LaneRef) messaging.Clock { return w.clock },
	})
	t.Cleanup(w.outbox.Stop)
	return w, h
}

// Whoever is told "canceled" must be able to rely on it, whatever the lane was
// reading at that moment.
func TestACanceledMessageIsNotCarriedFromARowReadBefore(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w, h := newHookedWorld(t, s)
		w.network.setOpen(false)
		var last messaging.Message
		for n := range 600 {
			last = w.accept(number(n))
		}
		w.idle()
		var canceled atomic.Bool
		h.due = func(rows []outbox.Parcel) {
			for _, r := range rows {
				if r.MessageID == last.ID && canceled.CompareAndSwap(false, true) {
					if _, err := w.outbox.Cancel(context.Background(), w.tenancy, last.ID); err != nil {
						t.Errorf("Cancel: %v", err)
					}
				}
			}
		}
		w.network.setOpen(true)
		w.outbox.Wake(w.instance.ID)
		w.idle()
		if !canceled.Load() {
			t.Fatal("the row was never read")
		}
		for _, id := range w.network.list() {
			if id == last.ID {
				t.Errorf("a canceled message was carried; its status is %s", w.status(last))
			}
		}
	})
}

// What comes due while the lane reads is not among what it reads, and nothing
// else would have the lane look again.
func TestAMessageThatComesDueDuringAReadIsSent(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w, h := newHookedWorld(t, s)
		in := func(d time.Duration) func(*outbox.Draft) {
			return func(draft *outbox.Draft) { draft.SendAt = w.clock.Now().Add(d) }
		}
		first, second := w.accept(number(1), in(time.Second)), w.accept(number(2), in(time.Minute))
		w.idle()
		var passed atomic.Bool
		h.due = func(rows []outbox.Parcel) {
			if len(rows) > 0 && passed.CompareAndSwap(false, true) {
				w.clock.pass(time.Minute)
			}
		}
		w.pass(time.Second)
		for _, m := range []messaging.Message{first, second} {
			if got := w.status(m); got != messaging.StatusSent {
				t.Errorf("status = %s, want sent", got)
			}
		}
	})
}

func TestAMessageIsNotSetAsideBehindOneThatIsCanceledMeanwhile(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w, h := newHookedWorld(t, s)
		first := w.accept(number(1), func(d *outbox.Draft) { d.SendAt = w.clock.Now().Add(48 * time.Hour) })
		var canceled atomic.Bool
		h.report = func(rs []messaging.Record) error {
			if c, ok := rs[0].(messaging.StatusChange); ok && c.Parked && canceled.CompareAndSwap(false, true) {
				if _, err := w.outbox.Cancel(context.Background(), w.tenancy, first.ID); err != nil {
					t.Errorf("Cancel: %v", err)
				}
			}
			return nil
		}
		behind := w.accept(number(1))
		w.idle()
		if !canceled.Load() {
			t.Fatal("the message was never set aside")
		}
		if got := w.status(behind); got != messaging.StatusSent {
			t.Errorf("the message behind is %s, want sent", got)
		}
	})
}

func TestACancellationThatCannotBeRecordedChangesNothing(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w, h := newHookedWorld(t, s)
		w.network.setOpen(false)
		m := w.accept(number(1))
		w.idle()
		h.report = func([]messaging.Record) error { return errors.New("the database is away") }
		if _, err := w.outbox.Cancel(t.Context(), w.tenancy, m.ID); err == nil {
			t.Fatal("Cancel succeeded")
		}
		h.report = nil
		w.network.setOpen(true)
		w.outbox.Wake(w.instance.ID)
		w.idle()
		if got := w.status(m); got != messaging.StatusSent {
			t.Errorf("status = %s, want sent", got)
		}
	})
}

// A clock that skipped ahead and came back must not leave later messages due.
func TestMessagesAreNotSentEarlyAfterTheClockHasSkipped(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.clock.skip(true)
		far := w.accept(number(1), func(d *outbox.Draft) { d.SendAt = w.clock.Now().Add(48 * time.Hour) })
		w.idle()
		if got := w.status(far); got != messaging.StatusSent {
			t.Fatalf("with a skipping clock the message is %s, want sent", got)
		}
		w.clock.skip(false)
		soon := w.accept(number(2), func(d *outbox.Draft) { d.SendAt = w.clock.Now().Add(time.Hour) })
		w.network.setJudge(func(m messaging.Outgoing) *messaging.Outcome {
			if m.To.Phone() == number(3) && m.Attempt == 1 {
				return &messaging.Outcome{Verdict: messaging.Deferred, Tried: true, Due: w.clock.Now().Add(time.Second)}
			}
			return nil
		})
		w.accept(number(3)) // its second try reads the database
		w.idle()
		w.pass(2 * time.Second)
		if got := w.status(soon); got != messaging.StatusScheduled {
			t.Errorf("a message of an hour from now is %s", got)
		}
	})
}

// A message that was being accepted while its instance was deleted is canceled
// as those before it: it must not wait for a channel that never comes.
func TestWhatComesToADeletedInstanceIsCanceled(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.network.setOpen(false)
		before := w.accept(number(1))
		ref := outbox.LaneRef{WorkspaceID: w.tenancy.Workspace(), Environment: messaging.Test, InstanceID: w.instance.ID}
		if err := w.outbox.Drain(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		late := w.accept(number(2))
		scheduled := w.accept(number(3), func(d *outbox.Draft) { d.SendAt = w.clock.Now().Add(time.Hour) })
		w.idle()
		for _, m := range []messaging.Message{before, late, scheduled} {
			if got := w.status(m); got != messaging.StatusCanceled {
				t.Errorf("status = %s, want canceled", got)
			}
		}
	})
}

func TestDrainingEmptiesALaneOfManyScheduledMessages(t *testing.T) {
	w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
	at := w.clock.Now().Add(time.Hour)
	for n := range 3000 {
		w.accept(number(n%5), func(d *outbox.Draft) { d.SendAt = at })
	}
	ref := outbox.LaneRef{WorkspaceID: w.tenancy.Workspace(), Environment: messaging.Test, InstanceID: w.instance.ID}
	if err := w.outbox.Drain(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if lanes, err := w.store.Lanes(t.Context()); err != nil || len(lanes) != 0 {
		t.Errorf("left in the outbox: %v, %v", lanes, err)
	}
}
