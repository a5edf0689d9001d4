package instances

import (
	"context"
	"sync"

	"portaria/messaging"
)

// entry is an instance in memory and its channel, if it has one. The manager's
// mu guards everything but door.
type entry struct {
	door sync.Mutex // one at a time opens and closes the channel; taken before the manager's mu

	instance messaging.Instance
	told     uint64 // the generation at which it was last told of
	turn     int    // grows with every other state: another state is another channel
	fitted   int    // the turn that the channel was opened for
	channel  messaging.Channel
}

// set takes in an instance as it stands now. The manager's mu is held.
func (e *entry) set(i messaging.Instance) {
	if i.State != e.instance.State {
		e.turn++
	}
	e.instance = i
}

// fits reports whether the entry has the channel that its state asks for. The
// manager's mu is held.
func (e *entry) fits() bool { return e.channel != nil && e.fitted == e.turn }

// enter makes an entry for an instance. m.mu is held.
func (m *Manager) enter(i messaging.Instance, told uint64) *entry {
	e := &entry{instance: i, told: told}
	m.byID[i.ID] = e
	m.byName[nameOf(i)] = e
	return e
}

// touch says that an entry is told of now. m.mu is held.
func (m *Manager) touch(e *entry) {
	m.generation++
	e.told = m.generation
}

// add takes in an instance that was made, or found, after the generation
// since, and returns what is known of it: an entry that is there already may be
// newer. False: it was dropped in the meantime.
func (m *Manager) add(ctx context.Context, i messaging.Instance, since uint64) (messaging.Instance, bool) {
	m.mu.Lock()
	e, ok := m.byID[i.ID]
	if !ok {
		if m.dropped[i.ID] > since {
			m.mu.Unlock()
			return i, false
		}
		e = m.enter(i, 0)
		m.touch(e)
	}
	i = e.instance
	m.mu.Unlock()
	m.fit(ctx, e)
	return i, true
}

// refresh takes in an instance of a reading that began at a generation.
func (m *Manager) refresh(ctx context.Context, i messaging.Instance, began uint64) {
	m.mu.Lock()
	e, ok := m.byID[i.ID]
	switch {
	case !ok && m.dropped[i.ID] > began, ok && e.told > began:
		m.mu.Unlock()
		return
	case ok:
		e.set(i)
	default:
		e = m.enter(i, began)
	}
	fits := e.fits()
	m.mu.Unlock()
	if !fits {
		m.fit(ctx, e)
	}
}

// drop forgets an instance that is gone, and reports whether it was known.
func (m *Manager) drop(i messaging.Instance) bool {
	m.mu.Lock()
	m.generation++
	m.dropped[i.ID] = m.generation
	e, ok := m.byID[i.ID]
	delete(m.byID, i.ID)
	if name := nameOf(i); m.byName[name] == e {
		delete(m.byName, name)
	}
	m.mu.Unlock()
	if ok {
		m.logClose(i, m.closeChannel(e))
	}
	return ok
}

// Channel returns the channel of an instance; false while the instance is not
// connected.
func (m *Manager) Channel(instanceID string) (messaging.Channel, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	e, ok := m.byID[instanceID]
	if !ok || !e.fits() || e.instance.State != messaging.InstanceConnected {
		return nil, false
	}
	return e.channel, true
}

// fit gives an entry the channel that its state asks for, and closes the one
// that it had for another state.
func (m *Manager) fit(ctx context.Context, e *entry) {
	e.door.Lock()
	i, opened := m.exchange(ctx, e)
	e.door.Unlock()
	if opened && i.State == messaging.InstanceConnected {
		m.o.Connected(i.ID)
	}
}

// exchange does the work of fit. Whoever changes the state meanwhile, drops the
// entry or closes the manager, waits at the door to set it right. e.door is held.
func (m *Manager) exchange(ctx context.Context, e *entry) (i messaging.Instance, opened bool) {
	m.mu.Lock()
	i, turn, wanted := e.instance, e.turn, m.holds(e)
	if wanted && e.fits() {
		m.mu.Unlock()
		return i, false
	}
	old := e.channel
	e.channel = nil
	m.mu.Unlock()

	if old != nil {
		m.logClose(i, old.Close())
	}
	if !wanted {
		return i, false
	}
	channel, err := m.openChannel(ctx, i)
	if err != nil {
		m.o.Logger.Error("channel not opened", "instance", i.ID, "error", err)
		return i, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e.channel, e.fitted = channel, turn
	return i, channel != nil
}

// holds reports whether an entry may have a channel. m.mu is held.
func (m *Manager) holds(e *entry) bool { return !m.closed && m.byID[e.instance.ID] == e }

// openChannel is the fork between the worlds. It returns nil for a world
// without a driver.
func (m *Manager) openChannel(ctx context.Context, i messaging.Instance) (messaging.Channel, error) {
	if live, ok := i.Live(); ok && m.o.Live != nil {
		return m.o.Live.Open(ctx, live)
	}
	if test, ok := i.Test(); ok && m.o.Test != nil {
		return m.o.Test.Open(ctx, test)
	}
	return nil, nil
}

// closeChannel ends an entry's channel, if it has one.
func (m *Manager) closeChannel(e *entry) error {
	e.door.Lock()
	defer e.door.Unlock()
	m.mu.Lock()
	channel := e.channel
	e.channel = nil
	m.mu.Unlock()
	if channel == nil {
		return nil
	}
	return channel.Close()
}

func (m *Manager) logClose(i messaging.Instance, err error) {
	if err != nil {
		m.o.Logger.Error("channel not closed well", "instance", i.ID, "error", err)
	}
}
