package webhooks_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portaria/events/webhooks"
	"portaria/messaging"
)

// watched is a queue that lets a test step between what it does and its answer.
type watched struct {
	*memory

	read func([]webhooks.Endpoint)                        // all endpoints were read
	look func()                                           // a read has been taken in, or another look begins
	told func(e webhooks.Endpoint, since time.Time) error // it was told since when one fails
	did  func(a webhooks.Attempt)                         // a try has ended, and is to be recorded
}

func (q *watched) AllEndpoints(ctx context.Context) ([]webhooks.Endpoint, error) {
	all, err := q.memory.AllEndpoints(ctx)
	if q.read != nil {
		q.read(all)
	}
	return all, err
}

func (q *watched) EndpointEpoch(ctx context.Context) (int64, error) {
	if q.look != nil {
		q.look()
	}
	return q.memory.EndpointEpoch(ctx)
}

func (q *watched) SetFailing(ctx context.Context, e webhooks.Endpoint, since time.Time) error {
	err := q.memory.SetFailing(ctx, e, since)
	if q.told != nil {
		err = errors.Join(err, q.told(e, since))
	}
	return err
}

func (q *watched) Attempted(ctx context.Context, a webhooks.Attempt) error {
	if q.did != nil {
		q.did(a)
	}
	return q.memory.Attempted(ctx, a)
}

// slowly has the first read that finds an endpoint failing taken in only when a
// try has succeeded, and before that is recorded. The channel is closed when there
// is such a read.
func (q *watched) slowly() (held chan struct{}) {
	held = make(chan struct{})
	goOn, taken := make(chan struct{}), make(chan struct{})
	hold, let, took := sync.OnceFunc(func() { close(held) }), sync.OnceFunc(func() { close(goOn) }), sync.OnceFunc(func() { close(taken) })
	q.read = func(all []webhooks.Endpoint) {
		for i := range all {
			if !all[i].FailingSince.IsZero() {
				hold()
				<-goOn
			}
		}
	}
	q.look = func() {
		select {
		case <-goOn:
			took()
		default:
		}
	}
	q.did = func(a webhooks.Attempt) {
		if a.State == webhooks.Delivered {
			let()
			<-taken
		}
	}
	return held
}

// failing is a world with an endpoint that has been failing for half a minute.
func failing(t *testing.T, q *watched) (*world, *receiver, messaging.Webhook) {
	t.Helper()
	w := newWorld(t)
	q.memory = w.memory
	w.start(func(o *webhooks.DispatcherOptions) { o.Queue = q })
	r := newReceiver(t, says(http.StatusInternalServerError))
	hook := w.webhook(r.URL)
	w.event("ins_a")
	w.idle()
	w.pass(30 * time.Second)
	return w, r, hook
}

// isWell waits until an endpoint is not shown as failing, with no further try.
func (w *world) isWell(hook messaging.Webhook) {
	w.t.Helper()
	w.idle()
	w.until("it is not shown as failing", func() bool { return w.find(hook.ID).FailingSince.IsZero() })
}

// What a slow read of the endpoints tells of one that has recovered since is no
// news: it would be shown as failing until the next success.
func TestAStaleReadDoesNotUndoASuccess(t *testing.T) {
	q := new(watched)
	held := q.slowly()
	w, r, hook := failing(t, q)
	w.clock.pass(time.Hour)
	<-held
	r.setAnswer(nil)
	w.event("ins_a")
	w.isWell(hook)
}

// The same when it is another process whose tries had failed.
func TestAStaleReadOfWhatAnotherFoundDoesNotUndoASuccess(t *testing.T) {
	q := new(watched)
	held := q.slowly()
	w, r, hook := failing(t, q)
	r.setAnswer(nil)
	if err := q.memory.SetFailing(t.Context(), webhooks.Endpoint{Webhook: hook}, w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	<-held
	w.event("ins_a")
	w.isWell(hook)
}

// meanwhile has another process say that an endpoint fails while the store is told
// that it is well, and answers that only when what the other said has been read: it
// is taken in before the answer, or behind it. The second success goes on when it
// has been taken in.
func (q *watched) meanwhile(before bool) (read chan struct{}) {
	read = make(chan struct{})
	goOn, taken := make(chan struct{}), make(chan struct{})
	var other atomic.Pointer[time.Time]
	hold := sync.OnceFunc(func() {
		close(read)
		<-goOn
	})
	took := sync.OnceFunc(func() { close(taken) })
	q.read = func(all []webhooks.Endpoint) {
		for i := range all {
			if at := other.Load(); at != nil && all[i].FailingSince.Equal(*at) {
				hold()
			}
		}
	}
	q.look = func() {
		select {
		case <-goOn:
			took()
		default:
		}
	}
	q.told = func(e webhooks.Endpoint, since time.Time) error {
		if !since.IsZero() || other.Load() != nil {
			return nil
		}
		other.Store(new(e.CreatedAt.Add(time.Second)))
		err := q.memory.SetFailing(context.Background(), e, *other.Load())
		<-read
		if before {
			<-taken
		}
		return err
	}
	successes := 0
	q.did = func(a webhooks.Attempt) {
		if a.State == webhooks.Delivered {
			if successes++; successes == 2 {
				close(goOn)
				<-taken
			}
		}
	}
	return read
}

// What another process says while the store is being told is heard, though the
// store answers behind it: the next success takes it back.
func TestWhatAnotherSaysMeanwhileIsHeard(t *testing.T) {
	for name, before := range map[string]bool{"before the answer": true, "behind the answer": false} {
		t.Run(name, func(t *testing.T) {
			q := new(watched)
			read := q.meanwhile(before)
			w, r, hook := failing(t, q)
			w.pass(time.Hour)
			r.setAnswer(nil)
			w.event("ins_a")
			<-read
			w.event("ins_a")
			w.idle()
			w.event("ins_a")
			w.isWell(hook)
		})
	}
}

// A store that was told, and could not say so, is told what has changed since.
func TestAnAnswerThatIsLostLeavesNoEndpointFailing(t *testing.T) {
	q := new(watched)
	tried, lost := make(chan struct{}), errors.New("the answer was lost")
	once := false
	q.did = func(a webhooks.Attempt) {
		if a.State == webhooks.Delivered {
			close(tried)
		}
	}
	var succeed func()
	q.told = func(_ webhooks.Endpoint, since time.Time) error {
		if since.IsZero() || once {
			return nil
		}
		once = true
		succeed()
		<-tried
		return lost
	}
	w, r, hook := failing(t, q)
	succeed = func() {
		r.setAnswer(nil)
		w.event("ins_a")
	}
	w.pass(time.Hour)
	w.isWell(hook)
	if !once {
		t.Error("the store was never told")
	}
}
