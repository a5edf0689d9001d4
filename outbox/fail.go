package outbox

import (
	"context"

	"portaria/messaging"
)

// ErrOtherNumber is what messages end with that waited for a number which was
// logged out, once another number is linked in its place.
func ErrOtherNumber() *messaging.SendError {
	return &messaging.SendError{Code: "INSTANCE_LOGGED_OUT", Message: "The number that should have sent this message was logged out, and another one was linked."}
}

// failure is an end for everything that waits in a lane up to a place.
type failure struct {
	last int64
	err  *messaging.SendError
	done chan struct{} // closed when nothing is left to fail
}

// Fail ends with an error everything that waits for an instance up to a place,
// also what is scheduled or was not acknowledged; what was accepted later is
// sent as ever. It returns when the ends are recorded. After a crash, or an
// error, it can be called again: it ends what is left.
//
// Whoever calls it because another number was linked does so before the lane
// finds a channel to that number.
func (d *Dispatcher) Fail(ctx context.Context, ref LaneRef, last int64, because *messaging.SendError) error {
	n, err := d.store.Waiting(ctx, ref)
	if err != nil || n == 0 {
		return err
	}
	f := &failure{last: last, err: because, done: make(chan struct{})}
	l := d.lane(ref)
	for before := l.fail(f); before != nil; before = l.fail(f) {
		if err := d.awaitFailure(ctx, before); err != nil {
			return err
		}
	}
	return d.awaitFailure(ctx, f)
}

func (d *Dispatcher) awaitFailure(ctx context.Context, f *failure) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ctx.Done():
		return d.ctx.Err()
	}
}

// fail has the lane end what waits. One failure is worked on at a time: it
// returns the one that must be waited for first.
func (l *lane) fail(f *failure) (before *failure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing != nil {
		return l.failing
	}
	l.failing = f
	l.start()
	return nil
}

// failAll does what Fail asks. The channel has nothing in its hands meanwhile:
// the lane's goroutine is here.
func (l *lane) failAll(ctx context.Context, f *failure) error {
	for p := range messaging.Priority(messaging.Priorities) {
		for {
			rows, err := l.d.store.Due(ctx, l.ref, p, farFuture, expireChunk)
			if err != nil {
				return err
			}
			var ids []string
			for i := range rows {
				if rows[i].Position <= f.last {
					ids = append(ids, rows[i].MessageID)
				}
			}
			if l.end(ctx, ids, messaging.StatusChange{Status: messaging.StatusFailed, At: l.clock.Now(), Error: f.err}) == 0 {
				break
			}
		}
	}
	if ctx.Err() != nil {
		return ctx.Err() // the last ends may not be recorded
	}
	l.failed()
	return nil
}

// failed tells who waits that everything was ended.
func (l *lane) failed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing != nil {
		close(l.failing.done)
		l.failing = nil
	}
}
