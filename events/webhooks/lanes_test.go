package webhooks_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/events/webhooks"
)

func ordered(p *webhooks.Patch) { p.Ordered = pointer(true) }

// poisoned is a receiver that answers 500 to one event, and 200 to others.
type poisoned struct {
	*receiver

	id atomic.Value
}

func newPoisoned(t *testing.T) *poisoned {
	p := new(poisoned)
	p.id.Store("")
	p.receiver = newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("webhook-id") == p.id.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	return p
}

// poison records an event that the receiver will refuse.
func (w *world) poison(p *poisoned, instance string) string {
	w.memory.setFail(func(op string) error { return map[string]error{"EventsAt": errDown}[op] }) // so that it is not posted yet
	defer w.memory.setFail(nil)
	id := w.event(instance).ID
	p.id.Store(id)
	return id
}

// An ordered endpoint is told the events of one instance one after the other;
// those of others do not wait for it.
func TestOrderWithinAnInstanceIsKept(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newPoisoned(t)
	w.webhook(r.URL, ordered)
	a, b := []string{w.poison(r, "ins_a")}, []string(nil)
	for range 5 {
		a = append(a, w.event("ins_a").ID)
		b = append(b, w.event("ins_b").ID)
	}
	w.idle()
	if diff := cmp.Diff(a[:1], only(r.ids(), a)); diff != "" {
		t.Errorf("the failing one was passed: %s", diff)
	}
	if diff := cmp.Diff(b, only(r.ids(), b)); diff != "" {
		t.Errorf("the other instance: %s", diff)
	}
	w.stop() // and a new process keeps the order too
	w.start()
	w.idle()
	r.id.Store("")
	w.pass(10 * time.Second)
	if diff := cmp.Diff(slices.Concat(a[:1], a), only(r.ids(), a)); diff != "" {
		t.Error(diff)
	}
}

// only returns the ids that are among some, in their order.
func only(ids, among []string) (out []string) {
	for _, id := range ids {
		if slices.Contains(among, id) {
			out = append(out, id)
		}
	}
	return out
}

// The last failure of a delivery frees those behind it.
func TestAFailedDeliveryFreesThoseBehindIt(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newPoisoned(t)
	hook := w.webhook(r.URL, ordered, func(p *webhooks.Patch) { p.MaxAttempts = pointer(2) })
	first := w.poison(r, "ins_a")
	second := w.event("ins_a").ID
	w.idle()
	w.pass(10 * time.Second)
	if diff := cmp.Diff([]string{first, first, second}, r.ids()); diff != "" {
		t.Error(diff)
	}
	if all := w.memory.list(hook.ID); all[0].State != webhooks.Failed || all[1].State != webhooks.Delivered {
		t.Errorf("deliveries = %+v", all)
	}
}

// However much waits behind one event, other instances are told.
func TestABlockedInstanceHidesNoOther(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newPoisoned(t)
	w.webhook(r.URL, ordered)
	w.poison(r, "ins_a")
	for range 3000 {
		w.event("ins_a")
	}
	other := w.event("ins_b").ID
	w.idle()
	if got := r.ids(); len(got) != 2 || got[1] != other {
		t.Errorf("it was told of %d events", len(got))
	}
	r.id.Store("")
	w.pass(10 * time.Second)
	if got := r.ids(); len(got) != 3003 || !slices.IsSortedFunc(got[2:], byEvent) {
		t.Errorf("it was told of %d events, in order: %t", len(got), slices.IsSortedFunc(got[2:], byEvent))
	}
}

// At most ten tries of an endpoint are made side by side, and one alone once it
// has failed five times in a row.
func TestTriesSideBySideAreBounded(t *testing.T) {
	w := newWorld(t)
	w.start()
	var answered, crowds atomic.Int32
	together := make(chan struct{})
	var r *receiver
	r = newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		<-together
		// Nine others may have begun before the fifth failure.
		if _, now, _ := r.count(); now > 1 && answered.Load() >= 2*10 {
			crowds.Add(1)
		}
		answered.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	})
	w.webhook(r.URL)
	for range 40 {
		w.event("ins_a")
	}
	w.until("ten are being answered", func() bool { _, now, _ := r.count(); return now == 10 })
	close(together)
	w.idle()
	if n := crowds.Load(); n > 0 {
		t.Errorf("%d were tried side by side after failures", n)
	}
	r.setAnswer(nil)
	w.pass(10 * time.Second)
	if all, _, most := r.count(); most > 10 || all != 80 {
		t.Errorf("%d posts, %d at once", all, most)
	}
}

// One dead endpoint among ten costs the nine nothing.
func TestADeadEndpointDelaysNobody(t *testing.T) {
	w := newWorld(t)
	w.start(func(o *webhooks.DispatcherOptions) { o.Timings.Post = time.Minute })
	dead := newReceiver(t, hangs)
	w.webhook(dead.URL)
	var alive []*receiver
	for range 9 {
		r := newReceiver(t, nil)
		w.webhook(r.URL)
		alive = append(alive, r)
	}
	for n := range 300 {
		w.event(fmt.Sprintf("ins_%d", n%3))
	}
	w.until("the nine have everything", func() bool {
		return !slices.ContainsFunc(alive, func(r *receiver) bool { all, _, _ := r.count(); return all < 300 })
	})
	if all, now, _ := dead.count(); all != now || now > 10 {
		t.Errorf("the dead one has %d of %d in hand", now, all)
	}
}
