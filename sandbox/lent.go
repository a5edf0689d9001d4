package sandbox

import (
	"container/heap"
	"context"
	"fmt"
	"slices"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// Lent is a clock that one instance has for itself for a while, in place of its
// workspace's. It stands still but for Step and Advance. It is not stored: a
// process that dies returns it.
type Lent struct {
	clocks   *Clocks
	instance string
	clock    *clock
	idle     func(context.Context) error
}

// ErrLent is the fault of lending a clock to an instance that has one.
var ErrLent = fault.New(fault.Conflict, "CONFLICT", "The instance has a clock of its own already.")

// Lend gives an instance a clock of its own, which begins where its workspace's
// stands, with all that is to come for the instance. idle waits until nobody has
// work in hand for the instance. Faults: ErrLent, those of the store.
func (s *Clocks) Lend(ctx context.Context, workspace, instance string, idle func(context.Context) error) (*Lent, error) {
	now, err := s.Show(ctx, workspace)
	if err != nil {
		return nil, err
	}
	c := &clock{workspace: workspace, clocks: s, loaded: true, mode: Frozen, frozenAt: now.Now, turn: make(chan struct{}, 1)}
	if err := s.register(instance, c); err != nil {
		return nil, err
	}
	s.clock(workspace).handOver(c, 0, func(t *timer) bool { return t.instance == instance })
	return &Lent{clocks: s, instance: instance, clock: c, idle: idle}, nil
}

// register has an instance ask another clock from now on.
func (s *Clocks) register(instance string, c *clock) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fault.ErrShuttingDown
	}
	if s.lent[instance] != nil {
		return ErrLent
	}
	s.lent[instance] = c
	s.lending.Add(1)
	return nil
}

// Now returns the time that the clock shows.
func (l *Lent) Now() time.Time { return l.clock.Now() }

// Settle waits until all that is due by the clock has been done. Faults:
// fault.ErrShuttingDown, that of ctx.
func (l *Lent) Settle(ctx context.Context) error {
	for {
		called, err := l.clock.drain(ctx)
		if err != nil {
			return err
		}
		if err := l.idle(ctx); err != nil {
			return fmt.Errorf("wait for work in hand: %w", err)
		}
		if l.clock.calm(called) {
			return nil
		}
	}
}

// Step moves the clock to what is due next, if that is not farther than within,
// and lets it be done; else all the way. It returns how far it went. Faults as
// for Settle.
func (l *Lent) Step(ctx context.Context, within time.Duration) (time.Duration, error) {
	step, found := l.clock.untilNext(within)
	if !found {
		step = within
	}
	l.clock.move(step)
	return step, l.Settle(ctx)
}

// Return gives the instance its workspace's clock again. What was to come by the
// lent clock comes by that one, after as long as it would have taken; with forget
// it never does.
func (l *Lent) Return(forget bool) {
	s := l.clocks
	s.mu.Lock()
	if s.lent[l.instance] == l.clock {
		delete(s.lent, l.instance)
		s.lending.Add(-1)
	}
	s.mu.Unlock()
	if forget {
		l.clock.close()
		return
	}
	heir := s.clock(l.clock.workspace)
	ahead := max(0, l.clock.Now().Sub(heir.Now()))
	l.clock.mu.Lock()
	l.clock.heir, l.clock.ahead = heir, ahead
	l.clock.mu.Unlock()
	l.clock.handOver(heir, ahead, func(*timer) bool { return true })
}

// handOver gives calls that are to come to another clock, which makes them by so
// much earlier. Only one of the two clocks is locked at a time.
func (c *clock) handOver(to *clock, earlier time.Duration, which func(*timer) bool) {
	for _, t := range c.extract(which) {
		forget := to.add(t.instance, t.home == &c.skipped, time.UnixMicro(t.due).UTC().Add(-earlier), t.call)
		c.mu.Lock()
		unwanted := t.unwanted
		t.moved = forget
		c.mu.Unlock()
		if unwanted {
			forget()
		}
	}
}

// extract takes calls that are to come out of a clock, in their order.
func (c *clock) extract(which func(*timer) bool) (out []*timer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, from := range []*timers{&c.skipped, &c.awaited} {
		kept := (*from)[:0:0]
		for _, t := range *from {
			if which(t) {
				t.slot = forgotten
				out = append(out, t)
			} else {
				t.slot = len(kept)
				kept = append(kept, t)
			}
		}
		*from = kept
		heap.Init(from)
	}
	slices.SortFunc(out, func(a, b *timer) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	return out
}

// instanceClock is the clock of an instance, whichever that is at the time.
type instanceClock struct {
	clocks   *Clocks
	own      *clock // its workspace's
	instance string
}

var _ messaging.Clock = (*instanceClock)(nil)

// Of returns the clock of an instance: the one that was lent to it, as long as
// it has that, else its workspace's.
func (s *Clocks) Of(workspace, instance string) messaging.Clock {
	s.For(workspace) // which reads it if need be
	return &instanceClock{clocks: s, own: s.clock(workspace), instance: instance}
}

// Now implements messaging.Clock.
func (i *instanceClock) Now() time.Time { return i.current().Now() }

// At implements messaging.Clock.
func (i *instanceClock) At(due time.Time, f func()) (forget func()) {
	return i.current().add(i.instance, true, due, f)
}

// Deadline implements messaging.Clock.
func (i *instanceClock) Deadline(due time.Time, f func()) (forget func()) {
	return i.current().add(i.instance, false, due, f)
}

func (i *instanceClock) current() *clock {
	s := i.clocks
	if s.lending.Load() == 0 { // nearly always
		return i.own
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.lent[i.instance]; c != nil {
		return c
	}
	return i.own
}
