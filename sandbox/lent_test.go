package sandbox

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func nothingInHand(context.Context) error { return nil }

func lend(t *testing.T, s *Clocks, instance string) *Lent {
	t.Helper()
	l, err := s.Lend(t.Context(), workspace, instance, nothingInHand)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func goOn(t *testing.T, l *Lent, within, want time.Duration) {
	t.Helper()
	if went, err := l.Step(t.Context(), within); err != nil || went != want {
		t.Fatalf("it went %v, want %v: %v", went, want, err)
	}
}

// The clock of one instance goes from due to due, while its workspace's stands
// where it stood; others of the workspace do not notice.
func TestALentClockMovesItsInstanceAlone(t *testing.T) {
	s := newClocks(t, ClocksOptions{})
	setMode(t, s, Frozen)
	mine, other := newDiary(s.Of(workspace, "ins_mine")), newDiary(s.Of(workspace, "ins_other"))
	mine.at(time.Second, "before it was lent")
	l := lend(t, s, "ins_mine")
	mine.at(2*time.Second, "a")
	mine.at(3*time.Second, "b")
	other.at(time.Second, "other")
	goOn(t, l, time.Minute, time.Second)
	mine.expect(t, "before it was lent 1s")
	goOn(t, l, time.Minute, time.Second)
	mine.expect(t, "a 2s")
	goOn(t, l, time.Minute, time.Second)
	mine.expect(t, "b 3s")
	goOn(t, l, time.Minute, time.Minute)
	mine.expect(t)
	other.expect(t)
	if got := l.Now().Sub(mine.start); got != time.Minute+3*time.Second {
		t.Errorf("the clock shows %v", got)
	}
	advance(t, s, time.Second)
	other.expect(t, "other 1s")
	mine.expect(t)
}

// What was to come by a clock that is returned comes by the workspace's, once, as
// much later as it would have; what is forgotten does not, whenever it is.
func TestAReturnedClockHandsOnItsCalls(t *testing.T) {
	s := newClocks(t, ClocksOptions{})
	setMode(t, s, Frozen)
	d := newDiary(s.Of(workspace, "ins_mine"))
	l := lend(t, s, "ins_mine")
	d.at(2*time.Second, "kept")
	forget := d.at(2*time.Second, "forgotten after")
	d.at(2*time.Second, "forgotten before")()
	held := l.clock.At(d.start.Add(3*time.Second), d.note("held"))
	goOn(t, l, time.Second, time.Second)
	l.Return(false)
	l.clock.At(d.start.Add(4*time.Second), d.note("late")) // by somebody who still has the clock in hand
	forget()
	held()
	advance(t, s, time.Minute)
	d.expect(t, "kept 1s", "late 3s")
	lend(t, s, "ins_mine").Return(true)
}

func TestAClockIsLentOnce(t *testing.T) {
	s := newClocks(t, ClocksOptions{})
	l := lend(t, s, "ins_mine")
	if _, err := s.Lend(t.Context(), workspace, "ins_mine", nothingInHand); !errors.Is(err, ErrLent) {
		t.Errorf("got %v", err)
	}
	lend(t, s, "ins_other").Return(true)
	d := newDiary(s.Of(workspace, "ins_mine"))
	d.at(0, "at once")
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.expect(t, "at once 0s")
	d.at(time.Second, "never")
	l.Return(true)
	setMode(t, s, Frozen)
	advance(t, s, time.Minute)
	d.expect(t)
}

// Whatever is asked of the clocks of an instance and of its workspace in turn,
// and whenever one is returned: each call that is not forgotten is made once, and
// not before its time.
func TestCallsSurviveLending(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newClocks(t, ClocksOptions{})
		setMode(t, s, Frozen)
		clock := s.Of(workspace, "ins_mine")
		start := clock.Now()
		calls, forgotten, early := make(map[int]int), make(map[int]bool), 0
		forgets := make(map[int]func())
		var l *Lent
		returned := false // what is to come by a clock that was ahead comes earlier then
		for n := range rapid.IntRange(0, 30).Draw(rt, "acts") {
			switch rapid.SampledFrom([]string{"at", "at", "forget", "lend", "return", "step", "advance"}).Draw(rt, "act") {
			case "at":
				due := start.Add(time.Duration(rapid.IntRange(0, 20).Draw(rt, "due")) * time.Second)
				forgets[n] = clock.At(due, func() {
					calls[n]++
					if !returned && clock.Now().Before(due) && s.For(workspace).Now().Before(due) { // what was asked of either comes by it
						early++
					}
				})
			case "forget":
				for id, forget := range forgets {
					if calls[id] == 0 {
						forget()
						forgotten[id] = true
					}
					delete(forgets, id)
					break
				}
			case "lend":
				if l == nil {
					l = lend(t, s, "ins_mine")
				}
			case "return":
				if l != nil {
					returned = true
					l.Return(false)
					l = nil
				}
			case "step":
				if l != nil {
					if _, err := l.Step(t.Context(), time.Duration(rapid.IntRange(0, 5).Draw(rt, "by"))*time.Second); err != nil {
						rt.Fatal(err)
					}
				}
			case "advance":
				advance(t, s, time.Duration(rapid.IntRange(0, 5).Draw(rt, "by"))*time.Second)
			}
			// A clock makes its calls on a goroutine of its own.
			settleBoth(rt, t, s, l)
		}
		if l != nil {
			returned = true
			l.Return(false)
		}
		advance(t, s, time.Hour)
		for n := range calls {
			if calls[n] != 1 || forgotten[n] {
				rt.Errorf("call %d was made %d times, forgotten %t", n, calls[n], forgotten[n])
			}
		}
		for n := range forgets {
			if calls[n] != 1 {
				rt.Errorf("call %d was made %d times", n, calls[n])
			}
		}
		if early > 0 {
			rt.Errorf("%d calls came early", early)
		}
	})
}

func settleBoth(rt *rapid.T, t *testing.T, s *Clocks, l *Lent) {
	advance(t, s, 0)
	if l == nil {
		return
	}
	if err := l.Settle(t.Context()); err != nil {
		rt.Fatal(err)
	}
}
