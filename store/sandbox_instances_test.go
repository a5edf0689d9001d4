package store_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// Only an instance that shows a code can be found by it, and only a test one.
func TestATestInstanceIsFoundByTheCodeThatItShows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		show := func(of messaging.Tenancy, name string, state messaging.InstanceState, qr string) messaging.Instance {
			i := storetest.NewInstance(of, name)
			i.State = state
			if err := s.InsertInstance(t.Context(), i, nil); err != nil {
				t.Fatal(err)
			}
			p := messaging.Pairing{WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, QR: qr, Code: "ABCD-1234"}
			if err := s.ShowPairing(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			return i
		}
		shown := show(tenancy, "shown", messaging.InstancePairing, "2@shown")
		show(tenancy, "connected", messaging.InstanceConnected, "2@connected")
		show(tenancy, "code", messaging.InstancePairing, "")
		show(liveOf(tenancy), "live", messaging.InstancePairing, "2@live")
		gone := show(tenancy, "gone", messaging.InstancePairing, "2@gone")
		if err := s.DeleteInstance(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		if got, err := s.InstanceShowing(t.Context(), "2@shown"); err != nil || got.ID != shown.ID {
			t.Errorf("%s, %v; want %s", got.ID, err, shown.ID)
		}
		for _, qr := range []string{"2@connected", "2@live", "2@gone", "2@none", ""} {
			if got, err := s.InstanceShowing(t.Context(), qr); !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("%q: %s, %v", qr, got.ID, err)
			}
		}
		all, err := s.TestInstances(t.Context(), tenancy.Workspace())
		if err != nil || len(all) != 3 || !slices.ContainsFunc(all, func(i messaging.Instance) bool { return i.ID == shown.ID }) {
			t.Errorf("test instances: %d, %v; want 3", len(all), err)
		}
	})
}

func TestRequestsWithASeedAreCountedSideBySide(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		one, two := storetest.Workspace(t, s, "one").Workspace(), storetest.Workspace(t, s, "two").Workspace()
		var mu sync.Mutex
		var wg sync.WaitGroup
		var got []int64
		for range 20 {
			wg.Go(func() {
				n, err := s.NextSeed(context.Background(), one, "s")
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				got = append(got, n)
			})
		}
		wg.Wait()
		slices.Sort(got)
		for n := range int64(20) {
			if got[n] != n {
				t.Fatalf("numbers %v", got)
			}
		}
		for _, c := range []struct {
			workspace, seed string
			want            int64
		}{{one, "t", 0}, {two, "s", 0}, {one, "s", 20}} {
			if n, err := s.NextSeed(t.Context(), c.workspace, c.seed); err != nil || n != c.want {
				t.Errorf("%s: %d, %v; want %d", c.seed, n, err, c.want)
			}
		}
	})
}
