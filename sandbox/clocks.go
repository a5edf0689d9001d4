package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// ErrUnsettled is the fault of an Advance whose caller would not wait any
// longer: the clock has moved, but not all that came due has been done yet.
var ErrUnsettled = fault.New(fault.Unavailable, "UNAVAILABLE",
	"The clock has moved, but not everything that became due is done yet.")

// maxAdvance is the longest way a clock moves at once: a leap year.
const maxAdvance = 366 * 24 * time.Hour

const (
	loadTimeout = 5 * time.Second
	loadRetry   = time.Second
)

// ClocksOptions are the parts of Clocks.
type ClocksOptions struct {
	Store  ClockStore
	Logger *slog.Logger     // nil: slog.Default
	Now    func() time.Time // the machine's time; nil: time.Now
	// Idle waits until nobody has work in hand for a workspace's test world:
	// neither the dispatcher nor the sandbox (Driver.Idle). Advance asks it
	// after every step, for calls of a clock must not block and so do their
	// work elsewhere. Nil when there is no such work.
	Idle func(ctx context.Context, workspace string) error
}

// Clocks keeps one clock for every workspace's test world. A clock is read
// from the store when it is first asked for, and lives in memory from then on.
type Clocks struct {
	options ClocksOptions
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu          sync.Mutex
	closed      bool
	byWorkspace map[string]*clock
	lent        map[string]*clock // by instance
	lending     atomic.Int64      // how many are lent
}

