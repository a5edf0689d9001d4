package instances

import (
	"context"
	"errors"
	"fmt"
	"time"

	"portaria/messaging"
)

// drain cancels what waits for an instance that is gone. If that fails, Run
// tries again.
func (m *Manager) drain(ctx context.Context, i messaging.Instance) error {
	if m.o.Drain == nil {
		return nil
	}
	if err := m.o.Drain(ctx, i); err != nil {
		m.mu.Lock()
		m.undrained = append(m.undrained, i)
		m.mu.Unlock()
		return fmt.Errorf("cancel what waits for %s: %w", i.ID, err)
	}
	return nil
}

// drainLater leaves it to Run to cancel what waits for an instance.
func (m *Manager) drainLater(i messaging.Instance) {
	m.mu.Lock()
	m.undrained = append(m.undrained, i)
	m.mu.Unlock()
	select {
	case m.gone <- struct{}{}:
	default:
	}
}

// runDrains cancels what waits for instances that are gone, until ctx ends.
// What it has not done by then is found when the next process starts.
func (m *Manager) runDrains(ctx context.Context) {
	again := time.NewTicker(epochInterval)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.gone:
		case <-again.C:
		}
		if ctx.Err() != nil {
			return // a select with two ways takes either
		}
		if err := m.drainAll(ctx); err != nil && ctx.Err() == nil {
			m.o.Logger.Error("deleted instances not drained, trying again", "error", err)
		}
	}
}

// drainAll tries each instance once: one that fails stands in nobody's way.
func (m *Manager) drainAll(ctx context.Context) error {
	m.mu.Lock()
	undrained := m.undrained
	m.undrained = nil
	m.mu.Unlock()
	var failed error
	for _, i := range undrained {
		if err := m.drain(ctx, i); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}
