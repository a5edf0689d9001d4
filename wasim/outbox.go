package wasim

import (
	"context"
	"sync"
	"time"
)

// maxOutgoing bounds what waits for a client that does not read. Nothing is
// lost when such a client is dropped: what it has not acknowledged is kept.
const maxOutgoing = 1 << 16

// outgoing is an encoded stanza on its way to a client.
type outgoing struct {
	plain    []byte
	due      time.Time
	last     bool          // the connection is closed after it
	patience time.Duration // how long the client may take to close it
}

// outbox holds the stanzas that leave through one connection, in order, each
// not before its time: a delay holds up nobody who waits for something else.
type outbox struct {
	ready chan struct{} // has a token when there is something to take

	mu    sync.Mutex
	queue []outgoing
	ended bool
}

func newOutbox() outbox { return outbox{ready: make(chan struct{}, 1)} }

// put adds a stanza and reports whether there was room for it. After the last
// one, nothing is taken.
func (o *outbox) put(item outgoing) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return true
	}
	if len(o.queue) >= maxOutgoing {
		return false
	}
	o.ended = item.last
	// A delay that was shortened meanwhile must not let this one overtake.
	if n := len(o.queue); n > 0 && item.due.Before(o.queue[n-1].due) {
		item.due = o.queue[n-1].due
	}
	o.queue = append(o.queue, item)
	select {
	case o.ready <- struct{}{}:
	default:
	}
	return true
}

// take waits for stanzas and returns all there are, or nil when ctx ends.
func (o *outbox) take(ctx context.Context) []outgoing {
	for {
		o.mu.Lock()
		batch := o.queue
		o.queue = nil
		o.mu.Unlock()
		if len(batch) > 0 {
			return batch
		}
		select {
		case <-o.ready:
		case <-ctx.Done():
			return nil
		}
	}
}

// waitUntil returns at the time or when ctx ends, and reports which it was.
func waitUntil(ctx context.Context, due time.Time) bool {
	wait := time.Until(due)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
