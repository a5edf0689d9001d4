package instances

import (
	"context"

	"portaria/messaging"
)

// Observe hears of an instance's state after its commit. It does not block:
// Run opens and closes the channels.
func (m *Manager) Observe(i messaging.Instance) {
	m.mu.Lock()
	m.seen = append(m.seen, i)
	if e, ok := m.byID[i.ID]; ok {
		m.touch(e)
	}
	m.mu.Unlock()
	select {
	case m.news <- struct{}{}:
	default:
	}
}

func (m *Manager) takeNews(ctx context.Context) {
	m.refreshing.Lock()
	defer m.refreshing.Unlock()
	m.takeSeen(ctx)
}

// takeSeen takes in what was observed, in the order of the commits.
// m.refreshing is held.
func (m *Manager) takeSeen(ctx context.Context) {
	m.mu.RLock()
	seen := m.seen
	m.mu.RUnlock()
	if len(seen) == 0 {
		return
	}
	for _, i := range seen {
		m.takeState(ctx, i)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = m.seen[len(seen):]
	if len(m.seen) > 0 {
		return // more came meanwhile, and its token waits
	}
	m.seen = nil
	m.tellQuiet()
}

// tellQuiet has those look again who wait for Idle. m.mu is held.
func (m *Manager) tellQuiet() {
	close(m.quiet)
	m.quiet = make(chan struct{})
}

// takeState takes in the observed state of an instance that is known. Its
// metadata and settings are older than those of a patch that was answered since,
// and what it was asked older than what it has been asked since.
func (m *Manager) takeState(ctx context.Context, i messaging.Instance) {
	m.mu.Lock()
	e, ok := m.byID[i.ID]
	if !ok {
		m.mu.Unlock()
		return
	}
	i.Metadata, i.Settings = e.instance.Metadata, e.instance.Settings
	if e.instance.AskedAt.After(i.AskedAt) {
		i.Desired, i.Ask, i.AskedAt, i.PairPhone = e.instance.Desired, e.instance.Ask, e.instance.AskedAt, e.instance.PairPhone
	}
	ready := m.take(e, i)
	m.mu.Unlock()
	m.settle(ctx, e, ready)
}

// Idle waits until the manager has taken in all that it observed, of any
// workspace, and has failed what waited for the number that a test instance had
// before: of a workspace or, when it is given the id of one, of an instance.
func (m *Manager) Idle(ctx context.Context, id string) error {
	for {
		m.mu.RLock()
		busy, quiet := len(m.seen) > 0 || m.mending[id] > 0, m.quiet
		m.mu.RUnlock()
		if !busy {
			return nil
		}
		select {
		case <-quiet:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
