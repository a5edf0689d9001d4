package sandbox

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// Mode says how a test world's time passes.
type Mode string

// The modes.
const (
	Real    Mode = "real"    // with the machine's time
	Instant Mode = "instant" // with the machine's time, but waits that may be skipped are
	Frozen  Mode = "frozen"  // not at all, unless it is advanced
)

// ClockState is a clock as it is shown.
type ClockState struct {
	Mode Mode
	Now  time.Time
}

// longestSleep bounds how long a clock relies on the machine's timer, so that
// a step of the machine's wall clock is noticed.
const longestSleep = time.Minute

// clock is one workspace's time. Its goroutine exists only while calls are
// being made; between them the machine's timer (alarm) waits for the next due.
type clock struct {
	workspace string
	clocks    *Clocks
	turn      chan struct{} // holds a token; who changes the clock takes it
	loading   sync.Mutex    // held while the store is read

	mu       sync.Mutex
	loaded   bool // until then nothing is called
	closed   bool
	mode     Mode
	offset   time.Duration
	frozenAt time.Time
	skipped  timers // of At: an instant clock does not wait for them
	awaited  timers // of Deadline
	inserted uint64
	called   uint64        // calls begun so far
	running  bool          // the goroutine is making calls
	rested   chan struct{} // closed when it ends; nil when nobody asked
	alarm    *time.Timer
	heir     *clock        // has all calls from now on; nil: this one
	ahead    time.Duration // so far this clock was ahead of its heir when it took over
}

var _ messaging.Clock = (*clock)(nil)

// Now implements messaging.Clock. It is whole microseconds, as they are
// stored, so that what is recovered happens at the very same times.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *clock) now() time.Time {
	if c.mode == Frozen {
		return c.frozenAt
	}
	return c.clocks.machineNow().Add(c.offset)
}

// At implements messaging.Clock. A due time that has been reached is called at
// once even on a frozen clock.
func (c *clock) At(due time.Time, f func()) (forget func()) { return c.add("", true, due, f) }

// Deadline implements messaging.Clock.
func (c *clock) Deadline(due time.Time, f func()) (forget func()) { return c.add("", false, due, f) }

// add adds a call of an instance, or of nobody in particular.
func (c *clock) add(instance string, skipped bool, due time.Time, f func()) (forget func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return func() {}
	}
	if c.heir != nil {
		return c.heir.add(instance, skipped, due.Add(-c.ahead), f)
	}
	to := &c.awaited
	if skipped {
		to = &c.skipped
	}
	c.inserted++
	t := &timer{due: ceilMicros(due), turn: c.inserted, call: f, home: to, instance: instance}
	heap.Push(to, t)
	if t.slot == 0 { // it is the first in line: the alarm may be set too late
		c.kick()
	}
	return func() { c.forget(t) }
}

func (c *clock) forget(t *timer) {
	c.mu.Lock()
	if moved := t.moved; moved != nil {
		c.mu.Unlock()
		moved()
		return
	}
	defer c.mu.Unlock()
	t.unwanted = true
	if t.slot != forgotten && !c.closed {
		heap.Remove(t.home, t.slot)
		t.call = nil
	}
}

// first returns the heap whose first call is the earliest; nil when both are empty.
func (c *clock) first() *timers {
	switch {
	case len(c.skipped) == 0 && len(c.awaited) == 0:
		return nil
	case len(c.skipped) == 0 || len(c.awaited) > 0 && c.awaited[0].before(c.skipped[0]):
		return &c.awaited
	default:
		return &c.skipped
	}
}

// ready returns the heap whose first call is to be made now; nil when none is.
func (c *clock) ready() *timers {
	first := c.first()
	switch {
	case first == nil || c.closed || !c.loaded:
		return nil
	case (*first)[0].due <= c.now().UnixMicro():
		return first
	case c.mode == Instant && len(c.skipped) > 0:
		return &c.skipped
	default:
		return nil
	}
}

