package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/instances"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

func find(t *testing.T, s *store.Store, i messaging.Instance) messaging.Instance {
	t.Helper()
	got, err := s.FindInstance(t.Context(), i.WorkspaceID, i.Environment, i.ID)
	if err != nil {
		t.Fatalf("find %s: %v", i.Name, err)
	}
	return got
}

func instanceEpoch(t *testing.T, s *store.Store) int64 {
	t.Helper()
	epoch, err := s.InstanceEpoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return epoch
}

// seen is the record of another state of an instance.
func seen(i messaging.Instance, state messaging.InstanceState, reason string) messaging.InstanceChange {
	event := messaging.EventInstanceDisconnected
	if state == messaging.InstanceConnected {
		event = messaging.EventInstanceConnected
	}
	return messaging.InstanceChange{
		WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID,
		Type: event, State: state, Reason: reason, At: time.Now().UTC().Truncate(time.Microsecond),
	}
}

// Read, change and write are one step: nobody's change is lost.
func TestConcurrentChangesOfAnInstanceAreAllKept(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			s, beside := storetest.Open(t, o), storetest.Open(t, o)
			i := storetest.Instance(t, s, storetest.Workspace(t, s, "w"), "one")
			var callers sync.WaitGroup
			for n := range 40 {
				by := []*store.Store{s, beside}[n%2]
				callers.Go(func() {
					_, err := by.ChangeInstance(context.Background(), i.WorkspaceID, i.Environment, i.ID, func(i *messaging.Instance) error {
						i.Settings = append(i.Settings, ' ') // how often it was changed
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			callers.Wait()
			if got := len(find(t, s, i).Settings); got != len(i.Settings)+40 {
				t.Errorf("%d of 40 changes are stored", got-len(i.Settings))
			}
		})
	}
}

func TestAChangeReturnsWhatItStored(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i, other := storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "other")
		before := instanceEpoch(t, s)
		got, err := s.ChangeInstance(t.Context(), i.WorkspaceID, i.Environment, i.ID, func(i *messaging.Instance) error {
			i.Metadata, i.Settings = []byte(`{"a":1}`), []byte(`{"b":2}`)
			return nil
		})
		i.Metadata, i.Settings = []byte(`{"a":1}`), []byte(`{"b":2}`)
		if diff := cmp.Diff(i, got); diff != "" || err != nil {
			t.Errorf("returned: %v\n%s", err, diff)
		}
		if diff := cmp.Diff(i, find(t, s, i)); diff != "" {
			t.Errorf("stored: %s", diff)
		}
		if diff := cmp.Diff(other, find(t, s, other)); diff != "" {
			t.Errorf("another instance: %s", diff)
		}
		if after := instanceEpoch(t, s); after == before {
			t.Error("other processes do not notice")
		}
	})
}

func TestAChangeThatIsRefusedStoresNothing(t *testing.T) {
	refused := errors.New("refused")
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i, gone := storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "gone")
		if err := s.DeleteInstance(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		foreign := i
		foreign.WorkspaceID = storetest.Workspace(t, s, "other").Workspace()
		elsewhere := i
		elsewhere.Environment = messaging.Live
		before := instanceEpoch(t, s)
		for name, c := range map[string]struct {
			of   messaging.Instance
			want error
		}{
			"refused":           {i, refused},
			"deleted":           {gone, instances.ErrNotFound},
			"other workspace":   {foreign, instances.ErrNotFound},
			"other environment": {elsewhere, instances.ErrNotFound},
		} {
			_, err := s.ChangeInstance(t.Context(), c.of.WorkspaceID, c.of.Environment, c.of.ID, func(i *messaging.Instance) error {
				i.Metadata = []byte(`{"a":1}`)
				return refused
			})
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v; want %v", name, err, c.want)
			}
		}
		if diff := cmp.Diff(i, find(t, s, i)); diff != "" {
			t.Error(diff)
		}
		if after := instanceEpoch(t, s); after != before {
			t.Error("the epoch has moved for nothing")
		}
	})
}

