package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/sandbox"
	"portaria/sandbox/runs"
	"portaria/store"
	"portaria/store/storetest"
)

// newRun makes a run on an instance that has begun and is not stored.
func newRun(i messaging.Instance, own bool) runs.Run {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return runs.Run{
		ID: messaging.NewID(messaging.RunPrefix, now), WorkspaceID: i.WorkspaceID, InstanceID: i.ID, OwnInstance: own, Lineage: "key_1",
		Name: "happy way", State: runs.Running, StartedAt: now, Report: runs.Report{Began: now.Add(time.Hour)},
	}
}

// ended is a run with all that can come of one.
func ended(r runs.Run) runs.Run {
	r.State, r.Passed, r.EndedAt = runs.Ended, true, r.StartedAt.Add(3*time.Second)
	r.Report = runs.Report{Began: r.Began, Elapsed: 36 * time.Hour, Steps: []runs.StepReport{
		{Kind: runs.Send, Passed: true, Took: time.Microsecond, MessageID: "msg_1", Events: []runs.Happening{
			{ID: "evt_1", Type: messaging.EventMessageReceived, At: time.Nanosecond, MessageID: "msg_1", Says: "olá"},
		}},
		{Kind: runs.Expect, Skipped: true, At: time.Second, Met: "evt_1", Problem: &runs.Problem{Code: "X", Message: "y"}},
	}}
	return r
}

func insertRun(t *testing.T, s *store.Store, r runs.Run) {
	t.Helper()
	if err := s.InsertRun(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func TestARunIsReadAsItWasStored(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		begun, other := newRun(i, false), newRun(i, true)
		insertRun(t, s, begun)
		insertRun(t, s, other)
		if err := s.InsertRun(ctx, begun); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("the same run again: %v", err)
		}
		read := func(want runs.Run) {
			t.Helper()
			got, err := s.FindRun(ctx, tenancy, want.ID)
			if diff := cmp.Diff(got, want, cmpEmpty); err != nil || diff != "" {
				t.Errorf("%v (-got +want):\n%s", err, diff)
			}
		}
		read(begun)
		over := ended(begun)
		if err := s.EndRun(ctx, over); err != nil {
			t.Fatal(err)
		}
		read(over)
		late := begun
		late.State, late.EndedAt = runs.Aborted, begun.StartedAt.Add(time.Hour)
		if err := s.EndRun(ctx, late); err != nil {
			t.Fatal(err)
		}
		read(over)
		open, err := s.OpenRuns(ctx)
		if diff := cmp.Diff(open, []runs.Run{other}, cmpEmpty); err != nil || diff != "" {
			t.Errorf("open: %v (-got +want):\n%s", err, diff)
		}
		if err := s.EndRun(ctx, newRun(i, false)); err != nil {
			t.Errorf("end of a run that is gone: %v", err)
		}
	})
}

// A key that is locked to instances sees the runs of these alone.
func TestARunIsSeenByWhoSeesItsInstance(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		one, two := storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "two")
		r := newRun(one, false)
		insertRun(t, s, r)
		only := func(env messaging.Environment, ids ...string) messaging.Tenancy {
			return messaging.NewTenancy(tenancy.Workspace(), env, messaging.OnlyInstances(ids...))
		}
		for name, c := range map[string]struct {
			tenancy messaging.Tenancy
			sees    bool
		}{
			"all":               {tenancy, true},
			"its own":           {only(messaging.Test, two.ID, one.ID), true},
			"another":           {only(messaging.Test, two.ID), false},
			"none":              {only(messaging.Test), false},
			"live":              {only(messaging.Live, one.ID), false},
			"another workspace": {storetest.Workspace(t, s, "v"), false},
		} {
			if _, err := s.FindRun(t.Context(), c.tenancy, r.ID); c.sees != (err == nil) || err != nil && !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("%s: %v, want seen %t", name, err, c.sees)
			}
		}
	})
}

