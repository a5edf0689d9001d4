package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/events/webhooks"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

func TestATestIsToldToItsEndpointAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newQueuedWorld(t, s)
		storetest.Endpoint(t, s, w.tenancy)
		got, err := s.QueueTest(t.Context(), w.endpoint, noon)
		if err != nil {
			t.Fatal(err)
		}
		events, err := s.EventsAt(t.Context(), got.World, []int64{got.Sequence})
		if err != nil || len(events) != 1 {
			t.Fatalf("%d events, %v", len(events), err)
		}
		want := webhooks.Delivery{
			World: got.World, ID: got.ID, WebhookID: w.endpoint.ID, Sequence: 2, EventID: events[0].ID, EventType: messaging.EventWebhookTest,
			Direct: true, Node: "me", CreatedAt: noon, State: webhooks.Pending, Due: noon,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("returned (-want +got):\n%s", diff)
		}
		all, err := s.AllEndpoints(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			var want []webhooks.Delivery
			if e.ID == w.endpoint.ID {
				want = []webhooks.Delivery{got}
			}
			if diff := cmp.Diff(want, storetest.Deliveries(t, s, e), cmpEmpty); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		}
		if diff := cmp.Diff(&w.endpoint.Webhook, events[0].Webhook); diff != "" || events[0].Type != messaging.EventWebhookTest {
			t.Errorf("event %s: %s", events[0].Type, diff)
		}
	})
}

func TestADeliveryIsRepeatedOnceItHasEnded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newQueuedWorld(t, s)
		d := w.calls(t, 1, noon)[0]
		if _, err := s.QueueReplay(t.Context(), d, noon); !errors.Is(err, webhooks.ErrNotDelivered) {
			t.Errorf("while it is pending: %v", err)
		}
		done := tried(d, webhooks.Delivered)
		w.attempted(t, done)
		at := noon.Add(time.Hour)
		got, err := s.QueueReplay(t.Context(), done.Delivery, at)
		want := d
		want.ID, want.Direct, want.CreatedAt, want.Due = got.ID, true, at, at
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("returned: %v\n%s", err, diff)
		}
		if diff := cmp.Diff([]webhooks.Delivery{done.Delivery, want}, storetest.Deliveries(t, s, w.endpoint)); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
		done.ID = "dlv_none"
		if _, err := s.QueueReplay(t.Context(), done.Delivery, at); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("of what is gone: %v", err)
		}
	})
}

// replayed asks for a range and returns which events were queued.
func (w *queuedWorld) replayed(t *testing.T, r webhooks.Range, limit int, want webhooks.Replayed) []int64 {
	t.Helper()
	before := len(storetest.Deliveries(t, w.s, w.endpoint))
	got, err := w.s.QueueReplays(t.Context(), w.endpoint, r, noon.Add(24*time.Hour), limit)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%+v: %v\n%s", r, err, diff)
	}
	var sequences []int64
	for _, d := range storetest.Deliveries(t, w.s, w.endpoint)[before:] {
		if d.Direct == r.All || d.State != webhooks.Pending || !d.Due.Equal(noon.Add(24*time.Hour)) || d.Node != "me" {
			t.Errorf("queued %+v", d)
		}
		sequences = append(sequences, d.Sequence)
	}
	return sequences
}

func wantSequences(t *testing.T, got []int64, want ...int64) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpEmpty); diff != "" {
		t.Errorf("sequences (-want +got):\n%s", diff)
	}
}

func TestARangeOfEventsIsTakenByTheirTime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newQueuedWorld(t, s)
		w.calls(t, 4, noon)                  // sequences 2 to 5, at 0 to 3 s
		w.calls(t, 1, noon.Add(time.Second)) // 6: told late
		other := storetest.Instance(t, s, w.tenancy, "other")
		storetest.Called(t, s, other, noon.Add(2*time.Second)) // 8
		sec := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Second) }
		all := webhooks.Range{Since: sec(1), Until: sec(2), All: true}
		wantSequences(t, w.replayed(t, all, 10, webhooks.Replayed{Queued: 4}), 3, 4, 6, 8)
		wantSequences(t, w.replayed(t, all, 4, webhooks.Replayed{Queued: 4}), 3, 4, 6, 8)
		wantSequences(t, w.replayed(t, all, 2, webhooks.Replayed{Queued: 2, More: true, Last: sec(2)}), 3, 4)
		wantSequences(t, w.replayed(t, webhooks.Range{Since: sec(3), All: true}, 10, webhooks.Replayed{Queued: 1}), 5)
		wantSequences(t, w.replayed(t, webhooks.Range{Since: sec(9), Until: sec(20), All: true}, 10, webhooks.Replayed{}))

		// It need not be switched on for that, and is told only of its own.
		e, err := s.ChangeEndpoint(t.Context(), w.tenancy, w.endpoint.ID, func(e *webhooks.Endpoint) error {
			e.Enabled, e.Instances = false, []string{other.ID}
			return nil
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.endpoint = e
		wantSequences(t, w.replayed(t, all, 10, webhooks.Replayed{Queued: 1}), 8)
	})
}

