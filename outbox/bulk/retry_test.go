package bulk_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/outbox/bulk"
)

func allFailed(*messaging.Message) messaging.Status { return messaging.StatusFailed }

// torn is a store whose answer to RetryFailed is lost.
type torn struct {
	*memory
	lost atomic.Bool
	err  error
}

func (s *torn) RetryFailed(ctx context.Context, t messaging.Tenancy, id string, now time.Time) (int64, error) {
	n, err := s.memory.RetryFailed(ctx, t, id, now)
	if s.lost.Swap(false) {
		return 0, s.err
	}
	return n, err
}

// Rows that were marked before a call broke off belong to nobody else.
func TestRowsOfARetryThatBrokeOffHaveTheirTurn(t *testing.T) {
	for name, rest := range map[string]int{"of a running bulk": 5, "of a completed bulk": 0} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.service.Stop()
			s := &torn{memory: w.memory, err: errors.New("the connection is gone")}
			w.start(func(o *bulk.Options) { o.Store = s })
			b := w.accept(w.draft(10))
			w.lanes.carry("ins_a", 10-rest, allFailed)
			w.idle()
			s.lost.Store(true)
			if _, err := w.service.RetryFailed(t.Context(), w.tenancy, b.ID); !errors.Is(err, s.err) {
				t.Fatalf("RetryFailed = %v", err)
			}
			w.drain(b)
			if diff := cmp.Diff(messaging.BulkCounts{Total: 10, Sent: 10}, w.state(b).Counts); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// While the store marks rows, a pause waits: whoever was told that a bulk is
// paused must be able to rely on it.
func TestAPauseWaitsForARetry(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(10))
	w.lanes.carry("ins_a", 5, allFailed)
	w.idle()
	marking, marked := make(chan struct{}), make(chan struct{})
	w.memory.setTake(func(op string) {
		if op == "RetryFailed" {
			close(marking)
			<-marked
		}
	})
	retried, paused := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := w.service.RetryFailed(t.Context(), w.tenancy, b.ID)
		retried <- err
	}()
	<-marking
	go func() {
		_, err := w.service.Pause(t.Context(), w.tenancy, b.ID)
		paused <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := w.service.Pause(ctx, w.tenancy, b.ID); err == nil {
		t.Error("a bulk was paused while its rows are being marked")
	}
	close(marked)
	if err := errors.Join(<-retried, <-paused); err != nil {
		t.Fatal(err)
	}
	w.idle()
	if _, due := w.lanes.waiting("ins_a"); due != 0 || w.state(b).State != messaging.BulkPaused {
		t.Errorf("the bulk is %s, and %d messages are to be sent", w.state(b).State, due)
	}
}

// Another process, or one that has ended, may have marked rows of a paused bulk.
func TestRowsThatWereMarkedInAPauseGoWhenItEnds(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(10))
	w.lanes.carry("ins_a", 10-1, allFailed)
	w.idle()
	if _, err := w.service.Pause(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.memory.RetryFailed(t.Context(), w.tenancy, b.ID, w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.service.Resume(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	w.drain(b)
	if diff := cmp.Diff(messaging.BulkCounts{Total: 10, Sent: 10}, w.state(b).Counts); diff != "" {
		t.Error(diff)
	}
}

// That a bulk has completed may be told later than somebody reads it, and asks for
// a retry.
func TestALateWordOfTheEndDoesNotEndARetry(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(10))
	late := make(chan []messaging.Event, 100)
	w.memory.setTell(func(events []messaging.Event) { late <- events })
	w.lanes.carry("ins_a", 10, allFailed)
	w.memory.setTake(func(op string) {
		if op != "RetryFailed" {
			return
		}
		w.memory.setTake(nil)
		w.memory.setTell(w.service.Tell)
		for range len(late) {
			w.service.Tell(<-late)
		}
	})
	if _, err := w.service.RetryFailed(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	w.drain(b)
	if diff := cmp.Diff(messaging.BulkCounts{Total: 10, Sent: 10}, w.state(b).Counts); diff != "" {
		t.Error(diff)
	}
}

// What is in hand when a bulk is paused goes out. It may be the last of it.
func TestResumingABulkThatHasNothingLeftCompletesIt(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(1))
	w.lanes.grasp("ins_a")
	if _, err := w.service.Pause(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	w.lanes.carry("ins_a", 1, allSent)
	w.idle()
	if got := w.state(b); got.State != messaging.BulkPaused || got.Counts.Queued != 0 {
		t.Fatalf("bulk = %+v", got)
	}
	got, err := w.service.Resume(t.Context(), w.tenancy, b.ID)
	if err != nil || got.State != messaging.BulkCompleted {
		t.Errorf("Resume = %+v, %v, want completed", got, err)
	}
	w.idle()
}

// A change whose answer was lost may have happened: a bulk that runs in the store
// and is paused here would wait for ever.
func TestAResumeWhoseAnswerIsLostIsFoundOut(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(1000))
	if _, err := w.service.Pause(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	w.lanes.setLost(errors.New("the connection is gone"))
	if _, err := w.service.Resume(t.Context(), w.tenancy, b.ID); err == nil {
		t.Fatal("the answer was not lost")
	}
	w.lanes.setLost(nil)
	w.drain(b)
}

// slowList is a store in which something happens between a list of bulks and what
// is made of it.
type slowList struct {
	*memory
	meanwhile atomic.Pointer[func()]
}

func (s *slowList) OpenBulks(ctx context.Context) ([]messaging.Bulk, error) {
	open, err := s.memory.OpenBulks(ctx)
	if f := s.meanwhile.Swap(nil); f != nil {
		(*f)()
	}
	return open, err
}

// A run that learns late that its bulk has ended must not take away the one that a
// retry has begun.
func TestAnOldRunDoesNotEndItsSuccessor(t *testing.T) {
	w := newWorld(t)
	w.service.Stop()
	s := &slowList{memory: w.memory}
	w.start(func(o *bulk.Options) { o.Store = s })
	b := w.accept(w.draft(1))
	w.lanes.grasp("ins_a")
	if _, err := w.service.Pause(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	w.lanes.carry("ins_a", 1, allFailed)
	w.idle()
	retried := make(chan error, 1)
	late := make(chan []messaging.Event, 100)
	w.memory.setTell(func(events []messaging.Event) { late <- events })
	s.meanwhile.Store(new(func() {
		w.memory.setTell(w.service.Tell)
		for range len(late) {
			w.service.Tell(<-late)
		}
		_, err := w.service.RetryFailed(t.Context(), w.tenancy, b.ID)
		retried <- err
	}))
	w.lanes.setClosed("ins_a", true)
	w.lanes.setLost(errors.New("the connection is gone"))
	if _, err := w.service.Resume(t.Context(), w.tenancy, b.ID); err == nil {
		t.Fatal("the answer was not lost")
	}
	w.lanes.setLost(nil)
	w.idle()
	w.lanes.setClosed("ins_a", false)
	w.service.Wake("ins_a") // as the successor must hear
	if err := <-retried; err != nil {
		t.Fatal(err)
	}
	w.drain(b)
	if diff := cmp.Diff(messaging.BulkCounts{Total: 1, Sent: 1}, w.state(b).Counts); diff != "" {
		t.Error(diff)
	}
}
