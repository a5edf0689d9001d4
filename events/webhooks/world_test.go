package webhooks_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"portaria/events/webhooks"
	"portaria/internal/guard"
	"portaria/internal/seal"
	"portaria/messaging"
)

// patience bounds what the tests wait for; only a failure takes so long.
const patience = time.Minute

// world is a dispatcher on a store in memory, for one workspace's test world
// whose clock the test holds in its hands.
type world struct {
	t         testing.TB
	memory    *memory
	clock     *handClock
	box       *seal.Box
	guard     *guard.Guard
	tenancy   messaging.Tenancy
	endpoints *webhooks.Endpoints

	dispatcher *webhooks.Dispatcher
	stop       func() // ends the dispatcher and waits for it
}

func newWorld(t testing.TB) *world {
	w := &world{
		t: t, clock: newHandClock(), box: newBox(t, 1), guard: guard.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}),
		tenancy: messaging.NewTenancy("wsp_one", messaging.Test, messaging.AllInstances()),
	}
	w.memory = newMemory(w.clock.Now)
	var err error
	if w.endpoints, err = webhooks.New(webhooks.Options{
		Store: w.memory, Box: w.box, Guard: w.guard, AllowHTTP: true, Now: func(messaging.Tenancy) time.Time { return w.clock.Now() },
		Changed: func(id string) {
			if w.dispatcher != nil {
				w.dispatcher.Changed(id)
			}
		},
	}); err != nil {
		t.Fatal(err)
	}
	return w
}

func newBox(t testing.TB, fill byte) *seal.Box {
	t.Helper()
	box, err := seal.New(bytes.Repeat([]byte{fill}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// options are those of a dispatcher that is alone, and quick to notice.
func (w *world) options() webhooks.DispatcherOptions {
	return webhooks.DispatcherOptions{
		Queue: w.memory, Nodes: w.memory, Box: w.box, Guard: w.guard, AllowHTTP: true, Alone: true, Version: "1.2.3", Render: render,
		Clock: func(messaging.World) messaging.Clock { return w.clock },
		Timings: webhooks.Timings{
			Poll: 5 * time.Millisecond, Adopt: 20 * time.Millisecond, Renew: 50 * time.Millisecond, Lease: 10 * time.Second,
			Retry: 5 * time.Millisecond, Read: time.Millisecond, Grace: 50 * time.Millisecond,
		},
	}
}

// render is a body that tells which event it is of.
func render(e messaging.Event) ([]byte, error) {
	return json.Marshal(map[string]any{"id": e.ID, "type": e.Type, "sequence": e.Sequence})
}

// start begins a dispatcher on what is stored, as a new process does.
func (w *world) start(change ...func(*webhooks.DispatcherOptions)) {
	w.t.Helper()
	o := w.options()
	for _, c := range change {
		c(&o)
	}
	d, err := webhooks.NewDispatcher(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.begin(d)
	w.until("the dispatcher has begun", d.Settled)
}

// begin runs a dispatcher that was made.
func (w *world) begin(d *webhooks.Dispatcher) {
	w.memory.deliverAs(d.Node(), d.Queued)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := d.Run(ctx); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}()
	w.dispatcher = d
	w.stop = func() {
		cancel()
		<-done
	}
	w.t.Cleanup(w.stop)
}

// webhook makes an endpoint.
func (w *world) webhook(url string, change ...func(*webhooks.Patch)) messaging.Webhook {
	w.t.Helper()
	hook, _ := w.webhookWithSecret(url, change...)
	return hook
}

func (w *world) webhookWithSecret(url string, change ...func(*webhooks.Patch)) (messaging.Webhook, webhooks.Secret) {
	w.t.Helper()
	draft := webhooks.Draft{Patch: webhooks.Patch{URL: &url}}
	for _, c := range change {
		c(&draft.Patch)
	}
	hook, secret, err := w.endpoints.Create(w.t.Context(), w.tenancy, draft)
	if err != nil {
		w.t.Fatal(err)
	}
	return hook, secret
}

func (w *world) update(id string, p webhooks.Patch) messaging.Webhook {
	w.t.Helper()
	hook, err := w.endpoints.Update(w.t.Context(), w.tenancy, id, p)
	if err != nil {
		w.t.Fatal(err)
	}
	return hook
}

// find returns an endpoint as it is stored.
func (w *world) find(id string) messaging.Webhook {
	w.t.Helper()
	hook, err := w.endpoints.Find(w.t.Context(), w.tenancy, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return hook
}

// event records an event of an instance.
func (w *world) event(instance string, change ...func(*messaging.Event)) messaging.Event {
	e := messaging.Event{
		Type: messaging.EventMessageReceived, WorkspaceID: w.tenancy.Workspace(), Environment: messaging.Test,
		InstanceID: instance, Timestamp: w.clock.Now(),
	}
	for _, c := range change {
		c(&e)
	}
	return w.memory.write(e)
}

// idle waits until no lane has work in hand and the clock owes nobody a call.
func (w *world) idle() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		calls := w.clock.settle()
		if err := w.dispatcher.Idle(ctx, w.tenancy.Workspace()); err != nil {
			w.t.Fatalf("the lanes do not come to rest: %v", err)
		}
		if w.clock.settle() == calls {
			return
		}
	}
}

// pass moves the clock and waits until what came due is done.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.clock.pass(d)
	w.idle()
}

// only returns the one delivery of a webhook.
func (w *world) only(hook messaging.Webhook) webhooks.Delivery {
	w.t.Helper()
	all := w.memory.list(hook.ID)
	if len(all) != 1 {
		w.t.Fatalf("there are %d deliveries: %+v", len(all), all)
	}
	return all[0]
}

// until waits for something that another goroutine brings about.
func (w *world) until(what string, met func() bool) {
	w.t.Helper()
	until(w.t, what, met)
}

func until(t testing.TB, what string, met func() bool) {
	t.Helper()
	deadline := time.After(patience)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !met() {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func pointer[T any](v T) *T { return &v }

// byEvent orders the ids of events by their sequences.
func byEvent(a, b string) int {
	before, _ := messaging.EventSequence(a)
	after, _ := messaging.EventSequence(b)
	return cmp.Compare(before, after)
}
