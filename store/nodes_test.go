package store_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/events/webhooks"
	"portaria/store"
	"portaria/store/storetest"
)

// renewed makes a node's claims hold for a while, and checks whether it has been
// alive all the time.
func renewed(t *testing.T, s *store.Store, node string, until time.Time, want bool) {
	t.Helper()
	alive, err := s.Renew(t.Context(), node, until)
	if err != nil || alive != want {
		t.Errorf("renew %s: alive %t, %v; want %t", node, alive, err, want)
	}
}

func adopted(t *testing.T, s *store.Store, node string, now time.Time, alone bool, want ...string) {
	t.Helper()
	got, err := s.Adopt(t.Context(), node, now, alone)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("adopted by %s: %v\n%s", node, err, diff)
	}
}

// owners counts the pending deliveries of an endpoint by node.
func owners(t *testing.T, s *store.Store, e webhooks.Endpoint) map[string]int {
	t.Helper()
	out := make(map[string]int)
	for _, d := range storetest.Deliveries(t, s, e) {
		if d.State == webhooks.Pending {
			out[d.Node]++
		}
	}
	return out
}

func wantOwners(t *testing.T, s *store.Store, e webhooks.Endpoint, want map[string]int) {
	t.Helper()
	if diff := cmp.Diff(want, owners(t, s, e)); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
}

func TestWhatAnEndedNodeLeavesIsAdopted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w, now := newQueuedWorld(t, s), time.Now()
		other := storetest.Endpoint(t, s, w.tenancy)
		renewed(t, s, "old", now.Add(15*time.Second), true)
		renewed(t, s, "new", now.Add(time.Hour), true)
		for n, node := range []string{"", "new", "old"} {
			s.DeliverAs(node)
			w.calls(t, n+1, noon)
		}
		finished := storetest.Deliveries(t, s, w.endpoint)[5]
		w.attempted(t, tried(finished, webhooks.Delivered))
		before := owners(t, s, w.endpoint)

		adopted(t, s, "new", now, false, w.endpoint.ID, other.ID) // nobody's
		wantOwners(t, s, w.endpoint, map[string]int{"old": before["old"], "new": before["new"] + before[""]})
		adopted(t, s, "new", now.Add(14*time.Second), false)
		renewed(t, s, "old", now.Add(30*time.Second), true)
		adopted(t, s, "new", now.Add(29*time.Second), false)
		adopted(t, s, "new", now.Add(30*time.Second), false, w.endpoint.ID, other.ID)
		wantOwners(t, s, w.endpoint, map[string]int{"new": 5})
		wantOwners(t, s, other, map[string]int{"new": 6})
		adopted(t, s, "new", now.Add(31*time.Second), false)

		// It hears that it was taken for gone, once, and goes on from there.
		renewed(t, s, "old", now.Add(time.Hour), false)
		renewed(t, s, "old", now.Add(time.Hour), true)
		if got, err := s.Delivery(t.Context(), w.tenancy, w.endpoint.ID, finished.ID); err != nil || got.Node != finished.Node {
			t.Errorf("what is finished was moved: %+v, %v", got, err)
		}
	})
}

func TestANodeThatLeavesIsNotWaitedFor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w, now := newQueuedWorld(t, s), time.Now()
		w.calls(t, 2, noon)
		renewed(t, s, "me", now.Add(time.Hour), true)
		adopted(t, s, "next", now, false)
		if err := s.Leave(t.Context(), "me"); err != nil {
			t.Fatal(err)
		}
		adopted(t, s, "next", now, false, w.endpoint.ID)
		renewed(t, s, "me", now.Add(time.Hour), true) // it has left of its own will
	})
}

// The only process there is need not wait for any lease.
func TestOneThatIsAloneTakesEverything(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w, now := newQueuedWorld(t, s), time.Now()
		w.calls(t, 1, noon)
		renewed(t, s, "me", now.Add(time.Hour), true)
		s.DeliverAs("unheard of")
		w.calls(t, 1, noon)
		adopted(t, s, "next", now, true, w.endpoint.ID)
		wantOwners(t, s, w.endpoint, map[string]int{"next": 2})
		renewed(t, s, "me", now.Add(time.Hour), false)
	})
}

// A process queues deliveries before it first says that it lives. These are not
// taken from under its hands, but neither are they left when it never does.
func TestTheDeliveriesOfAnUnknownNodeAreTakenOnlyWhenTheyAreOld(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			s := storetest.Open(t, o)
			w, now := newQueuedWorld(t, s), time.Now()
			w.calls(t, 2, noon)
			adopted(t, s, "next", now, false)
			wantOwners(t, s, w.endpoint, map[string]int{"me": 2})
			change(t, o, `UPDATE webhook_deliveries SET id = 'dlv_00' || substr(id, 7)`) // drawn long ago
			adopted(t, s, "next", now, false, w.endpoint.ID)
			wantOwners(t, s, w.endpoint, map[string]int{"next": 2})
		})
	}
}

// Two processes find at once that others have ended. Each delivery is taken by
// one of them.
func TestTwoThatAdoptAtOnceShareWhatIsLeft(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			stores := []*store.Store{storetest.Open(t, o), storetest.Open(t, o)}
			w, now := newQueuedWorld(t, stores[0]), time.Now()
			names := []string{"a", "b"}
			for round := range 10 {
				for _, dead := range []string{"x", "y", "z", ""} {
					stores[0].DeliverAs(dead)
					w.calls(t, 3, noon)
					if dead != "" {
						if _, err := stores[0].Renew(t.Context(), dead, now.Add(-time.Second)); err != nil {
							t.Fatal(err)
						}
					}
				}
				var taken [2][]string
				var both sync.WaitGroup
				for n, s := range stores {
					both.Go(func() {
						var err error
						if taken[n], err = s.Adopt(t.Context(), names[n], now, false); err != nil {
							t.Errorf("adopt: %v", err)
						}
					})
				}
				both.Wait()
				got := owners(t, stores[0], w.endpoint)
				if got["a"]+got["b"] != 12*(round+1) || len(taken[0])+len(taken[1]) == 0 {
					t.Fatalf("owners %v, endpoints told %v", got, taken)
				}
			}
		})
	}
}
