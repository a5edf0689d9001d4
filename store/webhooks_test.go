package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/events/webhooks"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// whole is an endpoint with every field set.
func whole(tenancy messaging.Tenancy, instances ...string) webhooks.Endpoint {
	e := storetest.NewEndpoint(tenancy)
	e.Description, e.Events, e.Instances = "the shop", []string{"message.*", "call.received"}, instances
	e.Chats, e.Ordered, e.Enabled = messaging.GroupChats, true, false
	e.MaxAttempts, e.Schedule = 3, []time.Duration{0, 5 * time.Second, time.Hour}
	e.DisabledReason, e.DisabledAt, e.FailingSince = messaging.ReasonGone, e.CreatedAt.Add(time.Hour), e.CreatedAt.Add(time.Minute)
	e.PreviousSecret, e.SecretRotatedUntil = "before", e.CreatedAt.Add(2*time.Hour)
	return e
}

func TestAnEndpointIsReadBackAsItWasStored(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy, other := storetest.Workspace(t, s, "w"), storetest.Workspace(t, s, "other")
		a, b := storetest.Instance(t, s, tenancy, "a"), storetest.Instance(t, s, tenancy, "b")
		plain := storetest.Endpoint(t, s, tenancy)
		narrow := whole(tenancy, a.ID, b.ID)
		nowhere := storetest.NewEndpoint(tenancy)
		nowhere.Instances = []string{}
		want := []webhooks.Endpoint{plain, narrow, nowhere}
		for _, e := range want[1:] {
			if err := s.InsertEndpoint(t.Context(), e, nil); err != nil {
				t.Fatal(err)
			}
		}
		foreign := storetest.Endpoint(t, s, other)

		for _, e := range want {
			got, err := s.Endpoint(t.Context(), tenancy, e.ID)
			if diff := cmp.Diff(e, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		}
		if _, err := s.Endpoint(t.Context(), tenancy, foreign.ID); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("another workspace's: %v", err)
		}
		byID := func(a, b webhooks.Endpoint) int { return strings.Compare(b.ID, a.ID) }
		slices.SortFunc(want, byID)
		first, err := s.Endpoints(t.Context(), tenancy, messaging.Page{Limit: 1})
		if diff := cmp.Diff(want[:2], first); err != nil || diff != "" {
			t.Errorf("first page: %v\n%s", err, diff)
		}
		rest, err := s.Endpoints(t.Context(), tenancy, messaging.Page{Limit: 5, Cursor: want[0].ID})
		if diff := cmp.Diff(want[1:], rest); err != nil || diff != "" {
			t.Errorf("second page: %v\n%s", err, diff)
		}
		if all, err := s.AllEndpoints(t.Context()); err != nil || len(all) != 4 {
			t.Errorf("all: %d, %v", len(all), err)
		}
	})
}

