package instances

import (
	"context"
	"errors"
	"fmt"

	"portaria/messaging"
)

// errRelinkedAgain says that a third phone was linked while what waited for the
// first was being failed.
var errRelinkedAgain = errors.New("another phone was linked meanwhile")

// failForeign fails what waits for the number that an instance had before the
// one that is linked now. Until that is done the instance sends nothing: the
// messages were meant to come from the other number.
func (m *Manager) failForeign(ctx context.Context, e *entry) error {
	m.mu.RLock()
	i := e.instance
	held := m.holds(e) && i.Relinked && m.drives(&i)
	m.mu.RUnlock()
	if !held {
		return nil
	}
	stored, err := m.o.Store.FindInstance(ctx, i.WorkspaceID, i.Environment, i.ID)
	if err != nil {
		return err // one that is gone is dropped by the next reading
	}
	if stored.Relinked && m.o.Relinked != nil {
		if err := m.o.Relinked(ctx, stored); err != nil {
			return fmt.Errorf("fail what waits for another number: %w", err)
		}
	}
	_, err = m.change(ctx, stored, func(i *messaging.Instance) error {
		switch {
		case !i.Relinked:
			return errSettled
		case i.Phone != stored.Phone || i.RelinkedPlace != stored.RelinkedPlace:
			return errRelinkedAgain
		}
		i.Relinked = false
		return nil
	}, func(known *messaging.Instance, _ messaging.Instance) { known.Relinked = false })
	return err
}