// kick starts making calls if any are due, else sets the alarm for the first.
// Callers hold mu.
func (c *clock) kick() {
	if c.running || c.closed || !c.loaded {
		return
	}
	if c.ready() != nil {
		c.running = true
		c.clocks.running.Go(c.run)
		return
	}
	if first := c.first(); first != nil && c.mode != Frozen {
		c.wakeIn(time.Duration((*first)[0].due-c.now().UnixMicro()) * time.Microsecond)
	} else if c.alarm != nil {
		c.alarm.Stop()
	}
}

// run makes the calls that are due, in order, until none is.
func (c *clock) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for from := c.ready(); from != nil; from = c.ready() {
		t := heap.Pop(from).(*timer)
		c.called++
		c.mu.Unlock()
		t.call()
		c.mu.Lock()
	}
	c.running = false
	if c.rested != nil {
		close(c.rested)
		c.rested = nil
	}
	c.kick()
}

// wakeIn sets the alarm. Callers hold mu.
func (c *clock) wakeIn(d time.Duration) {
	d = min(d, longestSleep)
	if c.alarm == nil {
		c.alarm = time.AfterFunc(d, c.ring)
		return
	}
	c.alarm.Reset(d)
}

// ring is what the alarm calls.
func (c *clock) ring() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.loaded && !c.closed {
		c.clocks.running.Go(func() { c.clocks.reload(c) })
		return
	}
	c.kick()
}

// untilNext returns how far the next call lies ahead, if it is not farther
// than within.
func (c *clock) untilNext(within time.Duration) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.first()
	if first == nil {
		return 0, false
	}
	ahead := max(0, (*first)[0].due-c.now().UnixMicro())
	if ahead > within.Microseconds() {
		return 0, false
	}
	return time.Duration(ahead) * time.Microsecond, true
}

// move turns the clock forward.
func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mode == Frozen {
		c.frozenAt = c.frozenAt.Add(d)
	} else {
		c.offset += d
	}
	c.kick()
}

// drain waits until every call that is due has been made, and returns how many
// the clock has made in its life.
func (c *clock) drain(ctx context.Context) (called uint64, err error) {
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return 0, fault.ErrShuttingDown
		}
		c.kick()
		if !c.running {
			called = c.called
			c.mu.Unlock()
			return called, nil
		}
		if c.rested == nil {
			c.rested = make(chan struct{})
		}
		rested := c.rested
		c.mu.Unlock()
		select {
		case <-rested:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// calm reports whether nothing has been called since called was counted. Only
// a frozen world can be waited for in this way: in the others time goes on.
func (c *clock) calm(called uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mode != Frozen || !c.running && c.called == called
}

// saved returns the clock as it is stored, once it has moved by ahead.
func (c *clock) saved(ahead time.Duration) SavedClock {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mode == Frozen {
		return SavedClock{Mode: Frozen, FrozenAt: c.frozenAt.Add(ahead)}
	}
	return SavedClock{Mode: c.mode, Offset: c.offset + ahead}
}

// turned returns what the clock becomes in another mode. Real is the machine's
// time again; the others go on from where the clock stands, so that a world's
// time does not leap by freezing and thawing it.
func (c *clock) turned(mode Mode) SavedClock {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch mode {
	case Frozen:
		return SavedClock{Mode: Frozen, FrozenAt: c.now()}
	case Instant:
		if c.mode != Frozen {
			return SavedClock{Mode: Instant, Offset: c.offset}
		}
		return SavedClock{Mode: Instant, Offset: c.frozenAt.Sub(c.clocks.machineNow())}
	case Real:
	}
	return SavedClock{Mode: Real}
}

// apply sets the clock to what was saved and calls what is overdue by it.
func (c *clock) apply(saved SavedClock) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mode, c.offset, c.frozenAt = saved.Mode, saved.Offset, saved.FrozenAt
	c.loaded = true
	c.kick()
}

func (c *clock) isLoaded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loaded
}

func (c *clock) state() ClockState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ClockState{Mode: c.mode, Now: c.now()}
}

// close stops the clock; calls that were not made never will be.
func (c *clock) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.skipped, c.awaited = nil, nil
	if c.alarm != nil {
		c.alarm.Stop()
	}
}
