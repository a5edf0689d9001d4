package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/events/webhooks"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// An event shows the bulk as it stood then, in memory as in the database.
func TestAnEventOfABulkShowsItAsItStood(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var told []messaging.Event
		s.Tell(func(c store.Committed) { told = append(told, c...) })
		tenancy := storetest.Workspace(t, s, "w")
		c := &campaign{t: t, s: s, tenancy: tenancy, instance: storetest.Instance(t, s, tenancy, "one"), rows: storetest.BulkRows(10), now: time.Now()}
		c.bulk = wholeBulk(c.instance)
		storetest.Bulk(t, s, c.bulk, c.rows)
		c.move(messaging.BulkRunning)
		c.move(messaging.BulkPaused)
		c.move(messaging.BulkCanceled)
		var heard []messaging.Event
		for _, e := range told {
			if e.Bulk != nil {
				heard = append(heard, e)
			}
		}
		read, err := s.EventsAfter(t.Context(), messaging.World{WorkspaceID: tenancy.Workspace(), Environment: tenancy.Environment()}, told[0].Sequence, 10)
		if diff := cmp.Diff(read, heard); diff != "" || err != nil || len(read) != 3 {
			t.Fatalf("%v; read, told:\n%s", err, diff)
		}
		first, last := read[0], read[2]
		if first.InstanceID != c.instance.ID || first.MessageID != "" || first.Bulk.State != messaging.BulkRunning || last.Bulk.Counts.Canceled != 9 {
			t.Errorf("first %+v\nlast %+v", first, last)
		}
		if diff := cmp.Diff(*last.Bulk, c.read()); diff != "" {
			t.Errorf("the last event shows, the bulk is:\n%s", diff)
		}
	})
}

// overTwo is a store with events of a bulk over two instances.
func overTwo(t *testing.T, s *store.Store) (c *campaign, one, two, three messaging.Instance) {
	t.Helper()
	tenancy := storetest.Workspace(t, s, "w")
	one, two, three = storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "two"), storetest.Instance(t, s, tenancy, "three")
	c = &campaign{t: t, s: s, tenancy: tenancy, instance: one, rows: storetest.BulkRows(2), now: time.Now()}
	c.bulk = storetest.NewBulk(2, one, two)
	return c, one, two, three
}

// A key must not learn from an event what it could not see of the bulk.
func TestALockedTenancySeesTheEventsOfABulkWhenItOpensAllItsInstances(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c, one, two, three := overTwo(t, s)
		storetest.Bulk(t, s, c.bulk, c.rows)
		for name, l := range map[string]struct {
			allow messaging.Allowlist
			sees  bool
		}{
			"all":        {messaging.AllInstances(), true},
			"both":       {messaging.OnlyInstances(two.ID, one.ID), true},
			"more":       {messaging.OnlyInstances(one.ID, two.ID, three.ID), true},
			"one":        {messaging.OnlyInstances(one.ID), false},
			"two others": {messaging.OnlyInstances(two.ID, three.ID), false},
			"none":       {messaging.OnlyInstances(), false},
		} {
			locked := messaging.NewTenancy(c.tenancy.Workspace(), c.tenancy.Environment(), l.allow)
			events, err := s.Events(t.Context(), locked, messaging.EventFilter{Type: messaging.EventBulkStarted}, messaging.Page{Limit: 10})
			if err != nil || (len(events) == 1) != l.sees {
				t.Errorf("%s: %d events, %v; want seen = %v", name, len(events), err, l.sees)
			}
		}
		narrow, err := s.Events(t.Context(), c.tenancy, messaging.EventFilter{Type: messaging.EventBulkStarted, InstanceID: one.ID}, messaging.Page{Limit: 10})
		if err != nil || len(narrow) != 0 {
			t.Errorf("of one instance: %d events, %v; want none", len(narrow), err)
		}
	})
}

// The same for endpoints, and for the lists of what they were told.
func TestAnEndpointHearsOfABulkWhenItHearsOfAllItsInstances(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c, one, two, three := overTwo(t, s)
		only := func(ids ...string) func(*webhooks.Endpoint) {
			return func(e *webhooks.Endpoint) { e.Instances, e.Events = ids, []string{"bulk.*"} }
		}
		whole := storetest.Endpoint(t, s, c.tenancy)
		both, part := storetest.Endpoint(t, s, c.tenancy, only(one.ID, two.ID)), storetest.Endpoint(t, s, c.tenancy, only(one.ID, three.ID))
		storetest.Bulk(t, s, c.bulk, c.rows)
		for _, e := range []struct {
			endpoint webhooks.Endpoint
			want     int
		}{{whole, 1}, {both, 1}, {part, 0}} {
			if got := storetest.Deliveries(t, s, e.endpoint); len(got) != e.want {
				t.Errorf("%v: %d deliveries, want %d", e.endpoint.Instances, len(got), e.want)
			}
			replayed, err := s.QueueReplays(t.Context(), e.endpoint, webhooks.Range{Since: c.now.Add(-time.Hour), All: true}, time.Now(), 10)
			if events := replayed.Queued; err != nil || events != e.want && e.endpoint.Instances != nil {
				t.Errorf("%v: %d replayed, %v; want %d", e.endpoint.Instances, events, err, e.want)
			}
		}
		locked := messaging.NewTenancy(c.tenancy.Workspace(), c.tenancy.Environment(), messaging.OnlyInstances(one.ID, two.ID))
		list, err := s.Deliveries(t.Context(), locked, both.ID, webhooks.DeliveryFilter{}, messaging.Page{Limit: 10})
		if err != nil || len(list) != 2 {
			t.Errorf("a locked key lists %d deliveries, %v; want 2", len(list), err)
		}

		// The endpoint is narrowed: its owner's key may see it still, but not what was
		// told of other instances.
		if _, err := s.ChangeEndpoint(t.Context(), c.tenancy, both.ID, func(e *webhooks.Endpoint) error {
			e.Instances = []string{one.ID}
			return nil
		}, nil); err != nil {
			t.Fatal(err)
		}
		locked = messaging.NewTenancy(c.tenancy.Workspace(), c.tenancy.Environment(), messaging.OnlyInstances(one.ID))
		list, err = s.Deliveries(t.Context(), locked, both.ID, webhooks.DeliveryFilter{}, messaging.Page{Limit: 10})
		if err != nil || len(list) != 0 {
			t.Errorf("a key that lost an instance lists %d deliveries, %v; want none", len(list), err)
		}
	})
}

// Failures are found by their deliveries, which do not say what a bulk goes
// through.
func TestAFailedDeliveryOfABulkIsReplayedToWhoHearsOfAllItsInstances(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c, one, two, _ := overTwo(t, s)
		e := storetest.Endpoint(t, s, c.tenancy, func(e *webhooks.Endpoint) { e.Instances = []string{one.ID, two.ID} })
		storetest.Bulk(t, s, c.bulk, c.rows)
		failed := tried(storetest.Deliveries(t, s, e)[0], webhooks.Failed)
		if err := s.Attempted(t.Context(), failed); err != nil {
			t.Fatal(err)
		}
		narrowed := e
		narrowed.Instances = []string{one.ID}
		for _, r := range []struct {
			endpoint webhooks.Endpoint
			want     int
		}{{narrowed, 0}, {e, 1}} {
			got, err := s.QueueReplays(t.Context(), r.endpoint, webhooks.Range{Since: c.now.Add(-time.Hour)}, time.Now(), 10)
			if err != nil || got.Queued != r.want {
				t.Errorf("%v: %d replayed, %v; want %d", r.endpoint.Instances, got.Queued, err, r.want)
			}
		}
	})
}
