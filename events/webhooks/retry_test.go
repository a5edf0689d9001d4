package webhooks_test

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"portaria/events/webhooks"
	"portaria/messaging"
)

func TestADeliveryIsTriedByTheScheduleUnderOneID(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, says(http.StatusInternalServerError))
	hook := w.webhook(r.URL)
	e := w.event("ins_a")
	w.idle()
	for n, wait := range webhooks.PolicyOf(&hook).Schedule[1:] {
		d := w.only(hook)
		if got := d.Due.Sub(w.clock.Now()); d.State != webhooks.Pending || got < wait*4/5 || got > wait*6/5 {
			t.Fatalf("after try %d: %s, next in %v, want %v", n+1, d.State, got, wait)
		}
		w.pass(d.Due.Sub(w.clock.Now()) - time.Microsecond)
		if got := len(r.ids()); got != n+1 {
			t.Fatalf("tried %d times before its time", got)
		}
		w.pass(time.Microsecond)
	}
	if d := w.only(hook); d.State != webhooks.Failed || d.Attempts != 10 {
		t.Errorf("delivery = %+v", d)
	}
	w.pass(10 * 24 * time.Hour)
	for _, id := range r.ids() {
		if id != e.ID {
			t.Errorf("webhook-id = %s", id)
		}
	}
	if n := len(r.ids()); n != 10 {
		t.Errorf("tried %d times, want 10", n)
	}
}

func TestFailureThenSuccess(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, says(http.StatusInternalServerError))
	hook := w.webhook(r.URL)
	w.event("ins_a")
	w.idle()
	r.setAnswer(nil)
	w.pass(6 * time.Second)
	if d := w.only(hook); d.State != webhooks.Delivered || d.Attempts != 2 || d.ErrorClass != "" || d.StatusCode != 200 {
		t.Errorf("delivery = %+v", d)
	}
}

// A receiver that asks for patience gets it, but no more than a day.
func TestRetryAfterPostpones(t *testing.T) {
	for text, want := range map[string][2]time.Duration{
		"3600":      {time.Hour, time.Hour},
		"1":         {4 * time.Second, 6 * time.Second}, // the schedule asks for more
		"999999999": {24 * time.Hour, 24 * time.Hour},
		time.Now().Add(3 * time.Hour).UTC().Format(http.TimeFormat): {2 * time.Hour, 3 * time.Hour},
	} {
		t.Run(text, func(t *testing.T) {
			w := newWorld(t)
			w.start()
			r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", text)
				w.WriteHeader(http.StatusTooManyRequests)
			})
			hook := w.webhook(r.URL)
			w.event("ins_a")
			w.idle()
			if wait := w.only(hook).Due.Sub(w.clock.Now()); wait < want[0] || wait > want[1] {
				t.Errorf("tried again in %v", wait)
			}
		})
	}
}

// 410 says that nothing is wanted any more.
func TestGoneSwitchesTheEndpointOff(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, says(http.StatusGone))
	hook := w.webhook(r.URL, func(p *webhooks.Patch) { p.Ordered = pointer(true) })
	w.event("ins_a")
	w.event("ins_a")
	w.idle()
	got := w.find(hook.ID)
	if got.Enabled || got.DisabledReason != messaging.ReasonGone || !got.DisabledAt.Equal(w.clock.Now()) {
		t.Errorf("endpoint = %+v", got)
	}
	all := w.memory.list(hook.ID)
	if all[0].State != webhooks.Failed || all[0].StatusCode != 410 || all[1].State != webhooks.Pending || all[1].Attempts != 0 || len(r.ids()) != 1 {
		t.Errorf("deliveries = %+v", all)
	}
	r.setAnswer(nil)
	if again := w.update(hook.ID, webhooks.Patch{Enabled: pointer(true)}); !again.Enabled || again.DisabledReason != "" || !again.DisabledAt.IsZero() {
		t.Errorf("enabled again: %+v", again)
	}
	w.idle()
	if all := w.memory.list(hook.ID); all[1].State != webhooks.Delivered {
		t.Errorf("deliveries = %+v", all)
	}
}

// An endpoint that fails is shown as failing after a minute, and no more after
// a success.
func TestFailingIsNoted(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, says(http.StatusInternalServerError))
	hook := w.webhook(r.URL)
	begun := w.clock.Now()
	w.event("ins_a")
	w.idle()
	w.pass(30 * time.Second)
	if got := w.find(hook.ID).FailingSince; !got.IsZero() {
		t.Errorf("after half a minute: failing since %v", got)
	}
	w.pass(time.Hour)
	if got := w.find(hook.ID).FailingSince; !got.Equal(begun) {
		t.Errorf("after an hour: failing since %v, want %v", got, begun)
	}
	r.setAnswer(nil)
	w.event("ins_a")
	w.idle()
	if got := w.find(hook.ID).FailingSince; !got.IsZero() {
		t.Errorf("after a success: failing since %v", got)
	}
}

