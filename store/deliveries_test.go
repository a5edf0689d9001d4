package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/events/webhooks"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// noon is a time of a test world.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// queuedWorld is an endpoint of a test world, and an instance to happen things
// to.
type queuedWorld struct {
	s        *store.Store
	tenancy  messaging.Tenancy
	instance messaging.Instance
	endpoint webhooks.Endpoint
}

func newQueuedWorld(t *testing.T, s *store.Store) *queuedWorld {
	t.Helper()
	return queuedWorldOf(t, s, storetest.Workspace(t, s, "w"))
}

func queuedWorldOf(t *testing.T, s *store.Store, tenancy messaging.Tenancy) *queuedWorld {
	t.Helper()
	s.DeliverAs("me")
	w := &queuedWorld{s: s, tenancy: tenancy, instance: storetest.Instance(t, s, tenancy, "one")}
	w.endpoint = storetest.Endpoint(t, s, tenancy, func(e *webhooks.Endpoint) { e.Events = []string{"call.received"} })
	return w
}

// calls happens n times, a second apart from a time on, and returns all
// deliveries.
func (w *queuedWorld) calls(t *testing.T, n int, from time.Time) []webhooks.Delivery {
	t.Helper()
	for k := range n {
		storetest.Called(t, w.s, w.instance, from.Add(time.Duration(k)*time.Second))
	}
	return storetest.Deliveries(t, w.s, w.endpoint)
}

func (w *queuedWorld) attempted(t *testing.T, attempts ...webhooks.Attempt) {
	t.Helper()
	for _, a := range attempts {
		if err := w.s.Attempted(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
}

// later is a delivery after a try that has failed, with another to come.
func later(d webhooks.Delivery, due time.Time) webhooks.Attempt {
	a := tried(d, webhooks.Pending)
	a.Due = due
	return a
}

func TestTheQueueGivesWhatIsDue(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w, q := newQueuedWorld(t, s), s.DeliveryQueue()
		all := w.calls(t, 5, noon)
		w.attempted(t, later(all[0], noon.Add(time.Hour)), tried(all[2], webhooks.Delivered))
		s.DeliverAs("other")
		w.calls(t, 1, noon)

		due := func(now time.Time, limit int, want ...int) {
			t.Helper()
			got, err := q.Due(t.Context(), "me", w.endpoint.ID, now, limit)
			if diff := cmp.Diff(ids(all, want), idsOf(got)); err != nil || diff != "" {
				t.Errorf("due at %s: %v\n%s", now, err, diff)
			}
		}
		due(noon.Add(-time.Second), 10)
		due(noon.Add(3*time.Second), 10, 1, 3)
		due(noon.Add(time.Minute), 2, 1, 3)
		due(noon.Add(time.Hour), 10, 1, 3, 4, 0)
		waiting, err := q.Waiting(t.Context(), "me", w.endpoint.ID, 3)
		if diff := cmp.Diff(ids(all, []int{0, 1, 3}), idsOf(waiting)); err != nil || diff != "" {
			t.Errorf("waiting: %v\n%s", err, diff)
		}
		if next, err := q.NextDue(t.Context(), "me", w.endpoint.ID); err != nil || !next.Equal(noon.Add(time.Second)) {
			t.Errorf("next due %s, %v", next, err)
		}
		if next, err := q.NextDue(t.Context(), "nobody", w.endpoint.ID); err != nil || !next.IsZero() {
			t.Errorf("nobody's next due %s, %v", next, err)
		}
	})
}

func ids(all []webhooks.Delivery, at []int) []string {
	var out []string
	for _, n := range at {
		out = append(out, all[n].ID)
	}
	return out
}

func idsOf(found []webhooks.Delivery) []string {
	var out []string
	for _, d := range found {
		out = append(out, d.ID)
	}
	return out
}

func TestAnAttemptIsRecordedAsItWas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newQueuedWorld(t, s)
		all := w.calls(t, 4, noon)
		retried, delivered, failed := later(all[0], noon.Add(time.Hour)), tried(all[1], webhooks.Delivered), tried(all[2], webhooks.Failed)
		unwanted := webhooks.Attempt{Delivery: all[3], Unwanted: true}
		w.attempted(t, retried, delivered, failed, unwanted, unwanted)
		want := []webhooks.Delivery{retried.Delivery, delivered.Delivery, failed.Delivery}
		if diff := cmp.Diff(want, storetest.Deliveries(t, s, w.endpoint)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		got, err := s.Delivery(t.Context(), w.tenancy, w.endpoint.ID, all[1].ID)
		if diff := cmp.Diff(delivered.Delivery, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if _, err := s.Delivery(t.Context(), w.tenancy, w.endpoint.ID, all[3].ID); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("the unwanted one: %v", err)
		}
	})
}

// A stranger's answer may hold anything. Neither engine may refuse it: the
// result would be recorded never, and the event posted again and again.
func TestAnyAnswerCanBeRecorded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newQueuedWorld(t, s)
		a := tried(w.calls(t, 1, noon)[0], webhooks.Failed)
		a.Answer = "a\x00b\xff\u2028'"
		w.attempted(t, a)
		if got := storetest.Deliveries(t, s, w.endpoint)[0].Answer; got != "a\uFFFDb\uFFFD\u2028'" {
			t.Errorf("answer %q", got)
		}
	})
}

