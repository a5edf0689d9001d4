package sandbox

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/internal/fault"
	"portaria/messaging"
)

func newClocks(t testing.TB, o ClocksOptions) *Clocks {
	t.Helper()
	if o.Store == nil {
		o.Store = &memory{}
	}
	o.Logger = quiet()
	s, err := NewClocks(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// diary notes what a clock called, and when it was by that clock.
type diary struct {
	clock messaging.Clock
	start time.Time
	mu    sync.Mutex
	lines []string
}

func newDiary(c messaging.Clock) *diary { return &diary{clock: c, start: c.Now()} }

func (d *diary) at(after time.Duration, name string) (forget func()) {
	return d.clock.At(d.start.Add(after), d.note(name))
}

func (d *diary) note(name string) func() {
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.lines = append(d.lines, fmt.Sprint(name, " ", d.clock.Now().Sub(d.start)))
	}
}

func (d *diary) expect(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if diff := cmp.Diff(slices.Clip(d.lines), slices.Clip(want)); diff != "" && len(d.lines)+len(want) > 0 {
		t.Errorf("calls (-got +want):\n%s", diff)
	}
	d.lines = nil
}

func setMode(t *testing.T, s *Clocks, mode Mode) ClockState {
	t.Helper()
	state, err := s.SetMode(t.Context(), workspace, mode)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func advance(t *testing.T, s *Clocks, by time.Duration) ClockState {
	t.Helper()
	state, err := s.Advance(t.Context(), workspace, by)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestRealClockCallsWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newClocks(t, ClocksOptions{})
		d := newDiary(s.For(workspace))
		d.at(2*time.Second, "b")
		d.at(time.Second, "a")
		d.clock.Deadline(d.start.Add(3*time.Second), d.note("deadline"))
		d.at(10*time.Minute, "late")
		forget := d.at(time.Second, "never")
		forget()
		forget() // twice does no harm
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		d.expect(t)
		time.Sleep(time.Hour)
		synctest.Wait()
		d.expect(t, "a 1s", "b 2s", "deadline 3s", "late 10m0s")
		d.at(0, "overdue")
		synctest.Wait()
		d.expect(t, "overdue 1h0m0.999s")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Two workspaces share nothing, not even time.
func TestWorkspacesHaveTheirOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newClocks(t, ClocksOptions{})
		setMode(t, s, Frozen)
		other := newDiary(s.For("wsp_other"))
		frozen := newDiary(s.For(workspace))
		other.at(time.Second, "a")
		frozen.at(time.Second, "a")
		time.Sleep(time.Minute)
		synctest.Wait()
		other.expect(t, "a 1s")
		frozen.expect(t)
		_ = s.Close()
	})
}

func TestFrozenClockMovesFromDueToDue(t *testing.T) {
	s := newClocks(t, ClocksOptions{})
	setMode(t, s, Frozen)
	d := newDiary(s.For(workspace))
	d.at(3*time.Second, "c")
	d.at(time.Second, "a")
	d.clock.At(d.start.Add(2*time.Second), func() {
		d.note("b")()
		d.at(2*time.Second, "b, at once")
		d.at(2500*time.Millisecond, "b, later")
		d.at(time.Hour, "b, behind the span")
	})
	d.clock.Deadline(d.start.Add(2*time.Second), d.note("deadline"))
	state := advance(t, s, 10*time.Second)
	d.expect(t, "a 1s", "b 2s", "deadline 2s", "b, at once 2s", "b, later 2.5s", "c 3s")
	if want := (ClockState{Frozen, d.start.Add(10 * time.Second)}); state != want {
		t.Errorf("state %v, want %v", state, want)
	}
	advance(t, s, time.Hour)
	d.expect(t, "b, behind the span 1h0m0s")
}

// What is due already is called though the clock stands still: nobody could
// ever wait for it otherwise.
func TestFrozenClockCallsWhatIsOverdue(t *testing.T) {
	s := newClocks(t, ClocksOptions{})
	setMode(t, s, Frozen)
	d := newDiary(s.For(workspace))
	d.at(-time.Second, "overdue")
	d.at(0, "now")
	d.at(time.Nanosecond, "a moment later")
	advance(t, s, 0)
	d.expect(t, "overdue 0s", "now 0s")
	advance(t, s, time.Microsecond)
	d.expect(t, "a moment later 1µs")
}

// Calls do their work elsewhere. Advance waits for it before it moves on: what
// it leads to must happen at the time it would have.
func TestAdvanceWaitsForWorkInHand(t *testing.T) {
	var work sync.WaitGroup
	asked := 0
	s := newClocks(t, ClocksOptions{Idle: func(_ context.Context, got string) error {
		if got != workspace {
			t.Errorf("asked for %q", got)
		}
		asked++
		work.Wait()
		return nil
	}})
	setMode(t, s, Frozen)
	d := newDiary(s.For(workspace))
	d.clock.At(d.start.Add(time.Second), func() {
		work.Go(func() {
			d.note("work")()
			d.at(2*time.Second, "led to")
		})
	})
	d.at(3*time.Second, "next")
	advance(t, s, time.Minute)
	d.expect(t, "work 1s", "led to 2s", "next 3s")
	if asked < 5 { // before the first step, after each of three, at the end
		t.Errorf("asked for idleness %d times, want at least 5", asked)
	}
}

func TestInstantClockSkipsWaitsButNotDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newClocks(t, ClocksOptions{})
		d := newDiary(s.For(workspace))
		d.at(2*time.Hour, "b")
		d.at(time.Hour, "a")
		d.clock.Deadline(d.start.Add(time.Minute), d.note("deadline"))
		setMode(t, s, Instant)
		d.at(48*time.Hour, "c")
		synctest.Wait()
		d.expect(t, "a 0s", "b 0s", "c 0s")
		time.Sleep(time.Hour)
		synctest.Wait()
		d.expect(t, "deadline 1m0s")
		_ = s.Close()
	})
}

func TestAdvanceMovesARunningClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newClocks(t, ClocksOptions{})
		d := newDiary(s.For(workspace))
		d.at(time.Minute, "a")
		d.at(2*time.Minute, "b")
		advance(t, s, 90*time.Second)
		d.expect(t, "a 1m0s")
		time.Sleep(30 * time.Second)
		synctest.Wait()
		d.expect(t, "b 2m0s")
		state := setMode(t, s, Instant)
		if got := time.Until(state.Now); got != 90*time.Second {
			t.Errorf("instant is %v ahead, want 1m30s", got)
		}
		state = setMode(t, s, Real)
		if got := time.Until(state.Now); got != 0 {
			t.Errorf("real is %v ahead, want 0", got)
		}
		_ = s.Close()
	})
}

func TestThawedClockCallsWhatIsOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newClocks(t, ClocksOptions{})
		setMode(t, s, Frozen)
		d := newDiary(s.For(workspace))
		d.at(2*time.Second, "b")
		d.at(time.Second, "a")
		d.at(2*time.Minute, "c")
		time.Sleep(time.Minute)
		synctest.Wait()
		d.expect(t)
		setMode(t, s, Real)
		synctest.Wait()
		d.expect(t, "a 1m0s", "b 1m0s")
		time.Sleep(time.Hour)
		synctest.Wait()
		d.expect(t, "c 2m0s")

		// Instant goes on from where a frozen clock stands.
		frozen := setMode(t, s, Frozen)
		time.Sleep(time.Hour)
		if got := setMode(t, s, Instant); !got.Now.Equal(frozen.Now) {
			t.Errorf("instant begins at %v, want %v", got.Now, frozen.Now)
		}
		_ = s.Close()
	})
}

// A clock is as it was after the process died, whatever its mode.
func TestClocksSurviveTheProcess(t *testing.T) {
	for _, mode := range []Mode{Real, Instant, Frozen} {
		t.Run(string(mode), func(t *testing.T) {
			store := &memory{}
			o := ClocksOptions{Store: store, Now: func() time.Time { return epoch }}
			first := newClocks(t, o)
			setMode(t, first, mode)
			want := advance(t, first, 26*time.Hour)
			got, err := newClocks(t, o).Show(t.Context(), workspace)
			if err != nil || got != want || !got.Now.Equal(epoch.Add(26*time.Hour)) {
				t.Errorf("after the restart %v, %v; want %v", got, err, want)
			}
		})
	}
}

// A process that dies while it advances finds the clock at its goal.
func TestGoalOfAnAdvanceIsStoredFirst(t *testing.T) {
	store := &memory{}
	s := newClocks(t, ClocksOptions{Store: store, Now: func() time.Time { return epoch }})
	setMode(t, s, Frozen)
	var seen SavedClock
	s.For(workspace).At(epoch.Add(time.Second), func() {
		seen, _ = store.SandboxClock(context.Background(), workspace)
	})
	advance(t, s, time.Minute)
	if want := (SavedClock{Mode: Frozen, FrozenAt: epoch.Add(time.Minute)}); seen != want {
		t.Errorf("stored on the way: %v, want %v", seen, want)
	}
}

func TestAdvanceThatIsNotWaitedForMovesAllTheWay(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newClocks(t, ClocksOptions{
		Now:  func() time.Time { return epoch },
		Idle: func(ctx context.Context, _ string) error { return ctx.Err() },
	})
	setMode(t, s, Frozen)
	d := newDiary(s.For(workspace))
	d.clock.At(epoch.Add(time.Second), cancel)
	d.at(2*time.Second, "b")
	state, err := s.Advance(ctx, workspace, time.Minute)
	if !errors.Is(err, ErrUnsettled) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want ErrUnsettled", err)
	}
	if want := epoch.Add(time.Minute); !state.Now.Equal(want) {
		t.Errorf("clock at %v, want %v", state.Now, want)
	}
	advance(t, s, 0)
	d.expect(t, "b 1m0s")
}