// Five days without a success switch an endpoint off, also when the process was
// another one in between.
func TestFiveDaysOfFailureSwitchTheEndpointOff(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, says(http.StatusInternalServerError))
	hook := w.webhook(r.URL)
	w.event("ins_a")
	w.idle()
	for day := range 6 {
		if got := w.find(hook.ID); got.Enabled != (day < 5) {
			t.Fatalf("after %d days: enabled %t", day, got.Enabled)
		}
		if day == 2 {
			w.stop()
			w.start()
		}
		w.pass(24 * time.Hour)
		w.event("ins_a")
		w.idle()
	}
	if got := w.find(hook.ID); got.DisabledReason != messaging.ReasonFailing {
		t.Errorf("endpoint = %+v", got)
	}
}

// What the store does not take is told to it again, and not posted again.
func TestResultsAreRecordedHoweverLongItTakes(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, nil)
	hook := w.webhook(r.URL)
	var refused atomic.Int32
	w.memory.setFail(func(op string) error {
		if op == "Attempted" && refused.Add(1) <= 5 {
			return errDown
		}
		return nil
	})
	w.event("ins_a")
	w.until("the store has refused", func() bool { return refused.Load() > 2 })
	w.dispatcher.Queued([]string{hook.ID}) // the row is read again, but it is in hand
	w.idle()
	if d := w.only(hook); d.State != webhooks.Delivered || d.Attempts != 1 || len(r.ids()) != 1 {
		t.Errorf("delivery = %+v, posts %d", d, len(r.ids()))
	}
}

// A store that is down for a while costs nothing but the while.
func TestNothingIsLostWhileTheStoreIsDown(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(t, nil)
	hook := w.webhook(r.URL)
	var asked atomic.Int32
	down := func(string) error {
		if asked.Add(1) <= 30 {
			return errDown
		}
		return nil
	}
	w.memory.setFail(down)
	w.start()
	asked.Store(0)
	w.event("ins_a")
	w.idle()
	asked.Store(0)
	w.event("ins_a")
	w.idle()
	for _, d := range w.memory.list(hook.ID) {
		if d.State != webhooks.Delivered || d.Attempts != 1 {
			t.Errorf("delivery = %+v", d)
		}
	}
	if n := len(r.ids()); n != 2 {
		t.Errorf("%d posts, want 2", n)
	}
}

// A clock in instant mode does not wait for the next try.
func TestWaitsAreSkippedInInstantMode(t *testing.T) {
	w := newWorld(t)
	w.clock.skips = true
	w.start()
	r := newReceiver(t, says(http.StatusInternalServerError))
	hook := w.webhook(r.URL)
	w.event("ins_a")
	w.until("all tries are made", func() bool {
		all := w.memory.list(hook.ID)
		return len(all) == 1 && all[0].State == webhooks.Failed
	})
	if n := len(r.ids()); n != 10 {
		t.Errorf("tried %d times", n)
	}
}

// The first wait counts from the event.
func TestTheFirstTryMayWaitToo(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, nil)
	w.webhook(r.URL, func(p *webhooks.Patch) { p.Schedule = pointer([]time.Duration{time.Minute}) })
	w.event("ins_a")
	w.idle()
	w.pass(59 * time.Second)
	w.event("ins_a")
	w.idle()
	if n := len(r.ids()); n != 0 {
		t.Fatalf("%d posts before their time", n)
	}
	w.pass(time.Second)
	if n := len(r.ids()); n != 1 {
		t.Errorf("%d posts, want 1", n)
	}
	w.pass(59 * time.Second)
	if n := len(r.ids()); n != 2 {
		t.Errorf("%d posts, want 2", n)
	}
}

// While a secret is being rotated, receivers that know either are served.
func TestBothSecretsSignDuringARotation(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, nil)
	hook, first := w.webhookWithSecret(r.URL)
	_, second, err := w.endpoints.Rotate(t.Context(), w.tenancy, hook.ID, webhooks.Rotation{Grace: pointer(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	var verdicts []bool
	look := func() {
		w.idle()
		w.event("ins_a")
		w.idle()
		posts := r.all()
		p := posts[len(posts)-1]
		for _, s := range []webhooks.Secret{first, second} {
			verdicts = append(verdicts, webhooks.Verify(p.header, p.body, time.Now(), s) == nil)
		}
	}
	look()
	w.pass(time.Hour)
	look()
	if want := []bool{true, true, false, true}; !slices.Equal(verdicts, want) {
		t.Errorf("accepted: %v, want %v", verdicts, want)
	}
}

// With another secret key nothing can be signed: the deliveries wait for the
// operator, and the endpoint is not blamed.
func TestASecretOfAnotherKeyStopsOnlyItsDeliveries(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(t, nil)
	hook := w.webhook(r.URL)
	w.start(func(o *webhooks.DispatcherOptions) { o.Box = newBox(t, 2) })
	w.event("ins_a")
	w.idle()
	if d := w.only(hook); d.State != webhooks.Pending || d.Attempts != 1 || d.ErrorClass != webhooks.ClassInternal || len(r.ids()) != 0 {
		t.Fatalf("delivery = %+v", d)
	}
	w.stop()
	w.start()
	w.idle()
	w.pass(10 * time.Second)
	if d := w.only(hook); d.State != webhooks.Delivered {
		t.Errorf("delivery = %+v", d)
	}
}
