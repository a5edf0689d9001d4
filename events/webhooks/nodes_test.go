package webhooks_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"portaria/events/webhooks"
	"portaria/messaging"
)

// What an earlier process has left is sent at once when it is known to be gone.
func TestWhatAnEarlierProcessLeftIsTakenUp(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(t, nil)
	hook := w.webhook(r.URL)
	w.memory.deliverAs("nod_dead", func([]string) {})
	w.memory.nodes["nod_dead"] = time.Now().Add(time.Hour)
	w.event("ins_a")
	w.memory.deliverAs("", func([]string) {})
	w.event("ins_a") // of the command line
	begun := time.Now()
	w.start(func(o *webhooks.DispatcherOptions) { o.Timings = webhooks.Timings{} })
	w.idle()
	if took := time.Since(begun); took > 10*time.Second { // a lease is 15 s
		t.Errorf("it took %v", took)
	}
	for _, d := range w.memory.list(hook.ID) {
		if d.State != webhooks.Delivered {
			t.Errorf("delivery = %+v", d)
		}
	}
}

// Of several processes each delivers its own; what one that is gone has left is
// taken over when its claims have ended, and not before.
func TestTwoProcessesShareTheWorkWithoutDoubling(t *testing.T) {
	w := newWorld(t)
	together := func(o *webhooks.DispatcherOptions) { o.Alone = false }
	r := newReceiver(t, nil)
	hook := w.webhook(r.URL)
	w.start(together)
	first := w.dispatcher
	w.start(together)
	second := w.dispatcher
	for n := range 200 {
		d := []*webhooks.Dispatcher{first, second}[n%2]
		w.memory.deliverAs(d.Node(), d.Queued)
		w.event("ins_a")
	}
	delivered := func(d webhooks.Delivery) bool { return d.State == webhooks.Delivered }
	w.until("all is delivered", func() bool { return all(w.memory.list(hook.ID), delivered) })
	if n := len(r.ids()); n != 200 {
		t.Errorf("%d posts, want 200", n)
	}
	claims := func(end time.Time) {
		w.memory.mu.Lock()
		defer w.memory.mu.Unlock()
		w.memory.nodes["nod_dead"] = end
	}
	claims(time.Now().Add(time.Hour))
	w.memory.deliverAs("nod_dead", func([]string) {})
	w.event("ins_a")
	var looks atomic.Int32
	w.memory.setFail(func(op string) error {
		if op == "Adopt" {
			looks.Add(1)
		}
		return nil
	})
	w.until("both have looked for what others left", func() bool { return looks.Load() > 4 })
	if n := len(r.ids()); n != 200 {
		t.Error("the claims of a living node were not respected")
	}
	claims(time.Now())
	w.until("the claims end", func() bool { return all(w.memory.list(hook.ID), delivered) })
}

func all(list []webhooks.Delivery, is func(webhooks.Delivery) bool) bool {
	for _, d := range list {
		if !is(d) {
			return false
		}
	}
	return true
}

// A node that cannot renew its claims does not know whether others have taken
// its work: it begins nothing.
func TestWithoutClaimsNothingIsBegun(t *testing.T) {
	w := newWorld(t)
	w.start(func(o *webhooks.DispatcherOptions) {
		o.Timings.Lease, o.Timings.Renew = 100*time.Millisecond, 10*time.Millisecond
	})
	r := newReceiver(t, nil)
	hook := w.webhook(r.URL)
	w.event("ins_a")
	w.idle()
	var failed atomic.Int32
	w.memory.setFail(func(op string) error {
		if op == "Renew" {
			failed.Add(1)
			return errDown
		}
		return nil
	})
	ended := time.Now().Add(200 * time.Millisecond)
	w.until("the claims have ended", func() bool { return failed.Load() > 0 && time.Now().After(ended) })
	w.event("ins_a")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := w.dispatcher.Idle(ctx, w.tenancy.Workspace()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Idle = %v while a delivery is due", err)
	}
	if n := len(r.ids()); n != 1 {
		t.Errorf("%d posts, want 1", n)
	}
	w.memory.setFail(nil)
	w.idle()
	if list := w.memory.list(hook.ID); list[1].State != webhooks.Delivered {
		t.Errorf("delivery = %+v", list[1])
	}
}

