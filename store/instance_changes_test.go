package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/instances"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// ask stores what an owner asks for.
func ask(t *testing.T, s *store.Store, i messaging.Instance, what messaging.Ask) messaging.Instance {
	t.Helper()
	i, err := s.ChangeInstance(t.Context(), i.WorkspaceID, i.Environment, i.ID, func(i *messaging.Instance) error {
		i.Desired, i.Ask, i.AskedAt, i.PairPhone = messaging.DesiredConnected, what, i.AskedAt.Add(time.Second), "5511912345678"
		return nil
	})
	if err != nil {
		t.Fatalf("ask: %v", err)
	}
	return i
}

// What is asked for survives the process, until the change that says that just
// this has been done.
func TestAnAskIsStoredUntilItIsDone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		i := storetest.Instance(t, s, storetest.Workspace(t, s, "w"), "one")
		first := ask(t, s, i, messaging.AskConnect)
		second := ask(t, s, i, messaging.AskRestart)
		if diff := cmp.Diff(second, find(t, s, i)); diff != "" || second.Ask != messaging.AskRestart || !second.AskedAt.After(first.AskedAt) {
			t.Errorf("stored: %+v\n%s", second, diff)
		}
		done := seen(i, messaging.InstanceConnected, "")
		done.Done = first.AskedAt
		if err := s.Report(t.Context(), done); err != nil || find(t, s, i).Ask != messaging.AskRestart {
			t.Errorf("ask is %q after an earlier one was done, %v", find(t, s, i).Ask, err)
		}
		done.Done = second.AskedAt
		if err := s.Report(t.Context(), done); err != nil {
			t.Fatal(err)
		}
		second.Ask = messaging.AskNothing
		if diff := cmp.Diff(second, find(t, s, i)); diff != "" {
			t.Errorf("when it is done: %s", diff)
		}
	})
}

// The manager must hear of what is no event too: else it would show a state,
// and wait for an ask, that are over.
func TestWhatIsNoEventIsToldToTheManager(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var events int
		var told []messaging.Instance
		s.Tell(func(c store.Committed) { events += len(c) })
		s.TellInstances(func(i messaging.Instance) { told = append(told, i) })
		i := ask(t, s, storetest.Instance(t, s, storetest.Workspace(t, s, "w"), "one"), messaging.AskConnect)
		events = 0

		silent := seen(i, messaging.InstanceConnecting, "")
		silent.Type = ""
		done := messaging.InstanceChange{WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, At: silent.At, Done: i.AskedAt}
		named := done
		named.Done, named.Linked = time.Time{}, &messaging.Link{ID: i.LinkedID, PushName: "Ana"}
		before := instanceEpoch(t, s)
		if err := s.Report(t.Context(), silent, done, named, silent, done, named, seen(i, messaging.InstanceConnected, "")); err != nil {
			t.Fatal(err)
		}
		want := make([]messaging.Instance, 4)
		want[0] = i
		want[0].State, want[0].StateSince = messaging.InstanceConnecting, silent.At
		want[1] = want[0]
		want[1].Ask = messaging.AskNothing
		want[2] = want[1]
		want[2].PushName = "Ana"
		want[3] = want[2]
		want[3].State, want[3].StateSince = messaging.InstanceConnected, told[len(told)-1].StateSince
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		if events != 1 {
			t.Errorf("%d events, want that of connected alone", events)
		}
		if instanceEpoch(t, s) == before {
			t.Error("other processes do not notice")
		}
		if diff := cmp.Diff(want[3], find(t, s, i)); diff != "" {
			t.Errorf("stored: %s", diff)
		}
	})
}

// A logout forgets the session and keeps the number, so that another number is
// noticed; and that is remembered until what waited has been failed.
func TestAnotherPhoneIsToldFromTheSame(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		i := storetest.Instance(t, s, storetest.Workspace(t, s, "w"), "one")
		out := seen(i, messaging.InstanceLoggedOut, messaging.ReasonDeviceRemoved)
		out.Linked, out.Undone = new(messaging.Link), true
		same := seen(i, messaging.InstanceConnected, "")
		same.Linked = &messaging.Link{ID: "session", Phone: i.Phone}
		if err := s.Report(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		if got := find(t, s, i); got.Linked() || got.Phone != i.Phone || got.Desired != messaging.DesiredDisconnected {
			t.Errorf("logged out: %+v", got)
		}
		if err := s.Report(t.Context(), same); err != nil || find(t, s, i).Relinked || find(t, s, i).LinkedID != "session" {
			t.Errorf("the same phone again: %+v, %v", find(t, s, i), err)
		}
		other := same
		other.Linked = &messaging.Link{ID: "other session", Phone: "5511900000000"}
		m := storetest.Message(i, "12025550001", "for the number before")
		place := accept(t, s, &m)
		if err := s.Report(t.Context(), out, other); err != nil || !find(t, s, i).Relinked {
			t.Errorf("another phone: %+v, %v", find(t, s, i), err)
		}
		m = storetest.Message(i, "12025550001", "for this one")
		accept(t, s, &m)
		if got := find(t, s, i).RelinkedPlace; got != place {
			t.Errorf("what waits for the number before ends at %d, want %d", got, place)
		}
		got, err := s.ChangeInstance(t.Context(), i.WorkspaceID, i.Environment, i.ID, func(i *messaging.Instance) error {
			i.Relinked = false
			return nil
		})
		if diff := cmp.Diff(got, find(t, s, i)); err != nil || got.Relinked || diff != "" {
			t.Errorf("when what waited has been failed: %+v, %v\n%s", got, err, diff)
		}
	})
}

