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

	calls   int        // that were made at once, each on a goroutine of its own
	calling int        // of these, those that have not returned
	ended   *sync.Cond // one of these has returned
}

type handTimer struct {
	due time.Time
	f   func()
}

func newHandClock() *handClock {
	c := &handClock{now: time.Now().UTC().Truncate(time.Microsecond)}
	c.ended = sync.NewCond(&c.mu)
	return c
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) At(due time.Time, f func()) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.skips || !due.After(c.now) {
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

func (c *handClock) Deadline(due time.Time, f func()) func() { return c.At(due, f) }

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
