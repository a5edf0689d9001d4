package instances

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// startGap is the mean time between two live instances that connect when a
	// process starts; the first does so at once.
	startGap = 50 * time.Millisecond

	firstRetry = 250 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// waits says in which queue an entry is.
type waits uint8

const (
	waitsForNothing waits = iota
	waitsToStart          // among those that start a few at a time
	waitsForRun           // next, or at work
)

// place gives an entry the channel that it ought to have. A test instance gets
// it at once. The channel of a live one takes its time to close, and may not
// open at all while a part of the house is down: that is left to Run.
func (m *Manager) place(ctx context.Context, e *entry) {
	m.mu.Lock()
	if m.fits(e) || !m.holds(e) {
		m.mu.Unlock()
		return
	}
	if e.live || e.instance.Relinked {
		m.enqueue(e)
		m.mu.Unlock()
		return
	}
	m.mu.Unlock()
	_ = m.fit(ctx, e) // it has been logged, and the next reading tries again
}

// enqueue leaves an entry to Run. m.mu is held.
func (m *Manager) enqueue(e *entry) {
	switch {
	case e.waits == waitsForRun, e.waits == waitsToStart && e.turn == e.queued:
		return // who is at work looks again; and a start is not news
	case m.started:
		m.mends(e, +1)
		e.waits = waitsForRun
		m.unfit = append(m.unfit, e)
	case e.waits == waitsForNothing:
		m.mends(e, +1)
		e.waits, e.queued = waitsToStart, e.turn
		m.starts = append(m.starts, e)
	}
	select {
	case m.work <- struct{}{}:
	default:
	}
}

// mends counts a test instance that waits for Run, or does so no more. m.mu is held.
func (m *Manager) mends(e *entry, by int) {
	if e.live || e.waits != waitsForNothing {
		return
	}
	for _, id := range []string{e.instance.WorkspaceID, e.id} {
		if m.mending[id] += by; m.mending[id] == 0 {
			delete(m.mending, id)
		}
	}
	m.tellQuiet()
}

// runFits opens and closes the channels of live instances until ctx ends: at
// once for those of which something was asked, a few at a time for those that
// an earlier process left.
func (m *Manager) runFits(ctx context.Context) {
	var fits sync.WaitGroup
	defer fits.Wait()
	next := time.NewTimer(0)
	defer next.Stop()
	pausing := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.work:
		case <-next.C:
			pausing = false
		}
		for _, e := range m.takeUnfit() {
			fits.Go(func() { m.keepFitting(ctx, e) })
		}
		if pausing {
			continue
		}
		if e, ok := m.nextStart(); ok {
			fits.Go(func() { m.keepFitting(ctx, e) })
			pausing = true
			next.Reset(startGap/2 + rand.N(startGap))
		}
	}
}

// takeUnfit empties the queue of those that are next.
func (m *Manager) takeUnfit() []*entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	unfit := m.unfit
	m.unfit = nil
	return unfit
}

// nextStart takes the first of those that wait to start. One that was asked for
// something meanwhile has been taken already.
func (m *Manager) nextStart() (*entry, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.starts) > 0 {
		e := m.starts[0]
		m.starts = m.starts[1:]
		if e.waits == waitsToStart {
			e.waits = waitsForRun
			return e, true
		}
	}
	m.starts = nil
	return nil, false
}

// keepFitting fits an entry until there is nothing to do for it.
func (m *Manager) keepFitting(ctx context.Context, e *entry) {
	for pause := firstRetry; ; {
		err := m.fit(ctx, e)
		if err == nil {
			err = m.failForeign(ctx, e)
		}
		m.mu.Lock()
		if m.fits(e) || !m.holds(e) || ctx.Err() != nil {
			e.waits = waitsForNothing
			m.mends(e, -1)
			m.mu.Unlock()
			return
		}
		m.mu.Unlock()
		if err == nil {
			pause = firstRetry
			continue
		}
		m.o.Logger.Warn("instance not set right, trying again", "instance", e.id, "pause", pause, "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, lastRetry)
	}
}
