package webhooks_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"portaria/events/webhooks"
	"portaria/messaging"
)

// What was queued before an endpoint was narrowed is not told to whoever may
// change its URL now.
func TestANarrowedEndpointIsToldOfItsInstancesAlone(t *testing.T) {
	w := newWorld(t)
	w.start()
	before := newReceiver(t, says(http.StatusInternalServerError))
	hook := w.webhook(before.URL)
	w.event("ins_b")
	w.idle()
	w.update(hook.ID, webhooks.Patch{Instances: &[]string{"ins_a"}})
	w.idle()
	locked := messaging.NewTenancy("wsp_one", messaging.Test, messaging.OnlyInstances("ins_a"))
	after := newReceiver(t, nil)
	if _, err := w.endpoints.Update(t.Context(), locked, hook.ID, webhooks.Patch{URL: &after.URL}); err != nil {
		t.Fatal(err)
	}
	w.idle()
	w.pass(time.Minute)
	w.event("ins_a")
	w.idle()
	if n := len(after.ids()); n != 1 {
		t.Errorf("told of %d events, want that of ins_a: %s", n, after.all()[0].body)
	}
}

// The same for a bulk, whose event does not name its instances.
func TestANarrowedEndpointIsToldOfBulksOverItsInstancesAlone(t *testing.T) {
	w := newWorld(t)
	w.start()
	before := newReceiver(t, says(http.StatusInternalServerError))
	hook := w.webhook(before.URL, func(p *webhooks.Patch) { p.Instances = &[]string{"ins_a", "ins_b", "ins_c"} })
	over := func(ids ...string) messaging.Event {
		return w.event("", func(e *messaging.Event) {
			e.Type, e.Bulk = messaging.EventBulkStarted, &messaging.Bulk{InstanceIDs: ids}
		})
	}
	over("ins_a", "ins_c")
	own := over("ins_a", "ins_b")
	w.idle()
	after := newReceiver(t, nil)
	w.update(hook.ID, webhooks.Patch{Instances: &[]string{"ins_a", "ins_b"}, URL: &after.URL})
	w.idle()
	w.pass(time.Minute)
	w.idle()
	if got := after.ids(); len(got) != 1 || got[0] != own.ID {
		t.Errorf("told of %v, want that of ins_a and ins_b, %s", got, own.ID)
	}
}

// The last answer of the old URL says nothing of the new one.
func TestAnAnswerOfTheOldURLDisablesNothing(t *testing.T) {
	w := newWorld(t)
	w.start()
	release := make(chan struct{})
	old := newReceiver(t, func(rw http.ResponseWriter, _ *http.Request) { <-release; rw.WriteHeader(http.StatusGone) })
	answer := sync.OnceFunc(func() { close(release) })
	t.Cleanup(answer)
	fresh := newReceiver(t, nil)
	hook := w.webhook(old.URL)
	w.event("ins_a")
	w.until("the old URL is asked", func() bool { return len(old.ids()) == 1 })
	w.update(hook.ID, webhooks.Patch{URL: &fresh.URL})
	w.until("the new URL is told", func() bool {
		w.event("ins_a")
		return len(fresh.ids()) > 0
	})
	answer()
	w.idle()
	if h := w.find(hook.ID); !h.Enabled {
		t.Errorf("%s answered 200 and is off: %s", h.URL, h.DisabledReason)
	}
	w.pass(time.Minute)
	for _, d := range w.memory.list(hook.ID) {
		if d.State != webhooks.Delivered {
			t.Errorf("%s after %d tries", d.State, d.Attempts)
		}
	}
}

// slowDisable answers a Disable late.
type slowDisable struct {
	*memory

	committed, answer chan struct{}
}

func (s *slowDisable) Disable(ctx context.Context, e webhooks.Endpoint, reason string, at time.Time) error {
	err := s.memory.Disable(ctx, e, reason, at)
	close(s.committed)
	<-s.answer
	return err
}

// An owner may switch an endpoint on again before the dispatcher has heard that
// it is off.
func TestAnEndpointThatIsEnabledAtOnceIsTold(t *testing.T) {
	w := newWorld(t)
	q := &slowDisable{w.memory, make(chan struct{}), make(chan struct{})}
	w.start(func(o *webhooks.DispatcherOptions) { o.Queue = q })
	r := newReceiver(t, says(http.StatusGone))
	hook := w.webhook(r.URL)
	w.event("ins_a")
	<-q.committed
	r.setAnswer(nil)
	w.update(hook.ID, webhooks.Patch{Enabled: pointer(true)})
	<-time.After(50 * time.Millisecond) // ten polls: the change has been read
	close(q.answer)
	w.event("ins_a")
	w.until("the second event is told", func() bool { return w.memory.list(hook.ID)[1].State == webhooks.Delivered })
}

// slowRenewal is a store in whose answer a lease ends.
type slowRenewal struct {
	*memory

	mu            sync.Mutex
	until         time.Time
	slow          bool
	ended, answer chan struct{}
}

func (s *slowRenewal) Renew(ctx context.Context, node string, until time.Time) (bool, error) {
	s.mu.Lock()
	slow, end := s.slow, s.until
	s.mu.Unlock()
	if slow {
		if time.Until(end) > 100*time.Millisecond {
			return false, errDown
		}
		<-time.After(time.Until(end) + 10*time.Millisecond)
		s.mu.Lock()
		s.slow = false
		s.mu.Unlock()
		close(s.ended)
		<-s.answer
	}
	alive, err := s.memory.Renew(ctx, node, until)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = until
	return alive, err
}

// A lease that ends while it is being renewed lets the lanes rest; the renewal
// has to wake them.
func TestALeaseThatEndsDuringItsRenewalHoldsNothing(t *testing.T) {
	w := newWorld(t)
	n := &slowRenewal{memory: w.memory, ended: make(chan struct{}), answer: make(chan struct{})}
	w.start(func(o *webhooks.DispatcherOptions) {
		o.Nodes = n
		o.Timings.Lease, o.Timings.Renew = 600*time.Millisecond, 20*time.Millisecond
	})
	hook := w.webhook(newReceiver(t, nil).URL)
	w.event("ins_a")
	w.idle()
	w.memory.setFail(func(op string) error { return map[string]error{"EndpointEpoch": errDown}[op] }) // nothing else may wake it
	n.mu.Lock()
	n.slow = true
	n.mu.Unlock()
	<-n.ended
	w.event("ins_a")
	close(n.answer)
	w.until("the second event is told", func() bool { return w.memory.list(hook.ID)[1].State == webhooks.Delivered })
}