// A key that is locked to some instances must not learn of an endpoint that is
// told of any other, nor of what it was told.
func TestALockedTenancySeesWhatLiesWhollyInside(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		a, b, c := storetest.Instance(t, s, tenancy, "a"), storetest.Instance(t, s, tenancy, "b"), storetest.Instance(t, s, tenancy, "c")
		narrowed := func(ids ...string) string {
			return storetest.Endpoint(t, s, tenancy, func(e *webhooks.Endpoint) { e.Instances = ids }).ID
		}
		storetest.Endpoint(t, s, tenancy) // for all instances
		inA, inB, inAB, inABC := narrowed(a.ID), narrowed(b.ID), narrowed(a.ID, b.ID), narrowed(a.ID, b.ID, c.ID)
		storetest.Endpoint(t, s, tenancy, func(e *webhooks.Endpoint) { e.Instances = []string{} })
		for name, want := range map[string]struct {
			ids  []string
			sees []string
		}{
			"one":     {[]string{a.ID}, []string{inA}},
			"two":     {[]string{a.ID, b.ID}, []string{inA, inB, inAB}},
			"three":   {[]string{a.ID, b.ID, c.ID}, []string{inA, inB, inAB, inABC}},
			"nothing": {nil, nil},
		} {
			locked := messaging.NewTenancy(tenancy.Workspace(), tenancy.Environment(), messaging.OnlyInstances(want.ids...))
			found, err := s.Endpoints(t.Context(), locked, messaging.Page{Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range found {
				got = append(got, e.ID)
			}
			slices.Sort(got)
			slices.Sort(want.sees)
			if diff := cmp.Diff(want.sees, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			_, err = s.Endpoint(t.Context(), locked, inABC)
			_, changeErr := s.ChangeEndpoint(t.Context(), locked, inABC, func(*webhooks.Endpoint) error { return nil }, nil)
			if hidden := len(want.ids) < 3; errors.Is(err, fault.ErrNotFound) != hidden || errors.Is(changeErr, fault.ErrNotFound) != hidden {
				t.Errorf("%s: found: %v, changed: %v", name, err, changeErr)
			}
		}
	})
}

// An endpoint that was told of another instance before it was narrowed: what it
// was told then stays closed to who may see it now.
func TestWhatAnEndpointWasToldOfOtherInstancesStaysClosed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		a, b := storetest.Instance(t, s, tenancy, "a"), storetest.Instance(t, s, tenancy, "b")
		e := storetest.Endpoint(t, s, tenancy)
		storetest.Called(t, s, a, time.Now())
		storetest.Called(t, s, b, time.Now())
		if _, err := s.QueueTest(t.Context(), e, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ChangeEndpoint(t.Context(), tenancy, e.ID, func(e *webhooks.Endpoint) error {
			e.Instances = []string{a.ID}
			return nil
		}, nil); err != nil {
			t.Fatal(err)
		}
		locked := messaging.NewTenancy(tenancy.Workspace(), tenancy.Environment(), messaging.OnlyInstances(a.ID))
		seen, err := s.Deliveries(t.Context(), locked, e.ID, webhooks.DeliveryFilter{}, messaging.Page{Limit: 10})
		if err != nil || len(seen) != 2 || seen[0].EventType != messaging.EventWebhookTest || seen[1].InstanceID != a.ID {
			t.Errorf("sees %+v, %v; want the test and the call to a", seen, err)
		}
		of := storetest.Deliveries(t, s, e)[1]
		if _, err := s.Delivery(t.Context(), locked, e.ID, of.ID); of.InstanceID != b.ID || !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("that of b: %v", err)
		}
	})
}

func TestAnEndpointIsChangedAsAWhole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		a := storetest.Instance(t, s, tenancy, "a")
		e := storetest.Endpoint(t, s, tenancy)
		want := whole(tenancy, a.ID)
		want.ID, want.CreatedAt = e.ID, e.CreatedAt
		before := endpointEpoch(t, s)
		claim := messaging.Claim{Scope: "s", RequestHash: "h", Status: 200, Body: []byte(e.ID)}
		change := func(e *webhooks.Endpoint) error {
			*e = want
			e.ID, e.WorkspaceID, e.Environment, e.CreatedAt = "whk_other", "wsp_other", messaging.Live, time.Time{}
			return nil
		}
		got, err := s.ChangeEndpoint(t.Context(), tenancy, e.ID, change, func(webhooks.Endpoint) (*messaging.Claim, error) { return &claim, nil })
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("returned: %v\n%s", err, diff)
		}
		stored, err := s.Endpoint(t.Context(), tenancy, e.ID)
		if diff := cmp.Diff(want, stored); err != nil || diff != "" {
			t.Errorf("stored: %v\n%s", err, diff)
		}
		if kept, ok, err := s.Claimed(t.Context(), tenancy, "s"); err != nil || !ok || string(kept.Body) != e.ID {
			t.Errorf("claim: %s, %t, %v", kept.Body, ok, err)
		}
		if endpointEpoch(t, s) == before {
			t.Error("other processes do not notice")
		}
		refused := errors.New("refused")
		for name, c := range map[string]struct {
			change func(*webhooks.Endpoint) error
			claim  func(webhooks.Endpoint) (*messaging.Claim, error)
			want   error
		}{
			"refused":             {func(e *webhooks.Endpoint) error { e.URL = "x"; return refused }, nil, refused},
			"no claim":            {urlTo("x"), func(webhooks.Endpoint) (*messaging.Claim, error) { return nil, refused }, refused},
			"another one's claim": {urlTo("x"), func(webhooks.Endpoint) (*messaging.Claim, error) { return &claim, nil }, store.ErrIdempotencyRace},
			"no such instance": {
				func(e *webhooks.Endpoint) error { e.Instances = []string{"ins_none"}; return nil }, nil, fault.ErrValidation,
			},
		} {
			if _, err := s.ChangeEndpoint(t.Context(), tenancy, e.ID, c.change, c.claim); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		stored, err = s.Endpoint(t.Context(), tenancy, e.ID)
		if diff := cmp.Diff(want, stored); err != nil || diff != "" {
			t.Errorf("after what was refused: %v\n%s", err, diff)
		}
	})
}

