package store_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/events/webhooks"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

func worldOf(tenancy messaging.Tenancy) messaging.World {
	return messaging.World{WorkspaceID: tenancy.Workspace(), Environment: tenancy.Environment()}
}

func TestTheJournalIsReadInOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w, empty := newQueuedWorld(t, s), storetest.Workspace(t, s, "empty")
		w.calls(t, 4, noon) // 2 to 5
		m := storetest.Message(w.instance, "15005550006", "x")
		accept(t, s, &m)
		foreign := storetest.Instance(t, s, storetest.Workspace(t, s, "other"), "one")
		world := worldOf(w.tenancy)

		listed, err := s.Events(t.Context(), w.tenancy, messaging.EventFilter{After: messaging.NewEventID(0, noon)}, messaging.Page{Limit: 10})
		if err != nil || len(listed) != 6 {
			t.Fatalf("%d events, %v", len(listed), err)
		}
		check := func(what string, want, got []messaging.Event, err error) {
			t.Helper()
			if diff := cmp.Diff(want, got, cmpEmpty); err != nil || diff != "" {
				t.Errorf("%s: %v\n%s", what, err, diff)
			}
		}
		got, err := s.EventsAfter(t.Context(), world, 0, 10)
		check("all", listed, got, err)
		got, err = s.EventsAfter(t.Context(), world, 3, 2)
		check("a page", listed[3:5], got, err)
		got, err = s.EventsAfter(t.Context(), world, 6, 2)
		check("the end", nil, got, err)
		got, err = s.EventsAt(t.Context(), world, []int64{6, 2, 77, 3})
		check("some", []messaging.Event{listed[1], listed[2], listed[5]}, got, err)
		got, err = s.EventsAt(t.Context(), world, nil)
		check("none", nil, got, err)
		for _, c := range []struct {
			of   messaging.World
			want int64
		}{{world, 6}, {worldOf(empty), 0}} {
			if head, err := s.EventHead(t.Context(), c.of); err != nil || head != c.want {
				t.Errorf("head %d, %v; want %d", head, err, c.want)
			}
		}
		worlds, err := s.Worlds(t.Context())
		known := map[messaging.World]bool{}
		for _, k := range worlds {
			known[k] = true
		}
		want := map[messaging.World]bool{world: true, {WorkspaceID: foreign.WorkspaceID, Environment: foreign.Environment}: true}
		if diff := cmp.Diff(want, known); err != nil || len(worlds) != 2 || diff != "" {
			t.Errorf("worlds: %v\n%s", err, diff)
		}
	})
}

func TestASinksCursorOnlyRises(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		one, two := worldOf(storetest.Workspace(t, s, "one")), worldOf(storetest.Workspace(t, s, "two"))
		var moves sync.WaitGroup
		for n := range 50 {
			for _, w := range []messaging.World{one, two} {
				moves.Go(func() {
					if err := s.MoveSinkCursor(t.Context(), "nats", w, int64(n)); err != nil {
						t.Errorf("move: %v", err)
					}
				})
			}
		}
		moves.Wait()
		if err := s.MoveSinkCursor(t.Context(), "nats", two, 7); err != nil {
			t.Fatal(err)
		}
		got, err := s.SinkCursors(t.Context(), "nats")
		if diff := cmp.Diff(map[messaging.World]int64{one: 49, two: 49}, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
		if got, err := s.SinkCursors(t.Context(), "other"); err != nil || len(got) != 0 {
			t.Errorf("another sink's: %v, %v", got, err)
		}
	})
}

