package main

import (
	"slices"
	"testing"
	"time"

	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// verdictOf returns how a check ended.
func verdictOf(t *testing.T, d *diagnosis, check string) verdict {
	t.Helper()
	i := slices.IndexFunc(d.Checks, func(f finding) bool { return f.Check == check })
	if i < 0 {
		t.Fatalf("there is no check %q", check)
	}
	return d.Checks[i].Status
}

// A machine that came up with a wrong clock lets expired keys in and orders
// what it writes before what was written earlier.
func TestTheDoctorNoticesAClockThatWentBack(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		d := diagnosis{Status: checkOK}
		d.checkClock(t.Context(), s)
		if got := verdictOf(t, &d, "clock"); got != checkOK {
			t.Fatalf("the clock of an empty database is %s", got)
		}
		ahead := time.Now().Add(time.Hour)
		w := store.Workspace{ID: messaging.NewID(messaging.WorkspacePrefix, ahead), Name: "later", CreatedAt: ahead}
		if err := s.InsertWorkspace(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		d = diagnosis{Status: checkOK}
		d.checkClock(t.Context(), s)
		if got := verdictOf(t, &d, "clock"); got != checkFail || d.Status != checkFail {
			t.Errorf("the clock is %s and all is %s, though something was written an hour from now", got, d.Status)
		}
	})
}

func TestTheWorstFindingIsTheDiagnosis(t *testing.T) {
	d := diagnosis{Status: checkOK}
	for _, step := range []struct{ add, want verdict }{
		{checkOK, checkOK}, {checkWarn, checkWarn}, {checkOK, checkWarn}, {checkFail, checkFail}, {checkWarn, checkFail},
	} {
		d.add("x", step.add, "", "")
		if d.Status != step.want {
			t.Errorf("after %s the diagnosis is %s, want %s", step.add, d.Status, step.want)
		}
	}
}