// NewClocks returns the clocks kept in options.Store.
func NewClocks(options ClocksOptions) (*Clocks, error) {
	if options.Store == nil {
		return nil, errors.New("sandbox: clocks need a store")
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Clocks{options: options, byWorkspace: make(map[string]*clock), lent: make(map[string]*clock)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// For returns a workspace's clock. When the store cannot be read, the clock
// shows the machine's time and calls nobody until a later try succeeds: a
// frozen world must not come alive because the database hiccuped.
func (s *Clocks) For(workspace string) messaging.Clock {
	c := s.clock(workspace)
	if !c.isLoaded() { // nearly every message asks for it
		s.reload(c)
	}
	return c
}

// Peek returns the time that a workspace's clock shows, if it is known without
// asking the store. It does not block.
func (s *Clocks) Peek(workspace string) (now time.Time, ok bool) {
	s.mu.Lock()
	c := s.byWorkspace[workspace]
	s.mu.Unlock()
	if c == nil || !c.isLoaded() {
		return now, false
	}
	return c.Now(), true
}

// Show returns a workspace's clock as it stands.
func (s *Clocks) Show(ctx context.Context, workspace string) (ClockState, error) {
	c := s.clock(workspace)
	if err := s.load(ctx, c); err != nil {
		return ClockState{}, err
	}
	return c.state(), nil
}

// SetMode changes how a workspace's time passes; what is overdue by the new
// time is called. Faults: fault.ErrValidation.
func (s *Clocks) SetMode(ctx context.Context, workspace string, mode Mode) (ClockState, error) {
	switch mode {
	case Real, Instant, Frozen:
	default:
		return ClockState{}, fault.Fields{{Field: "mode", Rule: "enum", Message: "must be real, instant or frozen"}}.Err()
	}
	c, release, err := s.take(ctx, workspace)
	if err != nil {
		return ClockState{}, err
	}
	defer release()

	before, after := c.saved(0), c.turned(mode)
	if mode == Frozen { // stops before it is stored, so that its time never goes back
		c.apply(after)
	}
	if err := s.options.Store.SaveSandboxClock(ctx, workspace, after); err != nil {
		c.apply(before)
		return ClockState{}, fmt.Errorf("save sandbox clock: %w", err)
	}
	c.apply(after)
	return c.state(), nil
}

// Advance moves a workspace's clock forward, from due time to due time, and
// returns when all that became due on the way has been done, with all that it
// led to within the span. When ctx ends earlier, the clock moves the whole way
// nevertheless and ErrUnsettled is returned with its state. Advancing by zero
// waits for what is due already.
//
// The goal is stored first: a process killed on the way finds the clock there
// and does at once what it has not done, each thing at the time it was due.
//
// Faults: fault.ErrValidation, ErrUnsettled, fault.ErrShuttingDown.
func (s *Clocks) Advance(ctx context.Context, workspace string, by time.Duration) (ClockState, error) {
	if by < 0 || by > maxAdvance {
		return ClockState{}, fault.Fields{{Field: "seconds", Rule: "range", Message: "must lie between 0 and 366 days"}}.Err()
	}
	by = by.Truncate(time.Microsecond)
	c, release, err := s.take(ctx, workspace)
	if err != nil {
		return ClockState{}, err
	}
	defer release()

	if err := s.options.Store.SaveSandboxClock(ctx, workspace, c.saved(by)); err != nil {
		return ClockState{}, fmt.Errorf("save sandbox clock: %w", err)
	}
	err = s.walk(ctx, c, by)
	if err != nil && ctx.Err() != nil {
		err = ErrUnsettled.Because(err)
	}
	return c.state(), err
}

// Close stops all clocks and waits for the calls being made. Calls that are
// still to come are forgotten.
func (s *Clocks) Close() error {
	s.mu.Lock()
	s.closed = true
	for _, all := range []map[string]*clock{s.byWorkspace, s.lent} {
		for _, c := range all {
			c.close()
		}
	}
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
	return nil
}

// walk moves a clock from due to due and lets each step be done.
func (s *Clocks) walk(ctx context.Context, c *clock, left time.Duration) error {
	err := s.settle(ctx, c)
	for err == nil {
		step, found := c.untilNext(left)
		if !found {
			break
		}
		c.move(step)
		left -= step
		err = s.settle(ctx, c)
	}
	c.move(left)
	if err != nil {
		return err
	}
	return s.settle(ctx, c)
}

// settle waits until all that is due has been called and done.
func (s *Clocks) settle(ctx context.Context, c *clock) error {
	for {
		called, err := c.drain(ctx)
		if err != nil {
			return err
		}
		if s.options.Idle == nil {
			return nil
		}
		if err := s.options.Idle(ctx, c.workspace); err != nil {
			return fmt.Errorf("wait for work in hand: %w", err)
		}
		if c.calm(called) {
			return nil
		}
	}
}

// take waits for the right to change a workspace's clock.
func (s *Clocks) take(ctx context.Context, workspace string) (c *clock, release func(), err error) {
	if s.ctx.Err() != nil {
		return nil, nil, fault.ErrShuttingDown
	}
	c = s.clock(workspace)
	if err := s.load(ctx, c); err != nil {
		return nil, nil, err
	}
	select {
	case <-c.turn:
		return c, func() { c.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, nil, fault.ErrUnavailable.Because(ctx.Err())
	case <-s.ctx.Done():
		return nil, nil, fault.ErrShuttingDown
	}
}

func (s *Clocks) clock(workspace string) *clock {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.byWorkspace[workspace]
	if !ok {
		c = &clock{workspace: workspace, clocks: s, closed: s.closed, turn: make(chan struct{}, 1)}
		c.turn <- struct{}{}
		s.byWorkspace[workspace] = c
	}
	return c
}

// load reads a clock from the store unless that has been done.
func (s *Clocks) load(ctx context.Context, c *clock) error {
	c.loading.Lock()
	defer c.loading.Unlock()
	if c.isLoaded() {
		return nil
	}
	saved, err := s.options.Store.SandboxClock(ctx, c.workspace)
	if err != nil {
		return fmt.Errorf("load sandbox clock: %w", err)
	}
	c.apply(saved)
	return nil
}

// reload tries to read a clock from the store, and again later if it cannot.
func (s *Clocks) reload(c *clock) {
	ctx, cancel := context.WithTimeout(s.ctx, loadTimeout)
	defer cancel()
	if err := s.load(ctx, c); err != nil {
		s.postpone(c, err)
	}
}

func (s *Clocks) postpone(c *clock, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	s.options.Logger.Error("sandbox clock cannot be read", "workspace", c.workspace, "error", err)
	c.wakeIn(loadRetry)
}

// machineNow is the machine's time in the precision that is stored.
func (s *Clocks) machineNow() time.Time {
	return s.options.Now().UTC().Truncate(time.Microsecond)
}
