package instances

import (
	"context"
	"errors"
	"fmt"
	"time"

	"portaria/messaging"
)

const (
	// pairingPatience bounds the wait for the code of a pairing that has begun.
	pairingPatience = 5 * time.Second
	pairingLook     = 100 * time.Millisecond
)

// Pairing returns the code that an instance shows. One whose pairing has just
// begun is waited for, as long as ctx allows and no longer than a few seconds.
// Faults: ErrNotFound, ErrAlreadyConnected, ErrNotPairing.
func (m *Manager) Pairing(ctx context.Context, t messaging.Tenancy, id string) (messaging.Pairing, error) {
	i, err := m.Resolve(ctx, t, id)
	if err != nil || m.o.Pairings == nil {
		return messaging.Pairing{}, errors.Join(err, ErrNotPairing)
	}
	changes, stop := m.Watch(i.ID)
	defer stop()
	wait, cancel := context.WithTimeout(ctx, pairingPatience)
	defer cancel()
	look := time.NewTicker(pairingLook)
	defer look.Stop()
	for {
		p, err := m.pairingNow(ctx, t, i.ID)
		if err == nil || !errors.Is(err, errNoCode) {
			return p, err
		}
		select {
		case <-changes:
		case <-look.C:
		case <-wait.Done():
			return messaging.Pairing{}, ErrNotPairing
		}
	}
}

// errNoCode says that a pairing has no code to show yet.
var errNoCode = errors.New("no code yet")

// pairingNow returns the code that an instance shows at this moment; errNoCode
// when it is to be waited for.
func (m *Manager) pairingNow(ctx context.Context, t messaging.Tenancy, id string) (messaging.Pairing, error) {
	i, err := m.Resolve(ctx, t, id)
	if err != nil {
		return messaging.Pairing{}, err
	}
	begun := i.Ask == messaging.AskConnect && !i.Linked()
	switch {
	case i.State == messaging.InstanceConnected:
		return messaging.Pairing{}, ErrAlreadyConnected
	case i.State != messaging.InstancePairing && !begun:
		return messaging.Pairing{}, ErrNotPairing
	}
	p, err := m.o.Pairings.FindPairing(ctx, i.WorkspaceID, i.Environment, i.ID)
	switch {
	case errors.Is(err, ErrNotPairing):
		return p, errNoCode
	case err != nil:
		return p, fmt.Errorf("pairing of %s: %w", i.ID, err)
	case !p.ExpiresAt.After(m.o.Now(t, i.ID)), (p.Code != "") != (i.PairPhone != ""): // of an earlier ask
		return messaging.Pairing{}, errNoCode
	}
	return p, nil
}
