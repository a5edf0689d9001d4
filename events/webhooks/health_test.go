package webhooks_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"portaria/events/webhooks"
)

// staleReads is a queue whose reads of all endpoints that find one failing are
// taken in late: only when a try has succeeded, and before that is recorded.
type staleReads struct {
	*memory

	mu   sync.Mutex
	held chan struct{} // closed when such a read is held back
	let  chan struct{} // closed to let it go
	took chan struct{} // closed when it has been taken in
	did  bool
}

func (q *staleReads) AllEndpoints(ctx context.Context) ([]webhooks.Endpoint, error) {
	all, err := q.memory.AllEndpoints(ctx)
	for i := range all {
		if !all[i].FailingSince.IsZero() && q.once() {
			close(q.held)
			<-q.let
		}
	}
	return all, err
}

func (q *staleReads) once() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	first := !q.did
	q.did = true
	return first
}

// EndpointEpoch is asked for before each read.
func (q *staleReads) EndpointEpoch(ctx context.Context) (int64, error) {
	select {
	case <-q.let:
		select {
		case <-q.took:
		default:
			close(q.took)
		}
	default:
	}
	return q.memory.EndpointEpoch(ctx)
}

func (q *staleReads) Attempted(ctx context.Context, a webhooks.Attempt) error {
	if a.State == webhooks.Delivered {
		close(q.let)
		<-q.took
	}
	return q.memory.Attempted(ctx, a)
}

// What a slow read of the endpoints tells of one that has recovered since is no
// news: it would be shown as failing until the next success.
func TestAStaleReadDoesNotUndoASuccess(t *testing.T) {
	w := newWorld(t)
	q := &staleReads{memory: w.memory, held: make(chan struct{}), let: make(chan struct{}), took: make(chan struct{})}
	w.start(func(o *webhooks.DispatcherOptions) { o.Queue = q })
	r := newReceiver(t, says(http.StatusInternalServerError))
	hook := w.webhook(r.URL)
	w.event("ins_a")
	w.idle()
	w.pass(30 * time.Second)
	w.pass(time.Hour)
	<-q.held
	r.setAnswer(nil)
	w.event("ins_a")
	w.idle()
	if got := w.find(hook.ID).FailingSince; !got.IsZero() {
		t.Errorf("after a success: failing since %v", got)
	}
	if got := len(w.memory.list(hook.ID)); got != 2 || w.memory.list(hook.ID)[1].State != webhooks.Delivered {
		t.Errorf("%d deliveries: %+v", got, w.memory.list(hook.ID))
	}
}