// A code opens a phone's conversations to who scans it. It must not outlive its
// pairing, whoever ends that and however.
func TestAPairingCodeGoesWithItsPairing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		neighbour := pairing(storetest.Instance(t, s, tenancy, "neighbour"), "not mine")
		if err := s.ShowPairing(t.Context(), neighbour); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name string
			end  func() error
		}{
			{"hidden", func() error { return s.HidePairing(t.Context(), i.WorkspaceID, i.Environment, i.ID) }},
			{"paired", func() error { return s.Report(t.Context(), seen(i, messaging.InstanceConnected, "")) }},
			{"asked anew", func() error { ask(t, s, i, messaging.AskConnect); return nil }},
			{"deleted", func() error { return s.DeleteInstance(t.Context(), i) }},
		} {
			endsPairing(t, s, i, c.name, c.end)
		}
		if err := s.ShowPairing(t.Context(), pairing(i, "late")); err != nil {
			t.Errorf("show a late code: %v", err)
		}
		if got, err := s.FindPairing(t.Context(), i.WorkspaceID, i.Environment, i.ID); !errors.Is(err, instances.ErrNotPairing) {
			t.Errorf("a code of a deleted instance is shown: %+v, %v", got, err)
		}
		if got, err := s.FindPairing(t.Context(), neighbour.WorkspaceID, neighbour.Environment, neighbour.InstanceID); got != neighbour || err != nil {
			t.Errorf("the neighbour's code: %+v, %v", got, err)
		}
	})
}

func pairing(i messaging.Instance, qr string) messaging.Pairing {
	return messaging.Pairing{
		WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, QR: qr,
		ExpiresAt: time.Now().UTC().Truncate(time.Microsecond),
	}
}

func endsPairing(t *testing.T, s *store.Store, i messaging.Instance, name string, end func() error) {
	t.Helper()
	lookup := func() (messaging.Pairing, error) {
		return s.FindPairing(t.Context(), i.WorkspaceID, i.Environment, i.ID)
	}
	if err := s.Report(t.Context(), seen(i, messaging.InstanceDisconnected, name)); err != nil {
		t.Fatal(err)
	}
	for _, qr := range []string{"first", "second"} {
		want := pairing(i, qr)
		if err := s.ShowPairing(t.Context(), want); err != nil {
			t.Fatalf("%s: show: %v", name, err)
		}
		if err := s.Report(t.Context(), seen(i, messaging.InstancePairing, name)); err != nil {
			t.Fatal(err)
		}
		if got, err := lookup(); got != want || err != nil {
			t.Errorf("%s: found %+v, %v; want %+v", name, got, err, want)
		}
	}
	if err := end(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if got, err := lookup(); !errors.Is(err, instances.ErrNotPairing) {
		t.Errorf("%s: %+v, %v; want ErrNotPairing", name, got, err)
	}
}

// A database of the release before has instances without these columns. Its
// connected test instances have a phone, and must not ask for another one.
func TestInstancesOfTheFirstSchemaAreLinked(t *testing.T) {
	const insert = `INSERT INTO instances (workspace_id, environment, id, name, driver, desired, state, state_reason, state_since,
			state_until, phone, push_name, metadata, settings, created_at)
		VALUES ('w', $1, $2, $2, 'sandbox', 'connected', $3, '', 1, 0, $4, '', '{}', '{}', 1)`
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o, db, p := older(t, engine, 1)
			must := func(q string, args ...any) {
				t.Helper()
				if _, err := db.ExecContext(t.Context(), q, args...); err != nil {
					t.Fatal(err)
				}
			}
			must(`INSERT INTO workspaces (id, name, created_at) VALUES ('w', 'w', 1)`)
			must(insert, "test", "ins_connected", "connected", "15555550001")
			must(insert, "test", "ins_out", "logged_out", "15555550002")
			must(insert, "test", "ins_unpaired", "created", "")
			must(insert, "live", "ins_live", "created", "")

			all, err := storetest.Open(t, o).AllInstances(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			linked := make(map[string]string)
			for _, i := range all {
				linked[i.ID] = i.LinkedID
				if i.Ask != messaging.AskNothing || !i.AskedAt.IsZero() || i.Relinked {
					t.Errorf("%s: %+v", i.ID, i)
				}
			}
			want := map[string]string{"ins_connected": "15555550001", "ins_out": "", "ins_unpaired": "", "ins_live": ""}
			if diff := cmp.Diff(want, linked); diff != "" {
				t.Error(diff)
			}
			if _, err := p.DownTo(t.Context(), 1); err != nil {
				t.Errorf("back to the first schema: %v", err)
			}
		})
	}
}
