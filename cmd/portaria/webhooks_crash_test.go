package main

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"portaria/store/storetest"
)

// Every event of a message that was accepted arrives, under its own webhook-id,
// though the server is killed again and again while it delivers.
func TestKillingTheServerDuringDeliveriesLosesNone(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Used {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			g := hooked(newGateway(t, storetest.Options(t, engine)))
			g.start()
			key := g.mint("--scope", "*", "--all-instances", "--rate-per-minute", "10000000", "--rate-burst", "1000000")
			g.do(key, http.MethodPost, "/v1/instances", `{"name":"one"}`, http.StatusCreated, nil)
			r := newEndpoint(t)
			id := r.listens(g, key, `,"events":["message.*"]`)

			sent := make(chan struct{})
			go func() {
				defer close(sent)
				sendFromAll(t, g, key, []string{"one"}, hookedSends, new(atomic.Int64))
			}()
			for quarter := range 3 {
				waitUntil(t, patience, func() bool { return r.count() >= (quarter+1)*hookedSends })
				g.kill()
				g.start()
			}
			<-sent
			g.waitForAll(key, hookedSends, "read")
			checkDelivered(t, g, key, id, r, messageEvents(g, key))
		})
	}
}

// messageEvents returns the ids of a world's events about messages.
func messageEvents(g *gatewayProcess, key string) (ids []string) {
	g.t.Helper()
	for _, e := range pages[receivedEvent](g, key, "/v1/events") {
		if strings.HasPrefix(e.Type, "message.") {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// checkDelivered waits until the endpoint has all of these events and the log
// says so.
func checkDelivered(t *testing.T, g *gatewayProcess, key, id string, r *endpoint, want []string) {
	t.Helper()
	waitUntil(t, patience, func() bool { return r.count() >= len(want) })
	r.mu.Lock()
	got := make([]string, 0, len(r.got))
	for id := range r.got {
		got = append(got, id)
	}
	r.mu.Unlock()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d events have come, of %d", len(got), len(want))
	}
	states := make(map[string]int)
	waitUntil(t, patience, func() bool {
		clear(states)
		for _, d := range pages[struct{ State string }](g, key, "/v1/webhooks/"+id+"/deliveries") {
			states[d.State]++
		}
		return states["pending"] == 0
	})
	if states["delivered"] != len(want) || len(states) != 1 {
		t.Errorf("deliveries: %v, want %d delivered and no other", states, len(want))
	}
}

// An endpoint that takes every delivery and never answers keeps nine others from
// nothing.
func TestADeadEndpointKeepsTheOthersFromNothing(t *testing.T) {
	t.Parallel()
	g := hooked(newGateway(t, storetest.Options(t, storetest.Light)))
	g.start()
	key := g.mint("--scope", "*", "--all-instances", "--rate-per-minute", "10000000", "--rate-burst", "1000000")
	g.do(key, http.MethodPost, "/v1/instances", `{"name":"one"}`, http.StatusCreated, nil)
	dead := newEndpoint(t)
	dead.answer = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	deadID := dead.listens(g, key, `,"events":["message.*"]`)
	living := make([]*endpoint, 9)
	ids := make([]string, len(living))
	for n := range living {
		living[n] = newEndpoint(t)
		ids[n] = living[n].listens(g, key, `,"events":["message.*"]`)
	}
	sendFromAll(t, g, key, []string{"one"}, hookedSends, new(atomic.Int64))
	g.waitForAll(key, hookedSends, "read")
	want := messageEvents(g, key)
	for n, r := range living {
		checkDelivered(t, g, key, ids[n], r, want)
	}
	if got := dead.count(); got == 0 {
		t.Error("the dead endpoint was never asked")
	}
	waiting := 0
	for _, d := range pages[struct{ State string }](g, key, "/v1/webhooks/"+deadID+"/deliveries") {
		if d.State == "pending" {
			waiting++
		}
	}
	if waiting != len(want) {
		t.Errorf("%d deliveries wait for the dead endpoint, want %d", waiting, len(want))
	}
}
