package webhooks_test

import (
	"slices"
	"sync"
	"time"
)

// handClock is a clock that the test moves.
type handClock struct {
	mu     sync.Mutex
	now    time.Time
	skips  bool // as a clock in instant mode
	timers []*handTimer
}

type handTimer struct {
	due time.Time
	f   func()
}

func newHandClock() *handClock { return &handClock{now: time.Now().UTC().Truncate(time.Microsecond)} }

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) At(due time.Time, f func()) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.skips || !due.After(c.now) {
		go f()
		return func() {}
	}
	t := &handTimer{due, f}
	c.timers = append(c.timers, t)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.timers = slices.DeleteFunc(c.timers, func(other *handTimer) bool { return other == t })
	}
}

func (c *handClock) Deadline(due time.Time, f func()) func() { return c.At(due, f) }

// next returns when the next call is due; false when none is.
func (c *handClock) next() (due time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.timers {
		if !ok || t.due.Before(due) {
			due, ok = t.due, true
		}
	}
	return due, ok
}

// pass moves the clock, and makes the calls that are due in their order.
func (c *handClock) pass(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	slices.SortStableFunc(c.timers, func(a, b *handTimer) int { return a.due.Compare(b.due) })
	n := 0
	for n < len(c.timers) && !c.timers[n].due.After(c.now) {
		n++
	}
	due := slices.Clone(c.timers[:n])
	c.timers = slices.Delete(c.timers, 0, n)
	c.mu.Unlock()
	for _, t := range due {
		t.f()
	}
}
