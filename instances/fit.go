package instances

import (
	"context"
	"errors"
	"fmt"
	"time"

	"portaria/messaging"
)

// opens reports whether an instance that has no channel is to get one. A live
// instance without a phone waits for its owner to ask for a connection.
func (m *Manager) opens(i *messaging.Instance) bool {
	if i.Environment == messaging.Live {
		return m.o.Live != nil && (i.Ask != messaging.AskNothing || i.Desired == messaging.DesiredConnected && i.Linked())
	}
	return m.o.Test != nil
}

// keeps reports whether an instance that has a channel is to keep it.
func (m *Manager) keeps(i *messaging.Instance) bool {
	return i.Environment == messaging.Test || i.Ask != messaging.AskNothing || i.Desired == messaging.DesiredConnected
}

// ends reports whether an instance is shown as more than its owner wants of it.
// There is no channel to say so: that is left to the manager.
func (m *Manager) ends(i *messaging.Instance) bool {
	if m.o.Reporter == nil || i.Desired != messaging.DesiredDisconnected || i.Ask != messaging.AskNothing {
		return false
	}
	switch i.State {
	case messaging.InstancePairing, messaging.InstanceConnecting, messaging.InstanceConnected:
		return true
	case messaging.InstanceDisconnected:
		return i.StateReason != messaging.ReasonDisconnectedByOwner
	case messaging.InstanceCreated, messaging.InstanceLoggedOut, messaging.InstanceRestricted, messaging.InstanceBanned:
	}
	return false
}

// fits reports whether there is nothing to do for an entry: it has the channel
// that it ought to have, or none. m.mu is held.
func (m *Manager) fits(e *entry) bool {
	i := &e.instance
	switch {
	case m.ends(i), i.Relinked && m.drives(i):
		return false
	case e.channel == nil:
		return !m.opens(i)
	default:
		return e.fitted == e.turn && m.keeps(i)
	}
}

// drives reports whether this process has a driver for an instance.
func (m *Manager) drives(i *messaging.Instance) bool {
	if i.Environment == messaging.Live {
		return m.o.Live != nil
	}
	return m.o.Test != nil
}

// holds reports whether an entry may have a channel. m.mu is held.
func (m *Manager) holds(e *entry) bool { return !m.closed && m.byID[e.id] == e }

// fit gives an entry the channel that it ought to have, and closes the one that
// it had.
func (m *Manager) fit(ctx context.Context, e *entry) error {
	e.door.Lock()
	opened, err := m.exchange(ctx, e)
	e.door.Unlock()
	if opened {
		m.o.Connected(e.id)
	}
	return err
}

// exchange does the work of fit, and reports whether the entry has a new channel
// that takes messages. Whoever changes the instance meanwhile, drops the entry
// or closes the manager, waits at the door to set it right. e.door is held.
func (m *Manager) exchange(ctx context.Context, e *entry) (opened bool, err error) {
	m.mu.Lock()
	held := m.holds(e)
	if held && m.fits(e) {
		m.mu.Unlock()
		return false, nil
	}
	old := e.channel
	if held && old != nil && e.fitted == e.turn && m.keeps(&e.instance) {
		old = nil // what does not fit is not the channel
	} else {
		e.channel = nil
	}
	i := e.instance
	m.mu.Unlock()

	if old != nil {
		m.logClose(i, old.Close())
	}
	if !held {
		return false, nil
	}
	if err := m.correct(ctx, e); err != nil {
		return false, err
	}
	return m.open(ctx, e)
}