// What a driver sees is stored, told once and noticed by other processes. The
// state that an instance has already is no news.
func TestAStateIsRecordedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var told []messaging.Event
		s.Tell(func(c store.Committed) { told = append(told, c...) })
		tenancy := storetest.Workspace(t, s, "w")
		i, gone := storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "gone")
		if err := s.DeleteInstance(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		told = nil
		before := instanceEpoch(t, s)
		lost := seen(i, messaging.InstanceDisconnected, "dropped")
		lost.Until = lost.At.Add(time.Hour)
		if err := s.Report(t.Context(), lost, lost, seen(gone, messaging.InstanceDisconnected, "dropped")); err != nil {
			t.Fatal(err)
		}
		i.State, i.StateReason, i.StateSince, i.StateUntil = lost.State, lost.Reason, lost.At, lost.Until
		if diff := cmp.Diff(i, find(t, s, i)); diff != "" {
			t.Errorf("stored: %s", diff)
		}
		if len(told) != 1 || told[0].Type != messaging.EventInstanceDisconnected || !cmp.Equal(*told[0].Instance, i) {
			t.Errorf("told: %+v", told)
		}
		after := instanceEpoch(t, s)
		if after == before {
			t.Error("other processes do not notice")
		}
		if err := s.Report(t.Context(), lost); err != nil || len(told) != 1 || instanceEpoch(t, s) != after {
			t.Errorf("again: %v, %d events, epoch moved: %v", err, len(told), instanceEpoch(t, s) != after)
		}
		events, err := s.Events(t.Context(), tenancy, messaging.EventFilter{InstanceID: i.ID}, messaging.Page{Limit: 10})
		if err != nil || len(events) != 2 || events[0].Type != messaging.EventInstanceDisconnected || !cmp.Equal(*events[0].Instance, i) {
			t.Errorf("events: %+v, %v", events, err)
		}
	})
}

// A batch may hold several states of several instances; the last one counts.
func TestStatesOfOneBatchAreAppliedInOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		one, two := storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "two")
		err := s.Report(t.Context(),
			seen(one, messaging.InstanceDisconnected, ""), seen(two, messaging.InstanceDisconnected, ""), seen(one, messaging.InstanceConnected, ""))
		if err != nil {
			t.Fatal(err)
		}
		if a, b := find(t, s, one).State, find(t, s, two).State; a != messaging.InstanceConnected || b != messaging.InstanceDisconnected {
			t.Errorf("one is %s, two is %s", a, b)
		}
	})
}

func TestADeletedInstanceIsFoundNoMore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		i.StateSince = time.Now()
		if err := s.DeleteInstance(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		for _, ref := range []string{i.ID, i.Name} {
			if _, err := s.FindInstance(t.Context(), i.WorkspaceID, i.Environment, ref); !errors.Is(err, instances.ErrNotFound) {
				t.Errorf("find %s: %v", ref, err)
			}
		}
		if all, err := s.AllInstances(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("AllInstances = %v, %v", all, err)
		}
		if err := s.DeleteInstance(t.Context(), i); !errors.Is(err, instances.ErrNotFound) {
			t.Errorf("delete again: %v", err)
		}
		storetest.Instance(t, s, tenancy, "one") // the name is free
	})
}

// A command line writes beside a server. Both lock the heads of the events and
// the epochs, and must do so in one order: the other order ends, on PostgreSQL,
// with one of the two being thrown out as a deadlock.
func TestACommandBesideAServerNeverDeadlocksWithIt(t *testing.T) {
	const rounds = 100
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			server, command := storetest.Open(t, o), storetest.Open(t, o)
			tenancy := storetest.Workspace(t, server, "w")
			i := storetest.Instance(t, server, tenancy, "one")
			var both sync.WaitGroup
			both.Go(func() {
				for n := range rounds {
					state := []messaging.InstanceState{messaging.InstanceDisconnected, messaging.InstanceConnected}[n%2]
					if err := server.Report(context.Background(), seen(i, state, "")); err != nil {
						t.Errorf("report %d: %v", n, err)
						return
					}
				}
			})
			both.Go(func() {
				for n := range rounds {
					made := storetest.NewInstance(tenancy, fmt.Sprint("n", n))
					if err := command.InsertInstance(context.Background(), made, nil); err != nil {
						t.Errorf("insert %d: %v", n, err)
						return
					}
					if err := command.DeleteInstance(context.Background(), made); err != nil {
						t.Errorf("delete %d: %v", n, err)
						return
					}
				}
			})
			both.Wait()
		})
	}
}
