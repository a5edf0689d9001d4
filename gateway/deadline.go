package gateway

import (
	"context"
	"sync"
	"time"
)

// deadlines hands out contexts that end when a request's time is up. Requests
// that begin within a step share one, whose time is that of the last of them: a
// timer for each would cost as much as looking the key up. A context does not
// end with its request.
type deadlines struct {
	after, step time.Duration

	mu     sync.Mutex
	shared context.Context //nolint:containedctx // of no request in particular
	until  time.Time       // requests that begin later have another one
}

// deadlineSteps is how many steps a row's deadline has; requests have up to one
// step more than the deadline.
const deadlineSteps = 60

func newDeadlines(after time.Duration) *deadlines {
	return &deadlines{after: after, step: after / deadlineSteps}
}

// next returns the context of a request that begins now.
func (d *deadlines) next() context.Context {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shared == nil || now.After(d.until) {
		ctx, end := context.WithTimeout(context.Background(), d.after+d.step)
		context.AfterFunc(ctx, end) // only its time ends it
		d.shared, d.until = ctx, now.Add(d.step)
	}
	return d.shared
}
