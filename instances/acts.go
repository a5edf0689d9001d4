package instances

import (
	"context"
	"errors"
	"time"

	"portaria/messaging"
)

// Connect asks for a connection, or for a pairing when no phone is linked: by a
// code to be typed on pairPhone, or by QR when that is empty. What is connected
// already, or is being paired in that way, is left alone. Fault: ErrNotFound.
func (m *Manager) Connect(ctx context.Context, t messaging.Tenancy, id, pairPhone string) (messaging.Instance, error) {
	return m.act(ctx, t, id, func(i *messaging.Instance) error {
		wanted := i.Desired == messaging.DesiredConnected
		connected := i.State == messaging.InstanceConnected && (i.Ask == messaging.AskNothing || i.Ask == messaging.AskConnect)
		pairing := i.State == messaging.InstancePairing && i.Ask == messaging.AskConnect && i.PairPhone == pairPhone
		if wanted && (connected || pairing) {
			return errSettled
		}
		i.Desired, i.Ask, i.PairPhone = messaging.DesiredConnected, messaging.AskConnect, pairPhone
		return nil
	})
}

// Disconnect ends the connection, or the pairing, and the wish to have it. The
// phone stays linked. Fault: ErrNotFound.
func (m *Manager) Disconnect(ctx context.Context, t messaging.Tenancy, id string) (messaging.Instance, error) {
	return m.act(ctx, t, id, disconnect)
}

func disconnect(i *messaging.Instance) error {
	if i.Desired == messaging.DesiredDisconnected && i.Ask == messaging.AskNothing {
		return errSettled
	}
	i.Desired, i.Ask, i.PairPhone = messaging.DesiredDisconnected, messaging.AskNothing, ""
	return nil
}

// Restart drops the connection and makes it anew. Faults: ErrNotFound,
// ErrNotLinked.
func (m *Manager) Restart(ctx context.Context, t messaging.Tenancy, id string) (messaging.Instance, error) {
	return m.act(ctx, t, id, func(i *messaging.Instance) error {
		if !i.Linked() {
			return ErrNotLinked
		}
		i.Desired, i.Ask, i.PairPhone = messaging.DesiredConnected, messaging.AskRestart, ""
		return nil
	})
}

// Logout unlinks the phone and forgets the session. What waits stays, for the
// same number to be linked again. An instance to which no phone is linked is
// only disconnected. Fault: ErrNotFound.
func (m *Manager) Logout(ctx context.Context, t messaging.Tenancy, id string) (messaging.Instance, error) {
	return m.act(ctx, t, id, func(i *messaging.Instance) error {
		if !i.Linked() {
			return disconnect(i)
		}
		if i.Ask == messaging.AskLogout {
			return errSettled
		}
		i.Desired, i.Ask, i.PairPhone = messaging.DesiredDisconnected, messaging.AskLogout, ""
		return nil
	})
}

// errSettled says that there is nothing to change.
var errSettled = errors.New("nothing to change")

// act stores what an owner asks of an instance, and has it done. decide may
// return errSettled: there is nothing to ask for.
func (m *Manager) act(ctx context.Context, t messaging.Tenancy, id string, decide func(*messaging.Instance) error) (messaging.Instance, error) {
	i, err := m.Resolve(ctx, t, id)
	if err != nil {
		return i, err
	}
	now := m.o.Now(t, i.ID).UTC().Truncate(time.Microsecond)
	return m.change(ctx, i, func(i *messaging.Instance) error {
		if err := decide(i); err != nil {
			return err
		}
		// A later ask is told from an earlier one by its time, even on a frozen clock.
		if !now.After(i.AskedAt) {
			now = i.AskedAt.Add(time.Microsecond)
		}
		i.AskedAt = now
		return nil
	}, func(known *messaging.Instance, i messaging.Instance) {
		if i.AskedAt.After(known.AskedAt) { // else a reading was faster, and may know what was done since
			known.Desired, known.Ask, known.AskedAt, known.PairPhone = i.Desired, i.Ask, i.AskedAt, i.PairPhone
		}
	})
}

// change alters an instance in the database, copies what was altered to the
// memory, and does what follows. An errSettled of alter is no error: the
// instance is returned as it is stored.
func (m *Manager) change(ctx context.Context, i messaging.Instance, alter func(*messaging.Instance) error, remember func(known *messaging.Instance, i messaging.Instance)) (messaging.Instance, error) {
	m.patching.Lock()
	found := i
	i, err := m.o.Store.ChangeInstance(ctx, i.WorkspaceID, i.Environment, i.ID, func(i *messaging.Instance) error {
		found = *i
		return alter(i)
	})
	if errors.Is(err, errSettled) {
		i, err = found, nil
	}
	if err != nil {
		m.patching.Unlock()
		return messaging.Instance{}, err
	}
	m.mu.Lock()
	e, ok := m.byID[i.ID]
	ready := false
	if ok {
		known := e.instance // its state is left alone: what was observed of it may be newer
		remember(&known, i)
		ready = m.take(e, known)
		m.touch(e)
	}
	m.mu.Unlock()
	m.patching.Unlock()
	if ok {
		m.settle(context.WithoutCancel(ctx), e, ready)
	}
	return i, nil
}
