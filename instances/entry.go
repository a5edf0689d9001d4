package instances

import (
	"bytes"
	"context"
	"reflect"
	"sync"

	"portaria/instances/proxy"
	"portaria/messaging"
)

// entry is an instance in memory and its channel, if it has one. The manager's
// mu guards everything but door.
type entry struct {
	door sync.Mutex // one at a time opens and closes the channel; taken before the manager's mu

	id   string // never changes, as the next
	live bool

	instance messaging.Instance
	told     uint64 // the generation at which it was last told of
	turn     int    // grows with everything that asks for another channel
	fitted   int    // the turn that the channel was opened for
	channel  messaging.Channel
	waits    waits // for Run to fit it
	queued   int   // the turn at which it began to wait to start
}

// set takes in an instance as it stands now. What its owner asks for makes
// another channel; so does another state of a test instance, whose channel is as
// connected as its instance was when it was opened. A live channel brings its
// states about itself, and lives through them, but not through another proxy.
// The manager's mu is held.
func (e *entry) set(i messaging.Instance) {
	was := &e.instance
	switch {
	case i.Desired != was.Desired, !i.AskedAt.Equal(was.AskedAt),
		i.Environment == messaging.Test && i.State != was.State,
		i.Environment == messaging.Live && proxy.Stored(i.Settings) != proxy.Stored(was.Settings):
		e.turn++
	}
	e.instance = i
}

// carries reports whether the entry has a channel to send on. The manager's mu
// is held.
func (e *entry) carries() bool {
	return e.channel != nil && e.fitted == e.turn && e.instance.State == messaging.InstanceConnected && !e.instance.Relinked
}

// enter makes an entry for an instance. m.mu is held.
func (m *Manager) enter(i messaging.Instance, told uint64) *entry {
	e := &entry{id: i.ID, instance: i, told: told, live: i.Environment == messaging.Live}
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
	m.place(ctx, e)
	return i, true
}

// refresh takes in an instance of a reading that began at a generation.
func (m *Manager) refresh(ctx context.Context, i messaging.Instance, began uint64) {
	m.mu.Lock()
	e, ok := m.byID[i.ID]
	ready := false
	switch {
	case !ok && m.dropped[i.ID] > began, ok && e.told > began:
		m.mu.Unlock()
		return
	case ok:
		ready = m.take(e, i)
	default:
		e = m.enter(i, began)
	}
	m.mu.Unlock()
	m.settle(ctx, e, ready)
}

// take takes in an instance as it stands now. It reports whether the channel
// that the entry has can take messages (again), or at another pace, whoever
// changed the settings. m.mu is held.
func (m *Manager) take(e *entry, i messaging.Instance) (ready bool) {
	carried, ask, settings := e.carries(), e.instance.Ask, e.instance.Settings
	if m.watchers[i.ID] != nil && !reflect.DeepEqual(e.instance, i) { // a reading takes in all instances, whichever has changed
		m.notify(i.ID)
	}
	e.set(i)
	return e.carries() && (!carried || ask != i.Ask || !bytes.Equal(settings, i.Settings))
}

// settle does what follows from what was taken in.
func (m *Manager) settle(ctx context.Context, e *entry, ready bool) {
	if ready {
		m.o.Connected(e.id)
	}
	m.place(ctx, e)
}

// drop forgets an instance that is gone, and reports whether it was known.
func (m *Manager) drop(ctx context.Context, i messaging.Instance) bool {
	m.mu.Lock()
	m.generation++
	m.dropped[i.ID] = m.generation
	e, ok := m.byID[i.ID]
	if ok {
		m.closing[i.ID]++
	}
	delete(m.byID, i.ID)
	if name := nameOf(i); m.byName[name] == e {
		delete(m.byName, name)
	}
	m.notify(i.ID)
	m.mu.Unlock()
	if !ok {
		return false
	}
	m.logClose(i, m.closeChannel(e))
	m.mu.Lock()
	if m.closing[i.ID]--; m.closing[i.ID] == 0 {
		delete(m.closing, i.ID)
	}
	m.mu.Unlock()
	if e.live {
		m.forgetSessions(context.WithoutCancel(ctx))
	}
	return true
}

// Channel returns the channel of an instance; false while the instance is not
// connected.
func (m *Manager) Channel(instanceID string) (messaging.Channel, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	e, ok := m.byID[instanceID]
	if !ok || !e.carries() {
		return nil, false
	}
	return e.channel, true
}

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