// Of what failed, only that is repeated which the endpoint does not have and is
// not about to get.
func TestARangeOfFailuresIsWhatTheEndpointStillLacks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newQueuedWorld(t, s)
		all := w.calls(t, 6, noon) // sequences 2 to 7
		w.attempted(t, tried(all[0], webhooks.Delivered))
		for _, d := range all[1:5] {
			w.attempted(t, tried(d, webhooks.Failed))
		}
		again := func(d webhooks.Delivery, state webhooks.DeliveryState) {
			t.Helper()
			repeat, err := s.QueueReplay(t.Context(), d, noon.Add(time.Second))
			if err != nil {
				t.Fatal(err)
			}
			if state != webhooks.Pending {
				w.attempted(t, tried(repeat, state))
			}
		}
		again(all[0], webhooks.Failed) // has it, but asked for it once more
		again(all[1], webhooks.Delivered)
		again(all[2], webhooks.Failed) // twice: one is enough
		again(all[3], webhooks.Pending)
		early := webhooks.Range{Since: noon, Until: noon.Add(2 * time.Second)}
		wantSequences(t, w.replayed(t, early, 1, webhooks.Replayed{Queued: 1, More: true, Last: noon.Add(time.Second)}), 2)
		wantSequences(t, w.replayed(t, early, 10, webhooks.Replayed{Queued: 1}), 4)
		wantSequences(t, w.replayed(t, webhooks.Range{}, 10, webhooks.Replayed{Queued: 1}), 6)
		wantSequences(t, w.replayed(t, webhooks.Range{}, 10, webhooks.Replayed{}))
	})
}

// An endpoint that was narrowed must not be told of other instances by a replay.
func TestFailuresOfOtherInstancesAreNotRepeated(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := newQueuedWorld(t, s)
		other := storetest.Instance(t, s, w.tenancy, "other")
		storetest.Called(t, s, other, noon) // 3
		all := w.calls(t, 1, noon)          // 4
		for _, d := range all {
			w.attempted(t, tried(d, webhooks.Failed))
		}
		w.endpoint.Instances = []string{w.instance.ID}
		wantSequences(t, w.replayed(t, webhooks.Range{}, 10, webhooks.Replayed{Queued: 1}), 4)
	})
}

// A range of many events is found without looking through the whole world, and
// queued in parts.
func TestALongRangeIsQueuedInParts(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			s := storetest.Open(t, o)
			w := newQueuedWorld(t, s)
			// 30,000 events a second apart; every hundredth came an hour late.
			change(t, o, `WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < 30001)
				INSERT INTO events (workspace_id, environment, sequence, id, type, instance_id, message_id, occurred_at, data)
				SELECT h.workspace_id, h.environment, n, 'evt_' || n, 'call.received', '`+w.instance.ID+`', '',
					`+micros(noon)+` + (n - CASE WHEN n % 100 = 0 THEN 3600 ELSE 0 END) * CAST(1000000 AS BIGINT), '{}' FROM event_heads h CROSS JOIN n`)
			var commits int
			s.TellQueued(func([]string) { commits++ })
			from := noon.Add(25_000 * time.Second)
			got, err := s.QueueReplays(t.Context(), w.endpoint, webhooks.Range{Since: from, Until: from.Add(1999 * time.Second), All: true}, noon, 5000)
			// Those that lie an hour behind their time are found beyond the range or not at all.
			if err != nil || got.Queued < 1980 || got.Queued > 2000 || got.More || commits < 4 {
				t.Errorf("%+v in %d commits, %v", got, commits, err)
			}
			seen := make(map[int64]bool)
			for _, d := range storetest.Deliveries(t, s, w.endpoint) {
				seen[d.Sequence] = true
			}
			for n := int64(25_000); n < 27_000; n++ {
				if want := n%100 != 0; seen[n] != want {
					t.Fatalf("event %d queued: %t, want %t", n, seen[n], want)
				}
			}
		})
	}
}