// busy lets everything happen to an instance that leaves a row: it is all told to
// an endpoint.
func busy(t *testing.T, s *store.Store, i messaging.Instance) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		m := storetest.Message(i, "15005550006", "x")
		must(s.Accept(ctx, outbox.Acceptance{Message: &m}, func(int64) {}))
		must(s.Report(ctx, messaging.StatusChange{
			WorkspaceID: i.WorkspaceID, Environment: i.Environment, MessageID: m.ID, Status: messaging.StatusSent, At: now,
		}))
	}
	waiting := storetest.Message(i, "15005550006", "x")
	must(s.Accept(ctx, outbox.Acceptance{Message: &waiting}, func(int64) {}))
	storetest.Called(t, s, i, now)
	_, err := s.Carry(ctx, []sandbox.Carried{carried(i, "a", now), carried(i, "b", now)})
	must(err)
	must(s.InsertMedia(ctx, messaging.MediaInfo{
		ID: messaging.NewID(messaging.MediaPrefix, now), WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID,
	}, now))
	must(s.ShowPairing(ctx, messaging.Pairing{WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, QR: "2@" + i.ID}))
	must(s.Report(ctx, messaging.PaceSpent{
		WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, Phone: i.Phone, At: now, Messages: 1, First: true,
	}))
}

// What a run's own instance left goes with the run, whatever else happened in its
// world meanwhile; that stays.
func TestAForgottenRunLeavesNothingOfItsOwnInstance(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		other := storetest.Instance(t, s, tenancy, "other")
		storetest.Endpoint(t, s, tenancy)
		busy(t, s, other)
		own := storetest.NewInstance(tenancy, "own")
		r := newRun(own, true)
		insertRun(t, s, r)
		if err := s.InsertInstance(t.Context(), own, nil); err != nil {
			t.Fatal(err)
		}
		busy(t, s, own)
		busy(t, s, other)
		if err := s.DeleteInstance(t.Context(), own); err != nil {
			t.Fatal(err)
		}
		if err := s.EndRun(t.Context(), ended(r)); err != nil {
			t.Fatal(err)
		}
		busy(t, s, other)
		before := store.AllRows(t, s)
		marked := 0
		for table, rows := range before {
			before[table] = slices.DeleteFunc(rows, func(row string) bool { return strings.Contains(row, own.ID) })
			marked += len(rows) - len(before[table])
		}
		if marked < 30 {
			t.Fatalf("only %d rows name the run's instance", marked)
		}
		for range 2 { // to forget it again is no error
			if err := s.ForgetRun(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		after := store.AllRows(t, s)
		delete(before, "epochs")
		delete(after, "epochs")
		if diff := cmp.Diff(before, after, cmpEmpty); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestAForgottenRunOnAGivenInstanceLeavesAllButItself(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		r := newRun(i, false)
		insertRun(t, s, r)
		busy(t, s, i)
		if err := s.EndRun(t.Context(), ended(r)); err != nil {
			t.Fatal(err)
		}
		before := store.AllRows(t, s)
		if err := s.ForgetRun(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		before["sandbox_runs"] = nil
		if diff := cmp.Diff(before, store.AllRows(t, s), cmpEmpty); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A run is kept for 7 days behind its end, with its own instance; one that is
// being played is kept.
func TestRunsGoAfterSevenDays(t *testing.T) {
	const day = 24 * time.Hour
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		given, own := storetest.Instance(t, s, tenancy, "given"), storetest.Instance(t, s, tenancy, "own")
		ofGiven, ofOwn, played := newRun(given, false), newRun(own, true), newRun(given, false)
		for _, r := range []runs.Run{ofGiven, ofOwn, played} {
			insertRun(t, s, r)
		}
		for _, r := range []runs.Run{ofGiven, ofOwn} {
			if err := s.EndRun(t.Context(), ended(r)); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			age       time.Duration
			runs      int
			instances []messaging.Instance
		}{{7*day - time.Minute, 3, []messaging.Instance{given, own}}, {7*day + time.Minute, 1, []messaging.Instance{given}}} {
			if err := s.Sweep(t.Context(), ofOwn.StartedAt.Add(c.age)); err != nil {
				t.Fatal(err)
			}
			if n := len(store.AllRows(t, s)["sandbox_runs"]); n != c.runs {
				t.Errorf("after %s: %d runs, want %d", c.age, n, c.runs)
			}
			left, err := s.TestInstances(t.Context(), tenancy.Workspace())
			slices.SortFunc(left, func(a, b messaging.Instance) int { return strings.Compare(a.Name, b.Name) })
			if diff := cmp.Diff(left, c.instances, cmpEmpty); err != nil || diff != "" {
				t.Errorf("after %s: %v, instances (-got +want):\n%s", c.age, err, diff)
			}
		}
		if _, err := s.FindRun(t.Context(), tenancy, played.ID); err != nil {
			t.Errorf("the run that is being played: %v", err)
		}
	})
}