func urlTo(url string) func(*webhooks.Endpoint) error {
	return func(e *webhooks.Endpoint) error { e.URL = url; return nil }
}

func endpointEpoch(t *testing.T, s *store.Store) int64 {
	t.Helper()
	n, err := s.EndpointEpoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAWorldHasOnlySoManyEndpoints(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		var last webhooks.Endpoint
		for range webhooks.MaxEndpoints {
			last = storetest.Endpoint(t, s, tenancy)
		}
		claim := messaging.Claim{Scope: "s", RequestHash: "h", Status: 201, Body: []byte("{}")}
		one := storetest.NewEndpoint(tenancy)
		if err := s.InsertEndpoint(t.Context(), one, &claim); !errors.Is(err, webhooks.ErrTooMany) {
			t.Errorf("one more: %v", err)
		}
		storetest.Endpoint(t, s, storetest.Workspace(t, s, "other"))
		if _, err := s.DeleteEndpoint(t.Context(), tenancy, last.ID); err != nil {
			t.Fatal(err)
		}
		if err := s.InsertEndpoint(t.Context(), one, &claim); err != nil {
			t.Errorf("after one was deleted: %v", err)
		}
		if err := s.InsertEndpoint(t.Context(), storetest.NewEndpoint(tenancy), &claim); !errors.Is(err, store.ErrIdempotencyRace) {
			t.Errorf("under a claim that is taken: %v", err)
		}
	})
}

func TestADeletedEndpointIsGoneWithWhatIsPending(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		e, stays := storetest.Endpoint(t, s, tenancy), storetest.Endpoint(t, s, tenancy)
		s.DeliverAs("one")
		storetest.Called(t, s, i, time.Now())
		s.DeliverAs("two")
		storetest.Called(t, s, i, time.Now())
		got, err := s.DeleteEndpoint(t.Context(), tenancy, e.ID)
		if diff := cmp.Diff(e, got); err != nil || diff != "" {
			t.Errorf("returned: %v\n%s", err, diff)
		}
		storetest.Called(t, s, i, time.Now())

		_, findErr := s.Endpoint(t.Context(), tenancy, e.ID)
		_, deleteErr := s.DeleteEndpoint(t.Context(), tenancy, e.ID)
		_, changeErr := s.ChangeEndpoint(t.Context(), tenancy, e.ID, urlTo("x"), nil)
		_, listErr := s.Deliveries(t.Context(), tenancy, e.ID, webhooks.DeliveryFilter{}, messaging.Page{Limit: 1})
		_, testErr := s.QueueTest(t.Context(), e, time.Now())
		_, rangeErr := s.QueueReplays(t.Context(), e, webhooks.Range{All: true}, time.Now(), 10)
		for what, err := range map[string]error{
			"find": findErr, "delete": deleteErr, "change": changeErr, "list": listErr, "test": testErr, "replay": rangeErr,
		} {
			if !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if all, err := s.AllEndpoints(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("all: %d, %v", len(all), err)
		}
		if err := errors.Join(s.SetFailing(t.Context(), e, time.Now()), s.Disable(t.Context(), e, "gone", time.Now())); err != nil {
			t.Errorf("what comes late: %v", err)
		}
		for _, node := range []string{"one", "two"} {
			left, err := s.DeliveryQueue().Waiting(t.Context(), node, e.ID, 10)
			if err != nil || len(left) != 0 {
				t.Errorf("%d pending of %s left, %v", len(left), node, err)
			}
		}
		if n := len(storetest.Deliveries(t, s, stays)); n != 3 {
			t.Errorf("%d deliveries of the other one, want 3", n)
		}
	})
}
