package bulk_test

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

	calls   int        // that were made at once, each on a goroutine of its own
	calling int        // of these, those that have not returned
	ended   *sync.Cond // one of these has returned
}

type handTimer struct {
	due time.Time
	f   func()
}

func newHandClock() *handClock {
	c := &handClock{now: time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)}
	c.ended = sync.NewCond(&c.mu)
	return c
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) At(due time.Time, f func()) func() { return c.call(due, f, true) }

func (c *handClock) Deadline(due time.Time, f func()) func() { return c.call(due, f, false) }

func (c *handClock) call(due time.Time, f func(), skippable bool) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.skips && skippable || !due.After(c.now) {
		c.callNow(f)
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

// callNow calls f without the locks that the caller holds. c.mu is held.
func (c *handClock) callNow(f func()) {
	c.calls++
	c.calling++
	go func() {
		f()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calling--
		c.ended.Broadcast()
	}()
}

// settle waits until the calls that were due at once have returned, and returns
// how many there have been.
func (c *handClock) settle() (calls int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.calling > 0 {
		c.ended.Wait()
	}
	return c.calls
}

// skip has At call at once, as a clock in instant mode does.
func (c *handClock) skip(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skips = on
}

func (c *handClock) skipping() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.skips
}

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

// pass moves the clock and makes the calls that are due then, in their order.
func (c *handClock) pass(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	now := c.now
	c.mu.Unlock()
	for {
		c.mu.Lock()
		slices.SortStableFunc(c.timers, func(a, b *handTimer) int { return a.due.Compare(b.due) })
		if len(c.timers) == 0 || c.timers[0].due.After(now) {
			c.mu.Unlock()
			return
		}
		t := c.timers[0]
		c.timers = c.timers[1:]
		c.mu.Unlock()
		t.f()
	}
}
