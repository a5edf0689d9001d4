package webhooks_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"portaria/events/webhooks"
	"portaria/messaging"
)

// What a receiver gets is the event as it is shown everywhere, signed so that
// the official library accepts it.
func TestADeliveryIsTheEventSigned(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, says(http.StatusAccepted))
	hook, secret := w.webhookWithSecret(r.URL + "/in?x=1")
	e := w.event("ins_a")
	w.idle()
	posts := r.all()
	if len(posts) != 1 {
		t.Fatalf("%d posts", len(posts))
	}
	got := posts[0]
	want, err := render(e)
	if err != nil || string(got.body) != string(want) {
		t.Errorf("body = %s, want %s, %v", got.body, want, err)
	}
	for name, want := range map[string]string{"content-type": "application/json", "user-agent": "Portaria-Webhooks/1.2.3", "webhook-id": e.ID, "idempotency-key": ""} {
		if got := got.header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	official, err := standardwebhooks.NewWebhook(secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if err := official.Verify(got.body, got.header); err != nil {
		t.Error(err)
	}
	if err := webhooks.Verify(got.header, got.body, time.Now(), secret); err != nil {
		t.Error(err)
	}
	d := w.only(hook)
	if d.State != webhooks.Delivered || d.Attempts != 1 || d.StatusCode != 202 || d.ErrorClass != "" || d.Answer != "this is 202" ||
		!d.AttemptedAt.Equal(w.clock.Now()) || d.Duration <= 0 {
		t.Errorf("delivery = %+v", d)
	}
}

// The world's clock may stand in another year; the receiver's does not.
func TestTheTimestampIsTheMachines(t *testing.T) {
	w := newWorld(t)
	w.clock.pass(1000 * time.Hour)
	w.start()
	r := newReceiver(t, nil)
	_, secret := w.webhookWithSecret(r.URL)
	w.event("ins_a")
	w.idle()
	if p := r.all()[0]; webhooks.Verify(p.header, p.body, time.Now(), secret) != nil {
		t.Errorf("webhook-timestamp = %s", p.header.Get("webhook-timestamp"))
	}
}

// Every event is posted to every endpoint that hears of it, and its body is made
// once for all of them.
func TestAllEndpointsAreToldOfAllEvents(t *testing.T) {
	w := newWorld(t)
	rendered := make(map[string]int)
	w.start(func(o *webhooks.DispatcherOptions) {
		o.Render = func(e messaging.Event) ([]byte, error) { // called by one reader at a time
			rendered[e.ID]++
			return render(e)
		}
	})
	var receivers []*receiver
	for range 3 {
		r := newReceiver(t, nil)
		w.webhook(r.URL)
		receivers = append(receivers, r)
	}
	want := make(map[string]bool)
	for range 700 { // more than a lane keeps in memory
		want[w.event("ins_a").ID] = true
	}
	w.idle()
	for _, r := range receivers {
		got := make(map[string]bool)
		for _, id := range r.ids() {
			if got[id] {
				t.Errorf("%s came twice", id)
			}
			got[id] = true
		}
		if len(got) != len(want) {
			t.Errorf("%d events came, want %d", len(got), len(want))
		}
	}
	for id, n := range rendered {
		if n != 1 {
			t.Errorf("%s was rendered %d times", id, n)
		}
	}
}

// An endpoint that is made while the dispatcher runs hears of the very next
// event, and one that is changed is told at its new address.
func TestChangesCountAtOnce(t *testing.T) {
	w := newWorld(t)
	w.start()
	first, second := newReceiver(t, nil), newReceiver(t, nil)
	hook := w.webhook(first.URL)
	a := w.event("ins_a")
	w.idle()
	w.update(hook.ID, webhooks.Patch{URL: &second.URL})
	w.idle()
	b := w.event("ins_a")
	w.idle()
	if diff := cmp.Diff([][]string{{a.ID}, {b.ID}}, [][]string{first.ids(), second.ids()}); diff != "" {
		t.Error(diff)
	}
}

func TestADisabledEndpointIsToldWhenItIsEnabledAgain(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, says(http.StatusInternalServerError))
	hook := w.webhook(r.URL)
	e := w.event("ins_a")
	w.idle()
	w.update(hook.ID, webhooks.Patch{Enabled: pointer(false)})
	w.idle()
	w.pass(time.Minute)
	if n := len(r.ids()); n != 1 {
		t.Fatalf("it was told %d times", n)
	}
	w.event("ins_a") // of which it does not hear
	r.setAnswer(nil)
	w.update(hook.ID, webhooks.Patch{Enabled: pointer(true)})
	w.idle()
	if got := r.ids(); len(got) != 2 || got[1] != e.ID {
		t.Errorf("it was told of %v", got)
	}
}

