package instances

import (
	"context"
	"fmt"

	"portaria/messaging"
)

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
		if !i.Relinked {
			return errSettled
		}
		i.Relinked = false
		return nil
	}, func(known *messaging.Instance, _ messaging.Instance) { known.Relinked = false })
	return err
}
