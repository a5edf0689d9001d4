package bulk_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
)

func (w *world) world() messaging.World {
	return messaging.World{WorkspaceID: w.tenancy.Workspace(), Environment: w.tenancy.Environment()}
}

// Whoever writes STOP must not get what was on its way, even if the lane takes
// hours to come to it.
func TestWhoOptsOutGetsNothingThatWaitsInALane(t *testing.T) {
	for name, prepare := range map[string]func(*world, messaging.Bulk) error{
		"of a running bulk": func(*world, messaging.Bulk) error { return nil },
		"of a paused bulk": func(w *world, b messaging.Bulk) error {
			_, err := w.service.Pause(t.Context(), w.tenancy, b.ID)
			return err
		},
		"in quiet hours":  func(w *world, _ messaging.Bulk) error { w.pass(13 * time.Hour); return nil },
		"after a restart": func(w *world, _ messaging.Bulk) error { w.restart(); return nil },
	} {
		for scope, instance := range map[string]string{"one instance": "ins_a", "the workspace": ""} {
			t.Run(name+", "+scope, func(t *testing.T) {
				w := newWorld(t)
				b := w.accept(w.quietDraft(100))
				if err := prepare(w, b); err != nil {
					t.Fatal(err)
				}
				w.idle()
				w.service.OptedOut(w.world(), instance, number(7))
				w.service.OptedOut(w.world(), "ins_other", number(8))
				w.service.OptedOut(messaging.World{WorkspaceID: "wsp_other", Environment: messaging.Test}, "", number(9))
				w.idle()
				if diff := cmp.Diff(messaging.BulkCounts{Total: 100, Queued: 99, Canceled: 1}, w.state(b).Counts); diff != "" {
					t.Error(diff)
				}
				want := &messaging.SendError{Code: "CANCELED", Message: "The recipient has opted out."}
				if diff := cmp.Diff(want, w.memory.find(number(7)).Error); diff != "" {
					t.Error(diff)
				}
				if w.state(b).State == messaging.BulkPaused {
					if _, err := w.service.Resume(t.Context(), w.tenancy, b.ID); err != nil {
						t.Fatal(err)
					}
				}
				w.drain(b)
				if slices.Contains(w.recipients(), number(7)) || len(w.recipients()) != 99 {
					t.Errorf("sent to %d, the one who opted out among them: %v", len(w.recipients()), slices.Contains(w.recipients(), number(7)))
				}
			})
		}
	}
}

// A turn that began before an opt-out may commit its message, and come to the lane
// later than the opt-out is told.
func TestAnOptOutReachesATurnThatIsOnItsWay(t *testing.T) {
	w := closed(newWorld(t))
	b := w.accept(w.draft(10))
	var once atomic.Bool
	w.memory.setTake(func(op string) {
		if op == "Turn" && !once.Swap(true) {
			w.service.OptedOut(w.world(), "ins_a", number(3))
		}
	})
	w.lanes.setClosed("ins_a", false)
	w.service.Wake("ins_a")
	w.drain(b)
	if slices.Contains(w.recipients(), number(3)) {
		t.Error("who opted out was sent to")
	}
}

func TestAnOptOutIsNotForgottenWhenTheDatabaseIsAway(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(10))
	var failures atomic.Int64
	w.memory.setFail(func(op string) error {
		if op == "Report" && failures.Add(1) == 1 {
			return errors.New("the database is away")
		}
		return nil
	})
	w.service.OptedOut(w.world(), "ins_a", number(3))
	w.idle()
	if got := w.state(b).Counts.Canceled; got != 1 || failures.Load() < 2 {
		t.Errorf("%d canceled after %d tries", got, failures.Load())
	}
}
