package outbox_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

// amend has messages of the world's instance be something else from now on.
func (w *world) amend(status messaging.Status, due time.Time, ms ...messaging.Message) []string {
	w.t.Helper()
	amended, err := w.outbox.Amend(context.Background(), w.amendment(status, due, ids(ms...)...))
	if err != nil {
		w.t.Fatalf("Amend: %v", err)
	}
	return amended
}

func (w *world) amendment(status messaging.Status, due time.Time, ids ...string) outbox.Amendment {
	return outbox.Amendment{Messages: []outbox.LaneMessages{{Lane: w.ref(), IDs: ids}}, Status: status, Due: due}
}

// A message that is held stands where it stood: what is behind it to the same
// recipient waits for it, and goes when it does.
func TestAHeldMessageBlocksItsRecipientUntilItIsLetGo(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.network.setOpen(false)
		first, other, behind := w.accept(number(1)), w.accept(number(2)), w.accept(number(1))
		if diff := cmp.Diff(ids(first), w.amend(messaging.StatusHeld, time.Time{}, first)); diff != "" {
			t.Error(diff)
		}
		w.network.setOpen(true)
		w.outbox.Wake(w.instance.ID)
		w.idle()
		for range 2 {
			if diff := cmp.Diff(ids(other), w.network.list()); diff != "" {
				t.Fatal(diff)
			}
			if a, b := w.status(first), w.status(behind); a != messaging.StatusHeld || b != messaging.StatusQueued {
				t.Errorf("statuses = %s, %s", a, b)
			}
			w.clock.skip(true) // what is held until further notice is not due on any clock
			w.restart()
			w.idle()
		}
		w.amend(messaging.StatusQueued, time.Time{}, first)
		w.idle()
		if diff := cmp.Diff(ids(other, first, behind), w.network.list()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAMessageThatIsHeldUntilATimeGoesThen(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.network.setOpen(false)
		first, behind := w.accept(number(1)), w.accept(number(1))
		w.amend(messaging.StatusHeld, w.clock.Now().Add(time.Hour), first)
		w.network.setOpen(true)
		w.outbox.Wake(w.instance.ID)
		w.pass(59 * time.Minute)
		if got := w.network.list(); len(got) > 0 {
			t.Fatalf("carried before its time: %v", got)
		}
		w.pass(time.Minute)
		if diff := cmp.Diff(ids(first, behind), w.network.list()); diff != "" {
			t.Error(diff)
		}
	})
}

// More than the lane keeps in memory waits, and some of it behind others.
func TestMessagesAreAmendedWhereverTheyWait(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.network.setOpen(false)
		all := make([]messaging.Message, 600)
		for n := range all {
			all[n] = w.accept(number(n % 100))
		}
		w.idle()
		if got := w.amend(messaging.StatusHeld, time.Time{}, all[:550]...); len(got) != 550 {
			t.Errorf("%d were held, want 550", len(got))
		}
		w.network.setOpen(true)
		w.outbox.Wake(w.instance.ID)
		w.idle()
		if got := w.network.list(); len(got) > 0 {
			t.Fatalf("%d were carried behind those that are held", len(got))
		}
		if got := w.amend(messaging.StatusCanceled, time.Time{}, all[:50]...); len(got) != 50 {
			t.Errorf("%d were canceled, want 50", len(got))
		}
		w.idle()
		w.amend(messaging.StatusQueued, time.Time{}, all[50:550]...)
		w.idle()
		if diff := cmp.Diff(byRecipient(all[50:]), byRecipient(w.carried())); diff != "" {
			t.Error(diff)
		}
	})
}

// byRecipient lists messages by whom they go to, in order.
func byRecipient(ms []messaging.Message) map[string][]string {
	out := make(map[string][]string)
	for _, m := range ms {
		out[m.Peer.Phone()] = append(out[m.Peer.Phone()], m.ID)
	}
	return out
}

// carried returns what the network carried.
func (w *world) carried() (out []messaging.Message) {
	w.t.Helper()
	for _, id := range w.network.list() {
		m, err := w.store.Message(context.Background(), w.tenancy, id)
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

// The other records are in the same commit: none without the messages, and no
// message without them.
func TestAnAmendmentThatCannotBeRecordedChangesNothing(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w, h := newHookedWorld(t, s)
		w.network.setOpen(false)
		first, behind, later := w.accept(number(1)), w.accept(number(1)), w.accept(number(2), func(d *outbox.Draft) {
			d.SendAt = w.clock.Now().Add(time.Hour)
		})
		w.idle()
		away := errors.New("the database is away")
		h.report = func([]messaging.Record) error { return away }
		for _, status := range []messaging.Status{messaging.StatusHeld, messaging.StatusCanceled} {
			if _, err := w.outbox.Amend(t.Context(), w.amendment(status, time.Time{}, first.ID, later.ID)); !errors.Is(err, away) {
				t.Fatalf("Amend = %v", err)
			}
		}
		h.report = nil
		w.network.setOpen(true)
		w.outbox.Wake(w.instance.ID)
		w.idle()
		w.pass(time.Hour)
		if diff := cmp.Diff(ids(first, behind, later), w.network.list()); diff != "" {
			t.Error(diff)
		}
	})
}

