package bulk_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox/bulk"
)

func TestAPausedBulkSendsNothingUntilItIsResumed(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(1000))
	w.lanes.carry("ins_a", 100, allSent)
	w.idle()
	hand := w.lanes.grasp("ins_a")
	paused, err := w.service.Pause(t.Context(), w.tenancy, b.ID)
	if err != nil || paused.State != messaging.BulkPaused {
		t.Fatalf("Pause = %+v, %v", paused, err)
	}
	if got := w.lanes.carry("ins_a", 1000, allSent); got != 1 || w.lanes.list()[100].message.ID != hand.ID {
		t.Fatalf("%d were sent, want only what was in hand", got)
	}
	w.idle()
	for range 2 {
		if all, due := w.lanes.waiting("ins_a"); due != 0 || all < 400 {
			t.Errorf("%d wait, %d of them due", all, due)
		}
		if est := w.service.Estimate(t.Context(), w.state(b)); !est.IsZero() {
			t.Errorf("a paused bulk is estimated to end at %s", est)
		}
		w.restart()
		w.pass(100 * time.Hour)
	}
	if _, err := w.service.Resume(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	w.drain(b)
	if diff := cmp.Diff(allNumbers(1000), w.recipients()); diff != "" {
		t.Error(diff)
	}
}

func TestPausingAScheduledBulkKeepsItsTime(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(10, func(d *bulk.Draft) { d.Options.SendAt = w.clock.Now().Add(time.Hour) }))
	if _, err := w.service.Pause(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	got, err := w.service.Resume(t.Context(), w.tenancy, b.ID)
	if err != nil || got.State != messaging.BulkScheduled {
		t.Fatalf("Resume = %+v, %v, want scheduled", got, err)
	}
	if _, err := w.service.Pause(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	w.pass(2 * time.Hour)
	if got := w.state(b).State; got != messaging.BulkPaused {
		t.Errorf("state = %s at its time, want paused", got)
	}
	if _, err := w.service.Resume(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	w.drain(b)
}

func TestACanceledBulkSendsWhatIsInHandAndNothingElse(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(1000))
	w.lanes.carry("ins_a", 100, allSent)
	w.idle()
	w.lanes.grasp("ins_a")
	got, err := w.service.Cancel(t.Context(), w.tenancy, b.ID)
	if err != nil || got.State != messaging.BulkCanceled {
		t.Fatalf("Cancel = %+v, %v", got, err)
	}
	w.idle()
	w.lanes.carry("ins_a", 1000, allSent)
	if diff := cmp.Diff(messaging.BulkCounts{Total: 1000, Sent: 101, Canceled: 899}, w.state(b).Counts); diff != "" {
		t.Error(diff)
	}
}

func TestWhatABulksStateDoesNotAllowIsAConflict(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(10))
	acts := map[string]func() error{
		"pause":  func() error { _, err := w.service.Pause(t.Context(), w.tenancy, b.ID); return err },
		"resume": func() error { _, err := w.service.Resume(t.Context(), w.tenancy, b.ID); return err },
		"cancel": func() error { _, err := w.service.Cancel(t.Context(), w.tenancy, b.ID); return err },
		"retry":  func() error { _, err := w.service.RetryFailed(t.Context(), w.tenancy, b.ID); return err },
	}
	refused := func(names ...string) {
		t.Helper()
		state := w.state(b).State
		for _, name := range names {
			err := acts[name]()
			if !errors.Is(err, fault.ErrConflict) || fault.As(err).Details()["state"] != string(state) {
				t.Errorf("%s of a bulk that is %s: %v, want CONFLICT with its state", name, state, err)
			}
		}
	}
	refused("resume")
	if err := acts["pause"](); err != nil {
		t.Fatal(err)
	}
	refused("pause", "retry")
	if err := acts["cancel"](); err != nil {
		t.Fatal(err)
	}
	refused("pause", "resume", "cancel", "retry")
	stranger := messaging.NewTenancy("wsp_two", messaging.Test, messaging.AllInstances())
	if _, err := w.service.Cancel(t.Context(), stranger, b.ID); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("a stranger's cancel: %v, want NOT_FOUND", err)
	}
}

func TestFailedRowsAreSentAgainWhenThatIsAskedFor(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(300))
	odd := func(m *messaging.Message) messaging.Status {
		if m.Peer.Phone()[10]%2 == 1 {
			return messaging.StatusFailed
		}
		return messaging.StatusSent
	}
	for w.lanes.carry("ins_a", 64, odd) > 0 {
		w.idle()
	}
	if diff := cmp.Diff(messaging.BulkCounts{Total: 300, Sent: 150, Failed: 150}, w.state(b).Counts); diff != "" {
		t.Fatal(diff)
	}
	w.restart() // a bulk that has completed is taken up again
	got, err := w.service.RetryFailed(t.Context(), w.tenancy, b.ID)
	if err != nil || got.State != messaging.BulkRunning {
		t.Fatalf("RetryFailed = %+v, %v", got, err)
	}
	w.drain(b)
	if diff := cmp.Diff(messaging.BulkCounts{Total: 300, Sent: 300}, w.state(b).Counts); diff != "" {
		t.Error(diff)
	}
	if got, err := w.service.RetryFailed(t.Context(), w.tenancy, b.ID); err != nil || got.State != messaging.BulkCompleted {
		t.Errorf("without failed rows: %+v, %v", got, err)
	}
	w.idle()
}

// Whoever pauses has to be able to rely on it: what the answer says is so.
func TestAPauseThatCannotBeRecordedChangesNothing(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(1000))
	away := errors.New("the database is away")
	w.memory.setFail(func(op string) error {
		if op == "Report" {
			return away
		}
		return nil
	})
	if _, err := w.service.Pause(t.Context(), w.tenancy, b.ID); !errors.Is(err, away) {
		t.Fatalf("Pause = %v", err)
	}
	w.memory.setFail(nil)
	if got := w.state(b).State; got != messaging.BulkRunning {
		t.Errorf("state = %s", got)
	}
	w.drain(b)
}