// left returns the sequences of the events of a world that are kept.
func left(t *testing.T, s *store.Store, w messaging.World) []int64 {
	t.Helper()
	events, err := s.EventsAfter(t.Context(), w, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var out []int64
	for _, e := range events {
		out = append(out, e.Sequence)
	}
	return out
}

// An event is kept as long as it is promised, and as long as somebody is still
// to be told of it.
func TestEventsGoWhenEverybodyHasHadThem(t *testing.T) {
	const day = 24 * time.Hour
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			o.EventRetention = 10 * day
			s := storetest.Open(t, o)
			w, now := queuedWorldOf(t, s, liveOf(storetest.Workspace(t, s, "w"))), time.Now()
			world := worldOf(w.tenancy)
			change(t, o, `UPDATE events SET occurred_at = `+micros(now.Add(-15*day)))
			all := w.calls(t, 3, now.Add(-15*day))       // 2 to 4
			all = append(all, w.calls(t, 2, now)[3:]...) // 5 and 6
			w.calls(t, 1, now.Add(-15*day))              // 7: told late
			for _, d := range []int{0, 2, 3, 4} {        // 3 is pending, and 7
				w.attempted(t, tried(all[d], webhooks.Delivered))
			}
			sweep := func(at time.Time, want ...int64) {
				t.Helper()
				if err := s.Sweep(t.Context(), at); err != nil {
					t.Fatal(err)
				}
				wantSequences(t, left(t, s, world), want...)
			}
			if err := s.MoveSinkCursor(t.Context(), "nats", world, 1); err != nil {
				t.Fatal(err)
			}
			sweep(now.Add(-11*day), 1, 2, 3, 4, 5, 6, 7)
			sweep(now, 2, 3, 4, 5, 6, 7)
			if err := s.MoveSinkCursor(t.Context(), "nats", world, 6); err != nil {
				t.Fatal(err)
			}
			sweep(now, 3, 5, 6, 7)
			sweep(now.Add(11*day), 3, 7)
			w.attempted(t, tried(all[1], webhooks.Delivered))
			sweep(now.Add(11*day), 7)
			if err := s.MoveSinkCursor(t.Context(), "nats", world, 7); err != nil {
				t.Fatal(err)
			}
			sweep(now.Add(11*day), 7)
			if _, err := s.DeleteEndpoint(t.Context(), w.tenancy, w.endpoint.ID); err != nil {
				t.Fatal(err)
			}
			sweep(now.Add(11 * day))
			storetest.Called(t, s, w.instance, now) // 8: a sink that was switched off never has it
			sweep(now.Add(19*day), 8)
			sweep(now.Add(21 * day))
		})
	}
}

// liveOf is the live world of a workspace.
func liveOf(t messaging.Tenancy) messaging.Tenancy {
	return messaging.NewTenancy(t.Workspace(), messaging.Live, messaging.AllInstances())
}

// A retention that nobody has set is 30 days for live events.
func TestEventsAreKeptForThirtyDays(t *testing.T) {
	const day = 24 * time.Hour
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := liveOf(storetest.Workspace(t, s, "w"))
		storetest.Instance(t, s, tenancy, "one")
		for _, c := range []struct {
			age  time.Duration
			want int
		}{{29 * day, 1}, {31 * day, 0}} {
			if err := s.Sweep(t.Context(), time.Now().Add(c.age)); err != nil {
				t.Fatal(err)
			}
			if n := len(left(t, s, worldOf(tenancy))); n != c.want {
				t.Errorf("after %s: %d events, want %d", c.age, n, c.want)
			}
		}
	})
}

// Deliveries are kept for 30 days of the machine, wherever the clock of their
// world stands, and a deleted endpoint as long as its deliveries.
func TestDeliveriesAndDeletedEndpointsGoAfterThirtyDays(t *testing.T) {
	const day = 24 * time.Hour
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w, now := newQueuedWorld(t, s), time.Now()
		w.endpoint = storetest.Endpoint(t, s, w.tenancy)
		narrow := whole(w.tenancy, w.instance.ID)
		if err := s.InsertEndpoint(t.Context(), narrow, nil); err != nil {
			t.Fatal(err)
		}
		all := w.calls(t, 3, now.Add(365*day))
		w.attempted(t, tried(all[0], webhooks.Delivered), tried(all[1], webhooks.Failed))
		if _, err := s.DeleteEndpoint(t.Context(), w.tenancy, narrow.ID); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			age  time.Duration
			want int
		}{{0, 3}, {29 * day, 3}, {31 * day, 0}} {
			if err := s.Sweep(t.Context(), now.Add(c.age)); err != nil {
				t.Fatal(err)
			}
			if n := len(storetest.Deliveries(t, s, w.endpoint)); n != c.want {
				t.Errorf("after %s: %d deliveries, want %d", c.age, n, c.want)
			}
			// A new one under the id of the old shows whether the row is there.
			err := s.InsertEndpoint(t.Context(), narrow, nil)
			if gone := err == nil; gone != (c.age > 30*day) {
				t.Errorf("after %s: the deleted endpoint's row is gone: %t (%v)", c.age, gone, err)
			}
		}
	})
}
