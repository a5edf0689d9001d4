package store_test

import (
	"slices"
	"testing"
	"time"

	"portaria/messaging"
	"portaria/sandbox"
	"portaria/store"
	"portaria/store/storetest"
)

func TestWhatIsOwedForAnInstanceIsForgotten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		one, two := storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "two")
		var batch []sandbox.Carried
		for n := range 600 { // more than a page
			name := messaging.NewWAMessageID()
			batch = append(batch, carried(one, name, time.Now()))
			if n%300 == 0 {
				batch = append(batch, carried(two, name, time.Now()))
			}
		}
		if _, err := s.Carry(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if err := s.SettleInstance(t.Context(), one.ID); err != nil {
			t.Fatal(err)
		}
		owed, err := s.Owed(t.Context(), sandbox.CarriageKey{}, 10)
		if err != nil || len(owed) != 2 || owed[0].InstanceID != two.ID || owed[1].InstanceID != two.ID {
			t.Errorf("%d are owed, %v; want 2 of the other instance", len(owed), err)
		}
		if all, err := s.Carriages(t.Context(), tenancy, one.ID, messaging.Page{Limit: 1000}); err != nil || len(all) != 600 {
			t.Errorf("%d carriages, %v; want 600", len(all), err)
		}
	})
}

// A run's clock may be ahead of its workspace's, by which webhooks wait.
func TestTestDeliveriesDoNotWaitForARunsClock(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		var asked []string
		known := true
		s.TestNow(func(workspace string) (time.Time, bool) {
			asked = append(asked, workspace)
			return now, known
		})
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		storetest.Called(t, s, i, now.Add(time.Hour))
		if len(asked) != 0 {
			t.Errorf("asked %v though nobody hears", asked)
		}
		w := queuedWorldOf(t, s, storetest.Workspace(t, s, "heard"))
		live := queuedWorldOf(t, s, liveOf(storetest.Workspace(t, s, "live")))
		for _, c := range []struct {
			known    bool
			at, want time.Duration
		}{{true, time.Hour, 0}, {true, -time.Hour, -time.Hour}, {false, time.Hour, time.Hour}} {
			known, asked = c.known, nil
			all := w.calls(t, 1, now.Add(c.at))
			if got := all[len(all)-1]; !got.Due.Equal(now.Add(c.want)) || !slices.Equal(asked, []string{w.tenancy.Workspace()}) {
				t.Errorf("an event at %s, clock known %t: due %s behind now, asked for %v; want %s", c.at, c.known, got.Due.Sub(now), asked, c.want)
			}
		}
		asked = nil
		if all := live.calls(t, 1, now.Add(time.Hour)); len(asked) != 0 || all[0].Due.After(time.Now()) {
			t.Errorf("a live delivery is due at %s, asked for %v", all[0].Due, asked)
		}
	})
}
