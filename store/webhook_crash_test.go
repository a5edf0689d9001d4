package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

// What failed half-way must leave neither the event nor its deliveries, and what
// comes after must be whole.
func TestAFailedTransactionLeavesNeitherEventNorDelivery(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			s := storetest.Open(t, o)
			tenancy := storetest.Workspace(t, s, "w")
			i, e := storetest.Instance(t, s, tenancy, "one"), storetest.Endpoint(t, s, tenancy)
			var told []string
			s.Tell(func(c store.Committed) { told = append(told, "event") })
			s.TellQueued(func(ids []string) { told = append(told, ids...) })
			storetest.Called(t, s, i, time.Now())
			before, want := told, []string{"event", e.ID}
			if diff := cmp.Diff(want, before); diff != "" {
				t.Fatal(diff)
			}
			change(t, o, `ALTER TABLE webhook_deliveries RENAME TO elsewhere`)
			m := storetest.Message(i, "15005550006", "x")
			accepted := s.Accept(t.Context(), outbox.Acceptance{Message: &m}, func(int64) {})
			inserted := s.InsertInstance(t.Context(), storetest.NewInstance(tenancy, "two"), nil)
			_, tested := s.QueueTest(t.Context(), e, time.Now())
			if accepted == nil || inserted == nil || tested == nil {
				t.Errorf("accepted: %v, inserted: %v, tested: %v", accepted, inserted, tested)
			}
			change(t, o, `ALTER TABLE elsewhere RENAME TO webhook_deliveries`)
			if head, err := s.EventHead(t.Context(), messaging.World{WorkspaceID: i.WorkspaceID, Environment: i.Environment}); err != nil || head != 2 {
				t.Errorf("head %d, %v; want 2", head, err)
			}
			if found := storetest.Deliveries(t, s, e); len(found) != 1 || len(told) != 2 {
				t.Errorf("%d deliveries, told %v", len(found), told)
			}
			if _, err := s.Message(t.Context(), tenancy, m.ID); err == nil {
				t.Error("the message is there")
			}
			storetest.Called(t, s, i, time.Now())
			if found := storetest.Deliveries(t, s, e); len(found) != 2 || found[1].Sequence != 3 {
				t.Errorf("afterwards: %+v", found)
			}
		})
	}
}

// An event that a transaction matched with endpoints which it then did not
// change must not spoil what later events are matched with.
func TestAChangeThatFailsIsForgotten(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			s := storetest.Open(t, o)
			tenancy := storetest.Workspace(t, s, "w")
			i, e := storetest.Instance(t, s, tenancy, "one"), storetest.Endpoint(t, s, tenancy)
			change(t, o, `ALTER TABLE epochs RENAME TO elsewhere`) // it is changed last
			if err := s.Disable(t.Context(), e, messaging.ReasonGone, time.Now()); err == nil {
				t.Error("disabled")
			}
			change(t, o, `ALTER TABLE elsewhere RENAME TO epochs`)
			storetest.Called(t, s, i, time.Now())
			if found := storetest.Deliveries(t, s, e); len(found) != 1 {
				t.Errorf("%d deliveries, want that of the call", len(found))
			}
		})
	}
}

// Two processes on one database: what one changes of an endpoint, the other goes
// by as soon as it has asked whether anything has changed.
func TestAnotherProcessNoticesEndpoints(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			s, other := storetest.Open(t, o), storetest.Open(t, o)
			tenancy := storetest.Workspace(t, s, "w")
			i := storetest.Instance(t, s, tenancy, "one")
			endpointEpoch(t, s)
			storetest.Called(t, s, i, time.Now()) // it knows by now that there are none
			e := storetest.Endpoint(t, other, tenancy)
			endpointEpoch(t, s)
			storetest.Called(t, s, i, time.Now())
			if n := len(storetest.Deliveries(t, s, e)); n != 1 {
				t.Errorf("%d deliveries of a new endpoint, want 1", n)
			}
			if err := other.Disable(t.Context(), e, messaging.ReasonGone, time.Now()); err != nil {
				t.Fatal(err)
			}
			endpointEpoch(t, s)
			storetest.Called(t, s, i, time.Now())
			if n := len(storetest.Deliveries(t, s, e)); n != 1 {
				t.Errorf("%d deliveries after it was switched off, want 1", n)
			}
		})
	}
}

func TestAnEndpointIsSwitchedOffOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		e := whole(tenancy, i.ID)
		e.Enabled, e.DisabledReason, e.DisabledAt = true, "", time.Time{}
		if err := s.InsertEndpoint(t.Context(), e, nil); err != nil {
			t.Fatal(err)
		}
		at := time.Now().UTC().Truncate(time.Microsecond)
		since := at.Add(-time.Hour)
		if err := errors.Join(s.SetFailing(t.Context(), e, since), s.Disable(t.Context(), e, messaging.ReasonFailing, at),
			s.Disable(t.Context(), e, messaging.ReasonGone, at.Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
		e.Enabled, e.DisabledReason, e.DisabledAt, e.FailingSince = false, messaging.ReasonFailing, at, since
		got, err := s.Endpoint(t.Context(), tenancy, e.ID)
		if diff := cmp.Diff(e, got); err != nil || diff != "" {
			t.Errorf("stored: %v\n%s", err, diff)
		}
		events, err := s.Events(t.Context(), tenancy, messaging.EventFilter{Type: messaging.EventWebhookDisabled}, messaging.Page{Limit: 10})
		if err != nil || len(events) != 1 {
			t.Fatalf("%d events, %v", len(events), err)
		}
		want := messaging.Event{
			ID: events[0].ID, Sequence: 2, Type: messaging.EventWebhookDisabled, WorkspaceID: e.WorkspaceID, Environment: e.Environment,
			Timestamp: at, Webhook: &e.Webhook,
		}
		if diff := cmp.Diff(want, events[0]); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
		moved := e
		moved.URL += "/moved"
		if err := s.SetFailing(t.Context(), moved, at); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Endpoint(t.Context(), tenancy, e.ID); err != nil || !got.FailingSince.Equal(since) {
			t.Errorf("told of another URL: failing since %s, want %s, %v", got.FailingSince, since, err)
		}
		if err := s.SetFailing(t.Context(), e, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Endpoint(t.Context(), tenancy, e.ID); err != nil || !got.FailingSince.IsZero() {
			t.Errorf("failing since %s, %v", got.FailingSince, err)
		}
	})
}

// The answer to a commit may be lost. What it queued must not lie there until
// something else wakes the endpoint.
func TestDeliveriesOfACommitInDoubtAreTold(t *testing.T) {
	o := storetest.Options(t, "postgres")
	proxy := newCuttingProxy(t, o.DatabaseURL)
	o.DatabaseURL = proxy.url
	s := storetest.Open(t, o)
	w := newQueuedWorld(t, s)
	var told []string
	s.TellQueued(func(ids []string) { told = append(told, ids...) })
	proxy.cutAtCommit.Store(true)
	_, err := s.QueueTest(t.Context(), w.endpoint, noon)
	if err == nil || proxy.cutAtCommit.Load() {
		t.Fatalf("queued: %v, or no commit was cut", err)
	}
	if n := len(storetest.Deliveries(t, s, w.endpoint)); n != 1 || !slices.Equal(told, []string{w.endpoint.ID}) {
		t.Errorf("%d deliveries, told %v", n, told)
	}

	// And results that are in doubt are recorded.
	all := storetest.Deliveries(t, s, w.endpoint)
	proxy.cutAtCommit.Store(true)
	w.attempted(t, tried(all[0], "delivered"))
	if got := storetest.Deliveries(t, s, w.endpoint)[0]; got.State != "delivered" || proxy.cutAtCommit.Load() {
		t.Errorf("after a result in doubt: %+v", got)
	}
}