// open gives an entry its channel if it has none and ought to have one. e.door
// is held.
func (m *Manager) open(ctx context.Context, e *entry) (opened bool, err error) {
	m.mu.RLock()
	i, turn := e.instance, e.turn
	wanted := m.holds(e) && e.channel == nil && m.opens(&i)
	m.mu.RUnlock()
	if !wanted {
		return false, nil
	}
	channel, err := m.openChannel(ctx, i)
	if err == nil && channel == nil {
		err = errNoChannel
	}
	if err != nil {
		m.o.Logger.Error("channel not opened", "instance", i.ID, "error", err)
		m.readAgain(e)
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e.channel, e.fitted = channel, turn
	return e.carries(), nil
}

// errNoChannel is the error of a driver that opens nothing and does not say why.
var errNoChannel = errors.New("the driver gave no channel")

// correct records what the closed channel of an instance cannot say: that its
// owner wants no connection any more, or that the one which it had is to be made
// anew. e.door is held.
func (m *Manager) correct(ctx context.Context, e *entry) error {
	m.mu.RLock()
	i := e.instance
	ends, anew := m.ends(&i), e.live && e.channel == nil && m.opens(&i) && i.State == messaging.InstanceConnected
	m.mu.RUnlock()
	var c messaging.InstanceChange
	switch {
	case ends:
		linked, err := m.isLinked(ctx, i)
		if err != nil {
			return err
		}
		c = ended(&i, linked)
	case anew && m.o.Reporter != nil:
		c = changeOf(&i, messaging.InstanceConnecting, "", time.Now())
	default:
		return nil
	}
	if err := m.o.Reporter.Report(ctx, c); err != nil {
		if ctx.Err() == nil {
			m.o.Logger.Error("state of an instance not recorded", "instance", i.ID, "state", string(c.State), "error", err)
		}
		m.readAgain(e)
		return fmt.Errorf("record %s: %w", c.State, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := e.instance
	if now.AskedAt.Equal(i.AskedAt) {
		now.Apply(c)
		m.take(e, now)
	}
	return nil
}

// readAgain makes Run read what could not be set right, and try again. A live
// instance has somebody at work who does.
func (m *Manager) readAgain(e *entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !e.live {
		m.touch(e)
	}
}

// isLinked asks the database whether a phone is linked to an instance. Its
// channel, which is closed, may have said so a moment ago: then the news is on
// its way still.
func (m *Manager) isLinked(ctx context.Context, i messaging.Instance) (bool, error) {
	stored, err := m.o.Store.FindInstance(ctx, i.WorkspaceID, i.Environment, i.ID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, fmt.Errorf("is a phone linked to %s: %w", i.ID, err)
	}
	return stored.Linked(), nil
}

// ended is the change of an instance that its owner wants no more of.
func ended(i *messaging.Instance, linked bool) messaging.InstanceChange {
	state := messaging.InstanceDisconnected
	if !linked {
		state = messaging.InstanceCreated
	}
	at := i.AskedAt // by the world's clock
	if at.IsZero() {
		at = i.StateSince
	}
	return changeOf(i, state, messaging.ReasonDisconnectedByOwner, at)
}

func changeOf(i *messaging.Instance, state messaging.InstanceState, reason string, at time.Time) messaging.InstanceChange {
	return messaging.InstanceChange{
		WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID,
		Type: messaging.InstanceEvent(state), State: state, Reason: reason, At: at.UTC().Truncate(time.Microsecond),
	}
}

// forgetConnections records that the live connections of an earlier process are
// gone, before anybody is shown them. Only the first reading has any. all is
// changed accordingly.
func (m *Manager) forgetConnections(ctx context.Context, all []messaging.Instance) error {
	m.mu.RLock()
	started := m.started
	m.mu.RUnlock()
	if started || m.o.Live == nil || m.o.Reporter == nil {
		return nil
	}
	var records []messaging.Record
	for n := range all {
		i := &all[n]
		if i.Environment == messaging.Live && i.State == messaging.InstanceConnected && m.opens(i) {
			c := changeOf(i, messaging.InstanceConnecting, "", time.Now())
			i.Apply(c)
			records = append(records, c)
		}
	}
	if len(records) == 0 {
		return nil
	}
	if err := m.o.Reporter.Report(ctx, records...); err != nil {
		return fmt.Errorf("forget connections: %w", err)
	}
	return nil
}