func TestADeletedEndpointIsForgotten(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, says(http.StatusInternalServerError))
	hook := w.webhook(r.URL)
	w.event("ins_a")
	w.idle()
	if _, err := w.endpoints.Delete(t.Context(), w.tenancy, hook.ID); err != nil {
		t.Fatal(err)
	}
	w.idle()
	if due, waits := w.clock.next(); waits {
		t.Errorf("the clock is still asked for %v", due)
	}
	w.pass(time.Hour)
	w.event("ins_a")
	w.idle()
	if n := len(r.ids()); n != 1 {
		t.Errorf("it was told %d times", n)
	}
}

// Which chats an endpoint hears of is judged when its event is read; tests and
// replays are not asked.
func TestTheChatsFilterIsKept(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, nil)
	hook := w.webhook(r.URL, func(p *webhooks.Patch) { p.Chats = pointer(messaging.GroupChats) })
	in := func(peer messaging.Address) func(*messaging.Event) {
		return func(e *messaging.Event) { e.Message = &messaging.Message{Peer: peer} }
	}
	direct := w.event("ins_a", in(messaging.Address{WAID: "12025550100@s.whatsapp.net"}))
	group := w.event("ins_a", in(messaging.Address{WAID: "120363000000000000@g.us"}))
	neither := w.event("ins_a", func(e *messaging.Event) { e.Type = messaging.EventInstanceConnected })
	w.idle()
	got := make(map[string]bool)
	for _, id := range r.ids() {
		got[id] = true
	}
	if got[direct.ID] || !got[group.ID] || !got[neither.ID] {
		t.Errorf("it was told of %v", got)
	}
	if n := len(w.memory.list(hook.ID)); n != 2 {
		t.Errorf("%d deliveries are kept, want those of what it wants", n)
	}
	if _, err := w.memory.QueueReplay(t.Context(), webhooks.Delivery{
		World: messaging.World{WorkspaceID: "wsp_one", Environment: messaging.Test}, WebhookID: hook.ID, Sequence: direct.Sequence,
	}, w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.idle()
	if ids := r.ids(); ids[len(ids)-1] != direct.ID {
		t.Errorf("the replay was not told: %v", ids)
	}
}

// An event that the journal has lost, or that cannot be shown, ends as a
// delivery that says so.
func TestEventsThatCannotBeTold(t *testing.T) {
	w := newWorld(t)
	w.start(func(o *webhooks.DispatcherOptions) {
		o.Render = func(e messaging.Event) ([]byte, error) {
			if e.Type == messaging.EventCallReceived {
				return nil, errDown
			}
			return render(e)
		}
	})
	r := newReceiver(t, nil)
	hook := w.webhook(r.URL, func(p *webhooks.Patch) { p.MaxAttempts = pointer(2) })
	w.update(hook.ID, webhooks.Patch{Enabled: pointer(false)})
	w.until("it is off", func() bool { return !w.find(hook.ID).Enabled })
	w.update(hook.ID, webhooks.Patch{Enabled: pointer(true)})
	w.memory.setFail(func(op string) error { return map[string]error{"EventsAt": errDown}[op] })
	gone := w.event("ins_a")
	w.memory.mu.Lock()
	w.memory.events[messaging.World{WorkspaceID: "wsp_one", Environment: messaging.Test}][gone.Sequence-1].ID = ""
	w.memory.mu.Unlock()
	w.event("ins_a", func(e *messaging.Event) { e.Type = messaging.EventCallReceived })
	w.memory.setFail(nil)
	w.idle()
	w.pass(10 * time.Second)
	all := w.memory.list(hook.ID)
	if len(all) != 2 || all[0].State != webhooks.Failed || all[0].ErrorClass != webhooks.ClassGone || all[0].Attempts != 0 {
		t.Errorf("the lost one: %+v", all)
	}
	if all[1].State != webhooks.Failed || all[1].ErrorClass != webhooks.ClassInternal || all[1].Attempts != 2 || len(r.ids()) != 0 {
		t.Errorf("the other one: %+v", all[1])
	}
	if hook := w.find(hook.ID); !hook.FailingSince.IsZero() {
		t.Error("the endpoint is blamed")
	}
}
