package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"portaria/internal/fault"
	"portaria/messaging"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is a store of messages whose statuses rise.
type shelf struct {
	mu       sync.Mutex
	statuses map[string]messaging.Status
	reads    int
	// before and after run around the reading of a message, when set.
	before, after func()
}

func newShelf() *shelf {
	return &shelf{statuses: map[string]messaging.Status{"msg": messaging.StatusQueued}}
}

func (s *shelf) Message(ctx context.Context, _ messaging.Tenancy, id string) (messaging.Message, error) {
	if ctx.Err() != nil {
		return messaging.Message{}, ctx.Err()
	}
	if s.before != nil {
		s.before()
	}
	s.mu.Lock()
	s.reads++
	status, ok := s.statuses[id]
	s.mu.Unlock()
	if s.after != nil {
		s.after()
	}
	if !ok {
		return messaging.Message{}, fault.ErrNotFound
	}
	return messaging.Message{ID: id, State: messaging.State{Status: status}}, nil
}

// commit moves a message and tells of it, in this order, as the store does.
func (s *shelf) commit(j *Journal, id string, status messaging.Status) {
	s.mu.Lock()
	s.statuses[id] = status
	s.mu.Unlock()
	j.Tell([]messaging.Event{{MessageID: "other"}, {MessageID: id}})
}

// await waits for the message and returns how far it got.
func await(ctx context.Context, t testing.TB, j *Journal, want messaging.Status) messaging.Status {
	t.Helper()
	m, err := j.Await(ctx, messaging.Tenancy{}, "msg", want)
	if err != nil {
		t.Errorf("Await: %v", err)
	}
	return m.Status
}

func waiting(j *Journal) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.waiters)
}

// In a synctest bubble a wait that nothing ends is a deadlock, and fails.
func TestAwaitReturnsAtOnceWhatHasBeenReached(t *testing.T) {
	for _, status := range []messaging.Status{
		messaging.StatusSent, messaging.StatusRead, // got there, or further
		messaging.StatusFailed, messaging.StatusCanceled, // never will
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newShelf()
			s.statuses["msg"] = status
			j := NewJournal(s)
			if got := await(t.Context(), t, j, messaging.StatusSent); got != status || s.reads != 1 || waiting(j) != 0 {
				t.Errorf("Await = %s after %d readings, %d waiters left; want %s after one", got, s.reads, waiting(j), status)
			}
		})
	}
}

func TestAwaitReturnsWhenItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		j := NewJournal(s)
		began := time.Now()
		go func() {
			time.Sleep(time.Second) // the bubble's time
			s.commit(j, "msg", messaging.StatusSending)
			time.Sleep(time.Second)
			s.commit(j, "msg", messaging.StatusDelivered)
		}()
		got := await(t.Context(), t, j, messaging.StatusSent)
		if waited := time.Since(began); got != messaging.StatusDelivered || waited != 2*time.Second {
			t.Errorf("Await = %s after %v", got, waited)
		}
		if s.reads != 3 || waiting(j) != 0 {
			t.Errorf("%d readings, %d waiters left", s.reads, waiting(j))
		}
	})
}

// A caller who waits for something else must not be woken a thousand times.
func TestAwaitDoesNotReadForEventsOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		j := NewJournal(s)
		go func() {
			synctest.Wait()
			for n := range 1000 {
				j.Tell([]messaging.Event{{MessageID: fmt.Sprint("msg", n)}, {InstanceID: "ins"}})
			}
			synctest.Wait()
			s.commit(j, "msg", messaging.StatusSent)
		}()
		if got := await(t.Context(), t, j, messaging.StatusSent); got != messaging.StatusSent || s.reads != 2 {
			t.Errorf("Await = %s after %d readings", got, s.reads)
		}
	})
}

// ?wait= is bounded: the answer is the message as it stands then, not an error.
func TestAwaitReturnsTheMessageAsItStandsWhenTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		j := NewJournal(s)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		go func() {
			time.Sleep(time.Second)
			s.commit(j, "msg", messaging.StatusHeld)
		}()
		got := await(ctx, t, j, messaging.StatusSent)
		if waited := time.Since(began); got != messaging.StatusHeld || waited != 10*time.Second || waiting(j) != 0 {
			t.Errorf("Await = %s after %v, %d waiters left", got, waited, waiting(j))
		}
		cancel()
		if got := await(ctx, t, j, messaging.StatusSent); got != messaging.StatusHeld {
			t.Errorf("Await with a context that has ended = %s", got)
		}
	})
}

// When the message gets there in the very moment in which the wait ends, the
// answer says so.
func TestAwaitReadsWhatWasToldAtItsEnd(t *testing.T) {
	for range 50 { // a select chooses at random
		s := newShelf()
		j := NewJournal(s)
		ctx, cancel := context.WithCancel(t.Context())
		s.after = sync.OnceFunc(func() {
			s.commit(j, "msg", messaging.StatusSent)
			cancel()
		})
		if got := await(ctx, t, j, messaging.StatusSent); got != messaging.StatusSent {
			t.Fatalf("Await = %s", got)
		}
	}
}

