package outbox_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/store/storetest"
)

// Whatever is amended when, whatever fails, and however often the process is
// another: nothing goes that is held or canceled, everything else goes once, and
// what goes to one recipient keeps its order.
func TestAmendmentsKeepTheOrderWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
		defer w.outbox.Stop()
		h := &amendHistory{rt: rt, w: w, canceled: make(map[string]bool), held: make(map[string]bool)}
		failing := rapid.SliceOfN(rapid.IntRange(0, 2), 3, 3).Draw(rt, "tries that fail, by recipient")
		w.network.setJudge(func(m messaging.Outgoing) *messaging.Outcome {
			h.check(m.MessageID)
			if m.Attempt <= failing[int(m.To.Phone()[10]-'0')] {
				return &messaging.Outcome{Verdict: messaging.Deferred, Tried: true, Due: w.clock.Now().Add(time.Duration(m.Attempt) * time.Second)}
			}
			return nil
		})
		for range rapid.IntRange(1, 30).Draw(rt, "acts") {
			h.act()
		}
		h.finish()
	})
}

type amendHistory struct {
	rt  *rapid.T
	w   *world
	all []messaging.Message

	mu       sync.Mutex
	canceled map[string]bool // what Amend said that it had canceled
	held     map[string]bool // what it said that it holds
}

// check fails when the network is given what it must not have.
func (h *amendHistory) check(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.canceled[id] || h.held[id] {
		h.rt.Errorf("%s was given to the network: canceled %t, held %t", id, h.canceled[id], h.held[id])
	}
}

func (h *amendHistory) act() {
	switch rapid.SampledFrom([]string{"send", "send", "send", "schedule", "hold", "let go", "cancel", "pass", "restart", "idle"}).Draw(h.rt, "act") {
	case "send":
		h.send()
	case "schedule":
		h.send(func(d *outbox.Draft) { d.SendAt = h.w.clock.Now().Add(2 * time.Second) })
	case "hold":
		h.amend(messaging.StatusHeld)
	case "let go":
		h.amend(messaging.StatusQueued)
	case "cancel":
		h.amend(messaging.StatusCanceled)
	case "pass":
		h.w.clock.pass(time.Second)
	case "restart":
		h.w.restart()
	case "idle":
		h.w.idle()
	}
}

func (h *amendHistory) send(change ...func(*outbox.Draft)) {
	p := messaging.Priority(rapid.IntRange(1, 2).Draw(h.rt, "priority"))
	change = append(change, func(d *outbox.Draft) { d.Priority = p })
	h.all = append(h.all, h.w.accept(number(rapid.IntRange(0, 2).Draw(h.rt, "to")), change...))
}

func (h *amendHistory) amend(to messaging.Status) {
	var some []string
	for _, m := range h.all {
		if rapid.Bool().Draw(h.rt, "this one") {
			some = append(some, m.ID)
		}
	}
	if to == messaging.StatusQueued { // from now on they may be given to the network
		h.mu.Lock()
		for _, id := range some {
			delete(h.held, id)
		}
		h.mu.Unlock()
	}
	amended, err := h.w.outbox.Amend(context.Background(), h.w.amendment(to, time.Time{}, some...))
	if err != nil {
		h.rt.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range amended {
		switch to { //nolint:exhaustive // there are no others
		case messaging.StatusHeld:
			h.held[id] = true
		case messaging.StatusCanceled:
			h.canceled[id] = true
		}
	}
}

// finish lets everything go and compares what was carried.
func (h *amendHistory) finish() {
	h.mu.Lock()
	clear(h.held)
	h.mu.Unlock()
	if _, err := h.w.outbox.Amend(context.Background(), h.w.amendment(messaging.StatusQueued, time.Time{}, ids(h.all...)...)); err != nil {
		h.rt.Fatal(err)
	}
	for range 60 {
		h.w.idle()
		if lanes, err := h.w.store.Lanes(h.w.t.Context()); err == nil && len(lanes) == 0 {
			break
		}
		h.w.clock.pass(time.Second)
	}
	want := slices.DeleteFunc(slices.Clone(h.all), func(m messaging.Message) bool { return h.w.status(m) == messaging.StatusCanceled })
	byKey := func(ms []messaging.Message) map[string][]string {
		out := make(map[string][]string)
		for _, m := range ms {
			key := m.Peer.Phone() + " " + string(rune('0'+m.Priority))
			out[key] = append(out[key], m.ID)
		}
		return out
	}
	if diff := cmp.Diff(byKey(want), byKey(h.w.carried())); diff != "" {
		h.rt.Error(diff)
	}
}
