package instances

import (
	"context"
	"errors"
	"time"

	"portaria/messaging"
)

// forgetter is a driver that keeps a session of each live instance.
type forgetter interface {
	// Forget deletes the session of an instance that is gone and has no channel.
	// One that is not there is no error.
	Forget(ctx context.Context, instance messaging.LiveInstance) error
}

// forgetPatience bounds how long a deletion waits for a session to be deleted.
const forgetPatience = 5 * time.Second

// errInUse is the error of a session whose channel has not been closed yet.
var errInUse = errors.New("its channel is not closed yet")

// forgetSessions deletes the sessions of instances that are gone: of the one
// that was just dropped, and of those that were deleted while no server ran or
// whose session could not be deleted then. A session is as secret as the phone
// itself, and nobody would ever look for it again. What fails here is tried with
// the next deletion, and when the next process starts.
func (m *Manager) forgetSessions(ctx context.Context) {
	driver, ok := m.o.Live.(forgetter)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, forgetPatience)
	defer cancel()
	err := m.o.Store.ForgetLinks(ctx, func(ctx context.Context, i messaging.Instance) error {
		live, ok := i.Live()
		if !ok {
			return nil
		}
		m.mu.RLock()
		inUse := m.byID[i.ID] != nil || m.closing[i.ID] > 0
		m.mu.RUnlock()
		if inUse {
			return errInUse // whoever closes it comes here next
		}
		return driver.Forget(ctx, live)
	})
	if err != nil && !errors.Is(err, errInUse) {
		m.o.Logger.Error("sessions of deleted instances not deleted, trying again later", "error", err)
	}
}