func TestClockRefusesWhatItCannotDo(t *testing.T) {
	s := newClocks(t, ClocksOptions{})
	for _, by := range []time.Duration{-1, 366*24*time.Hour + 1} {
		if _, err := s.Advance(t.Context(), workspace, by); !errors.Is(err, fault.ErrValidation) {
			t.Errorf("Advance(%v): %v, want a validation fault", by, err)
		}
	}
	if _, err := s.SetMode(t.Context(), workspace, "slow"); !errors.Is(err, fault.ErrValidation) {
		t.Errorf("SetMode(slow): %v, want a validation fault", err)
	}
}

// A change that is not stored has not happened.
func TestClockStaysWhenItCannotBeStored(t *testing.T) {
	store := &memory{}
	s := newClocks(t, ClocksOptions{Store: store, Now: func() time.Time { return epoch }})
	before, err := s.Show(t.Context(), workspace)
	if err != nil {
		t.Fatal(err)
	}
	store.setDown(true)
	if _, err := s.SetMode(t.Context(), workspace, Frozen); !errors.Is(err, errDown) {
		t.Errorf("SetMode: %v, want %v", err, errDown)
	}
	if _, err := s.Advance(t.Context(), workspace, time.Hour); !errors.Is(err, errDown) {
		t.Errorf("Advance: %v, want %v", err, errDown)
	}
	if got, err := s.Show(t.Context(), workspace); err != nil || got != before {
		t.Errorf("state %v, %v; want %v", got, err, before)
	}
}

// A frozen world must not come alive because its clock could not be read.
func TestClockCallsNobodyUntilItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		if err := store.SaveSandboxClock(t.Context(), workspace, SavedClock{Mode: Frozen, FrozenAt: epoch}); err != nil {
			t.Fatal(err)
		}
		store.setDown(true)
		s := newClocks(t, ClocksOptions{Store: store})
		if _, err := s.Show(t.Context(), workspace); !errors.Is(err, errDown) {
			t.Errorf("Show: %v, want %v", err, errDown)
		}
		d := newDiary(s.For(workspace))
		d.clock.At(epoch.Add(-time.Second), d.note("overdue"))
		d.clock.At(epoch.Add(time.Second), d.note("not due"))
		time.Sleep(time.Minute)
		synctest.Wait()
		d.expect(t)
		store.setDown(false)
		time.Sleep(loadRetry)
		synctest.Wait()
		if len(d.lines) != 1 || !d.clock.Now().Equal(epoch) {
			t.Errorf("once read: calls %v at %v, want one at %v", d.lines, d.clock.Now(), epoch)
		}
		_ = s.Close()
	})
}

func TestClosedClockCallsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newClocks(t, ClocksOptions{})
		d := newDiary(s.For(workspace))
		forget := d.at(time.Second, "a")
		_ = s.Close()
		forget()
		d.at(0, "b")
		newDiary(s.For("wsp_new")).at(0, "c")
		time.Sleep(time.Minute)
		synctest.Wait()
		d.expect(t)
		if _, err := s.Advance(t.Context(), workspace, 0); !errors.Is(err, fault.ErrShuttingDown) {
			t.Errorf("Advance: %v, want ErrShuttingDown", err)
		}
	})
}

// Calls come by due time, then by insertion; forgotten ones never.
func TestCallsKeepTheirOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := newClocks(t, ClocksOptions{Now: func() time.Time { return epoch }})
		defer s.Close()
		if _, err := s.SetMode(t.Context(), workspace, Frozen); err != nil {
			r.Fatal(err)
		}
		type entry struct {
			due    int
			number int
		}
		var got, want []entry
		c := s.For(workspace)
		for n, due := range rapid.SliceOfN(rapid.IntRange(1, 20), 0, 60).Draw(r, "dues") {
			add := c.At
			if rapid.Bool().Draw(r, "deadline") {
				add = c.Deadline
			}
			e := entry{due, n}
			forget := add(epoch.Add(time.Duration(due)*time.Second), func() { got = append(got, e) })
			if rapid.IntRange(0, 3).Draw(r, "forget") == 0 {
				forget()
			} else {
				want = append(want, e)
			}
		}
		slices.SortStableFunc(want, func(a, b entry) int { return a.due - b.due })
		for range 4 {
			if _, err := s.Advance(t.Context(), workspace, 5*time.Second); err != nil {
				r.Fatal(err)
			}
		}
		if !slices.Equal(got, want) {
			r.Errorf("called %v, want %v", got, want)
		}
	})
}

// A gateway with a hundred thousand receipts to come must not notice them.
func TestTimersAreSmallAndHaveNoGoroutine(t *testing.T) {
	const many = 100_000
	s := newClocks(t, ClocksOptions{})
	c := s.For(workspace)
	goroutines := runtime.NumGoroutine()
	due := c.Now().Add(time.Hour)
	f := func() {}
	before := heapBytes()
	for i := range many {
		c.At(due.Add(time.Duration(i)), f)
	}
	if each := (heapBytes() - before) / many; each > 200 {
		t.Errorf("a timer takes %d bytes, want at most 200", each)
	}
	if got := runtime.NumGoroutine(); got > goroutines {
		t.Errorf("%d goroutines, were %d", got, goroutines)
	}
}
