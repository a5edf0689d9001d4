package instances

import (
	"context"
	"sync"
)

// turns lets one at a time do something with a thing. The zero value is ready.
type turns struct {
	mu    sync.Mutex
	taken map[string]chan struct{} // closed when the turn is over
}

// take waits for a turn with a thing; the returned function ends it. The error
// is that of the context.
func (t *turns) take(ctx context.Context, id string) (done func(), err error) {
	for {
		t.mu.Lock()
		before, busy := t.taken[id]
		if !busy {
			break
		}
		t.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer t.mu.Unlock()
	if t.taken == nil {
		t.taken = make(map[string]chan struct{})
	}
	over := make(chan struct{})
	t.taken[id] = over
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.taken, id)
		close(over)
	}, nil
}