// Results come late, twice and from processes that were taken for gone.
func TestALateResultChangesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newQueuedWorld(t, s)
		d := w.calls(t, 1, noon)[0]
		first := later(d, noon.Add(time.Minute))
		second := later(first.Delivery, noon.Add(time.Hour))
		stranger := tried(second.Delivery, webhooks.Delivered)
		stranger.Node = "other"
		strange := webhooks.Attempt{Delivery: stranger.Delivery, Unwanted: true}
		w.attempted(t, first, second, first, stranger, strange)
		if diff := cmp.Diff([]webhooks.Delivery{second.Delivery}, storetest.Deliveries(t, s, w.endpoint)); diff != "" {
			t.Errorf("while it is pending (-want +got):\n%s", diff)
		}
		last := tried(second.Delivery, webhooks.Delivered)
		more := later(last.Delivery, noon.Add(2*time.Hour))
		w.attempted(t, last, more, tried(last.Delivery, webhooks.Failed), webhooks.Attempt{Delivery: last.Delivery, Unwanted: true})
		if diff := cmp.Diff([]webhooks.Delivery{last.Delivery}, storetest.Deliveries(t, s, w.endpoint)); diff != "" {
			t.Errorf("when it is delivered (-want +got):\n%s", diff)
		}
		gone := last
		gone.ID = messaging.NewID(messaging.DeliveryPrefix, time.Now())
		w.attempted(t, gone)
		if n := len(storetest.Deliveries(t, s, w.endpoint)); n != 1 {
			t.Errorf("%d deliveries, want 1", n)
		}
	})
}

// Many results share a commit, several of one delivery among them; each delivery
// ends as its own latest result says.
func TestManyResultsAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newQueuedWorld(t, s)
		all := w.calls(t, 120, noon)
		var results sync.WaitGroup
		want := make([]webhooks.Delivery, 0, len(all))
		for n, d := range all {
			first := later(d, noon.Add(time.Minute))
			attempts := []webhooks.Attempt{first, first, tried(first.Delivery, webhooks.Delivered)}
			switch n % 3 {
			case 0:
				attempts = []webhooks.Attempt{first, later(first.Delivery, noon.Add(time.Hour)), first}
				want = append(want, attempts[1].Delivery)
			case 1:
				want = append(want, attempts[2].Delivery)
			case 2:
				attempts = []webhooks.Attempt{{Delivery: d, Unwanted: true}, {Delivery: d, Unwanted: true}}
			}
			for _, a := range attempts {
				results.Go(func() {
					if err := s.Attempted(t.Context(), a); err != nil {
						t.Errorf("attempted: %v", err)
					}
				})
			}
		}
		for n := range 20 {
			results.Go(func() { storetest.Called(t, s, w.instance, noon.Add(time.Duration(n)*time.Hour)) })
		}
		results.Wait()
		got := storetest.Deliveries(t, s, w.endpoint)
		if len(got) != len(want)+20 {
			t.Fatalf("%d deliveries, want %d", len(got), len(want)+20)
		}
		if diff := cmp.Diff(want, got[:len(want)]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestDeliveriesAreListedFromBothEnds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newQueuedWorld(t, s)
		all := w.calls(t, 6, noon)
		w.attempted(t, tried(all[1], webhooks.Failed), tried(all[4], webhooks.Failed))
		for name, c := range map[string]struct {
			filter webhooks.DeliveryFilter
			page   messaging.Page
			want   []int
		}{
			"newest first":  {webhooks.DeliveryFilter{}, messaging.Page{Limit: 2}, []int{5, 4, 3}},
			"the next page": {webhooks.DeliveryFilter{}, messaging.Page{Limit: 2, Cursor: all[4].ID}, []int{3, 2, 1}},
			"of a state":    {webhooks.DeliveryFilter{State: webhooks.Failed}, messaging.Page{Limit: 5}, []int{4, 1}},
			"behind one":    {webhooks.DeliveryFilter{After: all[1].ID}, messaging.Page{Limit: 2}, []int{2, 3, 4}},
			"its next page": {webhooks.DeliveryFilter{After: all[1].ID}, messaging.Page{Limit: 2, Cursor: all[3].ID}, []int{4, 5}},
		} {
			got, err := s.Deliveries(t.Context(), w.tenancy, w.endpoint.ID, c.filter, c.page)
			if diff := cmp.Diff(ids(all, c.want), idsOf(got)); err != nil || diff != "" {
				t.Errorf("%s: %v\n%s", name, err, diff)
			}
		}
		for _, f := range []webhooks.DeliveryFilter{{After: "evt_1"}, {After: "'"}} {
			if _, err := s.Deliveries(t.Context(), w.tenancy, w.endpoint.ID, f, messaging.Page{Limit: 2}); !errors.Is(err, fault.ErrBadRequest) {
				t.Errorf("%v: %v", f, err)
			}
		}
		other := storetest.Workspace(t, s, "other")
		if _, err := s.Delivery(t.Context(), other, w.endpoint.ID, all[0].ID); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("another workspace: %v", err)
		}
	})
}
