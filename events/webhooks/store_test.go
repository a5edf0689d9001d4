package webhooks_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"portaria/events/webhooks"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// stored is a world whose webhooks are kept by the real store.
type stored struct {
	*world

	store    *store.Store
	instance messaging.Instance
	change   []func(*webhooks.DispatcherOptions)
}

func newStored(t *testing.T, s *store.Store, change ...func(*webhooks.DispatcherOptions)) *stored {
	w := &stored{world: newWorld(t), store: s, change: change}
	w.tenancy = storetest.Workspace(t, s, "w")
	w.instance = storetest.Instance(t, s, w.tenancy, "one")
	var err error
	if w.endpoints, err = webhooks.New(webhooks.Options{
		Store: s, Box: w.box, Guard: w.guard, AllowHTTP: true, Now: func(messaging.Tenancy) time.Time { return w.clock.Now() },
		Changed: func(id string) { w.dispatcher.Changed(id) },
	}); err != nil {
		t.Fatal(err)
	}
	w.serve()
	return w
}

// serve begins a dispatcher on what is stored, as a new process does.
func (w *stored) serve() {
	w.t.Helper()
	o := w.options()
	o.Queue, o.Nodes = w.store.DeliveryQueue(), w.store
	for _, c := range w.change {
		c(&o)
	}
	d, err := webhooks.NewDispatcher(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.store.DeliverAs(d.Node())
	w.store.TellQueued(d.Queued)
	w.begin(d)
	w.until("the dispatcher has begun", d.Settled)
}

// call records an event of the instance.
func (w *stored) call() {
	w.t.Helper()
	storetest.Called(w.t, w.store, w.instance, w.clock.Now())
}

func (w *stored) deliveries(hook messaging.Webhook) []webhooks.Delivery {
	w.t.Helper()
	list, err := w.store.Deliveries(w.t.Context(), w.tenancy, hook.ID, webhooks.DeliveryFilter{}, messaging.Page{Limit: 5000})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// The whole way, on both engines: an event is delivered once to each endpoint,
// failures are tried again, also by the next process, and the log tells it all.
func TestTheWholeWayThroughTheStore(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newStored(t, s)
		well, ill := newReceiver(t, nil), newReceiver(t, says(http500))
		one := w.webhook(well.URL)
		other := w.webhook(ill.URL, func(p *webhooks.Patch) { p.Ordered = pointer(true) })
		w.idle()
		for range 20 {
			w.call()
		}
		w.idle()
		for _, d := range w.deliveries(one) {
			if d.State != webhooks.Delivered || d.Attempts != 1 || d.StatusCode != 200 {
				t.Errorf("delivery = %+v", d)
			}
		}
		if n := len(well.ids()); n != 20 {
			t.Errorf("%d posts, want 20", n)
		}
		if list := w.deliveries(other); len(list) != 20 || list[19].Attempts != 1 || list[19].Answer != "this is 500" || list[18].Attempts != 0 {
			t.Errorf("deliveries of the other one: %+v", list)
		}
		w.stop()
		w.serve()
		w.idle()
		ill.setAnswer(nil)
		w.pass(10 * time.Second)
		if ids := ill.ids(); len(ids) != 21 || !slices.IsSortedFunc(ids, byEvent) {
			t.Errorf("the other one was told of %v", ids)
		}
		if d, err := w.endpoints.Test(t.Context(), w.tenancy, one.ID); err != nil || d.State != webhooks.Delivered {
			t.Errorf("test = %+v, %v", d, err)
		}
	})
}

// 410, and five days of failure, switch an endpoint off for good: what waits is
// there when it is enabled again.
func TestSwitchingOffThroughTheStore(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newStored(t, s)
		r := newReceiver(t, says(410))
		hook, secret := w.webhookWithSecret(r.URL, func(p *webhooks.Patch) { p.Ordered = pointer(true) })
		w.idle()
		w.call()
		w.idle()
		w.call()
		w.idle()
		if got := w.find(hook.ID); got.Enabled || got.DisabledReason != messaging.ReasonGone || len(r.ids()) != 1 {
			t.Fatalf("endpoint = %+v, posts %d", got, len(r.ids()))
		}
		w.update(hook.ID, webhooks.Patch{Enabled: pointer(true)})
		r.setAnswer(says(http500))
		w.idle()
		for range 6 {
			w.call()
			w.idle()
			w.pass(24 * time.Hour)
		}
		if got := w.find(hook.ID); got.Enabled || got.DisabledReason != messaging.ReasonFailing || got.FailingSince.IsZero() {
			t.Fatalf("endpoint = %+v", got)
		}
		r.setAnswer(nil)
		again := w.update(hook.ID, webhooks.Patch{Enabled: pointer(true)})
		if !again.FailingSince.IsZero() {
			t.Errorf("enabled again: %+v", again)
		}
		w.idle()
		w.pass(24 * time.Hour)
		posts := r.all()
		last := posts[len(posts)-1]
		if err := webhooks.Verify(last.header, last.body, time.Now(), secret); err != nil {
			t.Error(err)
		}
		for _, d := range w.deliveries(hook)[:2] {
			if d.State != webhooks.Delivered {
				t.Errorf("delivery = %+v", d)
			}
		}
	})
}

// Two processes on one database: what one has left, the other delivers, and
// nothing comes twice.
func TestTwoStoresShareTheWork(t *testing.T) {
	o := storetest.Options(t, "postgres")
	w := newStored(t, storetest.Open(t, o), func(o *webhooks.DispatcherOptions) { o.Alone = false })
	second, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	options := w.options()
	options.Queue, options.Nodes, options.Alone = second.DeliveryQueue(), second, false
	d, err := webhooks.NewDispatcher(options)
	if err != nil {
		t.Fatal(err)
	}
	second.DeliverAs(d.Node())
	second.TellQueued(d.Queued)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	w.until("the second one has begun", d.Settled)

	r := newReceiver(t, nil)
	hook := w.webhook(r.URL)
	w.idle()
	for range 50 {
		storetest.Called(t, w.store, w.instance, w.clock.Now())
		storetest.Called(t, second, w.instance, w.clock.Now())
	}
	w.until("all is delivered", func() bool {
		list := w.deliveries(hook)
		return len(list) == 100 && all(list, func(d webhooks.Delivery) bool { return d.State == webhooks.Delivered })
	})
	ids := r.ids()
	slices.Sort(ids)
	if posts, events := len(ids), len(slices.Compact(ids)); posts != 100 || events != 100 {
		t.Errorf("%d posts of %d events", posts, events)
	}
	r.setAnswer(hangs)
	storetest.Called(t, second, w.instance, w.clock.Now())
	w.until("it hangs at the second one", func() bool { _, now, _ := r.count(); return now == 1 })
	r.setAnswer(nil)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.until("the first one has taken it over", func() bool {
		return all(w.deliveries(hook), func(d webhooks.Delivery) bool { return d.State == webhooks.Delivered })
	})
}