// A node that was taken for gone has nothing in hand any more, and begins anew.
func TestANodeThatWasTakenForGoneBeginsAnew(t *testing.T) {
	w := newWorld(t)
	w.start(func(o *webhooks.DispatcherOptions) { o.Alone = false })
	node := w.dispatcher.Node()
	r := newReceiver(t, says(http.StatusInternalServerError))
	hook := w.webhook(r.URL)
	w.event("ins_a")
	w.idle()
	w.memory.mu.Lock()
	delete(w.memory.nodes, node)
	w.memory.taken[node] = true
	w.memory.nodes["nod_other"] = time.Now().Add(time.Hour)
	w.memory.row(hook.ID, w.memory.queues[hook.ID].rows[0].ID).Node = "nod_other"
	w.memory.mu.Unlock()
	w.until("it is there again", func() bool {
		w.memory.mu.Lock()
		defer w.memory.mu.Unlock()
		_, there := w.memory.nodes[node]
		return there
	})
	w.pass(10 * time.Second)
	if n := len(r.ids()); n != 1 {
		t.Fatalf("another's delivery was tried: %d posts", n)
	}
	r.setAnswer(nil)
	w.event("ins_a")
	w.idle()
	w.memory.mu.Lock()
	delete(w.memory.nodes, "nod_other")
	w.memory.mu.Unlock()
	w.until("the other's is adopted", func() bool {
		return all(w.memory.list(hook.ID), func(d webhooks.Delivery) bool { return d.State == webhooks.Delivered })
	})
}

// A process that has nothing to deliver is no node.
func TestWithoutEndpointsThereIsNoNode(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.idle()
	w.memory.mu.Lock()
	n := len(w.memory.nodes)
	w.memory.mu.Unlock()
	if n != 0 {
		t.Errorf("%d nodes", n)
	}
}

// What is in hand when a process ends is cut short, and counts as no try: the
// next process begins it anew.
func TestEndingCutsShortWhatHangs(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, hangs)
	hook := w.webhook(r.URL)
	w.event("ins_a")
	w.until("the post hangs", func() bool { _, now, _ := r.count(); return now == 1 })
	w.stop()
	if d := w.only(hook); d.State != webhooks.Pending || d.Attempts != 0 {
		t.Errorf("delivery = %+v", d)
	}
	w.memory.mu.Lock()
	n := len(w.memory.nodes)
	w.memory.mu.Unlock()
	if n != 0 {
		t.Error("the node has not left")
	}
	if err := w.dispatcher.Run(t.Context()); err == nil {
		t.Error("it runs a second time")
	}
	r.setAnswer(nil)
	w.start()
	w.idle()
	if d := w.only(hook); d.State != webhooks.Delivered || d.Attempts != 1 {
		t.Errorf("delivery = %+v", d)
	}
}

// What could be read and posted, but not recorded, does not keep a process from
// ending.
func TestEndingDoesNotWaitForTheStore(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, nil)
	hook := w.webhook(r.URL)
	w.memory.setFail(func(op string) error { return map[string]error{"Attempted": errDown}[op] })
	w.event("ins_a")
	w.until("it is posted", func() bool { return len(r.ids()) == 1 })
	w.stop()
	if d := w.only(hook); d.State != webhooks.Pending {
		t.Errorf("delivery = %+v", d)
	}
}

func TestADispatcherNeedsItsParts(t *testing.T) {
	if _, err := webhooks.NewDispatcher(webhooks.DispatcherOptions{}); err == nil {
		t.Error("made of nothing")
	}
	if _, err := webhooks.New(webhooks.Options{}); err == nil {
		t.Error("endpoints made of nothing")
	}
	w := newWorld(t)
	d, err := webhooks.NewDispatcher(w.options())
	if err != nil {
		t.Fatal(err)
	}
	d.Tell([]messaging.Event{{}})
	if err := d.Idle(t.Context(), "wsp_one"); err != nil {
		t.Errorf("a dispatcher that has nothing to do is not idle: %v", err)
	}
}