// Whoever pauses must be able to rely on it also for what the channel has in hand
// at that moment and gives back, by whatever way it comes back.
func TestWhatComesBackFromTheChannelIsRecalled(t *testing.T) {
	for name, c := range map[string]struct {
		outcome messaging.Outcome
		restart bool
	}{
		"to be tried later":             {messaging.Outcome{Verdict: messaging.Deferred, Tried: true}, false},
		"held by the network":           {messaging.Outcome{Verdict: messaging.Held, Tried: true}, false},
		"for want of a connection":      {messaging.Outcome{Verdict: messaging.Deferred}, false},
		"and the process is another":    {messaging.Outcome{Verdict: messaging.Deferred}, true},
		"late, and the process as well": {messaging.Outcome{Verdict: messaging.Deferred, Tried: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
				w := newWorld(t, s)
				var m, behind messaging.Message
				ready := make(chan struct{})
				amended := []string{"not asked"}
				w.network.setJudge(func(o messaging.Outgoing) *messaging.Outcome {
					<-ready
					if o.MessageID != m.ID || o.Attempt > 1 {
						return nil
					}
					amended = w.amend(messaging.StatusHeld, time.Time{}, m)
					out := c.outcome
					if out.Tried {
						out.Due = w.clock.Now().Add(time.Minute)
					}
					return &out
				})
				m = w.accept(number(1))
				close(ready)
				w.idle()
				if len(amended) != 0 {
					t.Errorf("what is in hand was amended: %v", amended)
				}
				if c.restart {
					w.restart()
				}
				behind = w.accept(number(1))
				w.outbox.Wake(w.instance.ID)
				w.pass(time.Hour)
				if got := w.network.list(); len(got) > 0 || w.status(m) != messaging.StatusHeld {
					t.Fatalf("carried %v, the message is %s", got, w.status(m))
				}
				w.network.setJudge(nil)
				w.amend(messaging.StatusQueued, time.Time{}, m)
				w.idle()
				if diff := cmp.Diff(ids(m, behind), w.network.list()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// What the network has but did not acknowledge may have been read already.
func TestAMessageWithoutItsAcknowledgementIsNotCanceled(t *testing.T) {
	w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
	lost := w.loseOne()
	if got := w.amend(messaging.StatusCanceled, time.Time{}, lost); len(got) > 0 || w.status(lost) != messaging.StatusSending {
		t.Errorf("canceled %v, it is %s", got, w.status(lost))
	}
}

func TestDrainingWaitsForAnAmendment(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w, h := newHookedWorld(t, s)
		w.network.setOpen(false)
		m := w.accept(number(1))
		w.idle()
		var drained sync.WaitGroup
		var once sync.Once
		h.report = func([]messaging.Record) error {
			once.Do(func() {
				drained.Go(func() {
					if err := w.outbox.Drain(context.Background(), w.ref()); err != nil {
						t.Errorf("Drain: %v", err)
					}
				})
			})
			return nil
		}
		w.amend(messaging.StatusHeld, time.Time{}, m)
		drained.Wait()
		if got := w.status(m); got != messaging.StatusCanceled {
			t.Errorf("status = %s, want canceled", got)
		}
	})
}

// A read that is under way has seen the message as it was. What stands behind it
// must not go on the strength of that read.
func TestAMessageIsAmendedWhileItIsBeingRead(t *testing.T) {
	for _, status := range []messaging.Status{messaging.StatusHeld, messaging.StatusQueued} {
		t.Run(string(status), func(t *testing.T) {
			storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
				w, h := newHookedWorld(t, s)
				w.network.setOpen(false)
				first, behind := w.accept(number(1)), w.accept(number(1))
				w.idle()
				w.outbox.Stop()
				var once sync.Once
				h.due = func(rows []outbox.Parcel) {
					if len(rows) > 0 {
						once.Do(func() { w.amend(status, time.Time{}, first) })
					}
				}
				w.network.setOpen(true)
				w.outbox = outbox.New(outbox.Options{
					Store: h, Reporter: h, Channels: w.network, Clocks: func(outbox.LaneRef) messaging.Clock { return w.clock },
				})
				t.Cleanup(w.outbox.Stop)
				if err := w.outbox.Recover(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.idle()
				if status == messaging.StatusHeld {
					if got := w.network.list(); len(got) > 0 {
						t.Errorf("carried %v", got)
					}
					w.amend(messaging.StatusQueued, time.Time{}, first)
					w.idle()
				}
				if diff := cmp.Diff(ids(first, behind), w.network.list()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// What is taken before the dispatcher has recovered must not go before what an
// earlier process left.
func TestWhatIsTakenBeforeTheRecoveryKeepsItsPlace(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s)
		w.network.setOpen(false)
		first, second := w.accept(number(1)), w.accept(number(1))
		held := w.accept(number(2))
		w.idle()
		w.outbox.Stop()
		w.network.setOpen(true)
		w.outbox = outbox.New(outbox.Options{
			Store: s, Reporter: s, Channels: w.network, Clocks: func(outbox.LaneRef) messaging.Clock { return w.clock },
		})
		t.Cleanup(w.outbox.Stop)
		w.amend(messaging.StatusHeld, time.Time{}, held)
		third := w.accept(number(1))
		w.idle()
		if err := w.outbox.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.idle()
		if diff := cmp.Diff(ids(first, second, third), w.network.list()); diff != "" {
			t.Error(diff)
		}
	})
}