// The window in which a wake-up can be lost lies between the reading and the
// waiting. Here changes are committed at any point around any reading; the wait
// must end without further help.
func TestAwaitMissesNoChange(t *testing.T) {
	path := []messaging.Status{
		messaging.StatusSending, messaging.StatusHeld, messaging.StatusQueued, messaging.StatusSending,
		messaging.StatusSent, messaging.StatusDelivered, messaging.StatusRead,
	}
	rapid.Check(t, func(rt *rapid.T) {
		want := rapid.SampledFrom([]messaging.Status{messaging.StatusSent, messaging.StatusDelivered, messaging.StatusRead}).Draw(rt, "want")
		around := rapid.SliceOfN(rapid.IntRange(0, 2), 2, 20).Draw(rt, "changes around each reading")
		synctest.Test(t, func(t *testing.T) {
			s := newShelf()
			j := NewJournal(s)
			left := path
			step := func() {
				if len(left) > 0 {
					next := left[0]
					left = left[1:]
					s.commit(j, "msg", next)
				}
			}
			some := func() {
				if len(around) == 0 {
					return
				}
				for range around[0] {
					step()
				}
				around = around[1:]
			}
			s.before, s.after = some, some
			ended := make(chan messaging.Status, 1)
			go func() { ended <- await(t.Context(), t, j, want) }()
			for range path { // what comes while nobody reads
				synctest.Wait()
				if len(ended) == 1 {
					break
				}
				step()
			}
			if got := <-ended; !got.Reached(want) || waiting(j) != 0 {
				rt.Errorf("Await = %s, want %s; %d waiters left", got, want, waiting(j))
			}
		})
	})
}

// The same with real goroutines, for the race detector: a change and a wait
// begin together, again and again.
func TestAwaitAndTellRace(t *testing.T) {
	for range 500 {
		s := newShelf()
		j := NewJournal(s)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		var callers sync.WaitGroup
		for range 3 {
			callers.Go(func() {
				if got := await(ctx, t, j, messaging.StatusSent); got != messaging.StatusSent {
					t.Errorf("Await = %s", got)
				}
			})
		}
		callers.Go(func() { s.commit(j, "msg", messaging.StatusSent) })
		callers.Wait()
		cancel()
		if left := waiting(j); left != 0 || t.Failed() {
			t.Fatalf("%d waiters left", left)
		}
	}
}

// One who leaves must not take the others with him.
func TestEveryWaiterIsToldAndForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		j := NewJournal(s)
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var callers sync.WaitGroup
		for n := range 9 {
			ctx, want := t.Context(), messaging.StatusSent
			if n%3 == 0 {
				ctx, want = brief, messaging.StatusQueued // what it stands at is reached at once
			}
			if n%3 == 1 {
				ctx = brief
			}
			callers.Go(func() {
				got := await(ctx, t, j, want)
				if ended := got == messaging.StatusSent; ended != (n%3 == 2) {
					t.Errorf("waiter %d got %s", n, got)
				}
			})
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := len(j.waiters["msg"]); got != 3 {
			t.Errorf("%d wait, want 3", got)
		}
		s.commit(j, "msg", messaging.StatusSent)
		callers.Wait()
		if left := waiting(j); left != 0 {
			t.Errorf("%d waiters left", left)
		}
	})
}

func TestAwaitOfWhatIsNotThereIsNotFound(t *testing.T) {
	j := NewJournal(newShelf())
	if _, err := j.Await(t.Context(), messaging.Tenancy{}, "absent", messaging.StatusSent); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("Await: %v", err)
	}
	if left := waiting(j); left != 0 {
		t.Errorf("%d waiters left", left)
	}
}

// Tell stands on the committer's goroutine: every accepted message pays for it.
func TestTellCostsNothingWhenNobodyWaits(t *testing.T) {
	s := newShelf()
	j := NewJournal(s)
	committed := make([]messaging.Event, 1000)
	if allocs := testing.AllocsPerRun(100, func() { j.Tell(committed) }); allocs != 0 {
		t.Errorf("Tell allocates %v times", allocs)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan messaging.Status)
	go func() { ended <- await(ctx, t, j, messaging.StatusSent) }()
	for waiting(j) == 0 { // until it listens
		select {
		case <-ended:
			t.Fatal("Await returned before it was told")
		case <-time.After(time.Millisecond):
		}
	}
	if allocs := testing.AllocsPerRun(100, func() { j.Tell(committed) }); allocs != 0 {
		t.Errorf("Tell allocates %v times while somebody waits for another message", allocs)
	}
	cancel()
	<-ended
}

func BenchmarkTellNobody(b *testing.B) {
	j := NewJournal(newShelf())
	committed := make([]messaging.Event, 100)
	b.ReportAllocs()
	for b.Loop() {
		j.Tell(committed)
	}
}
