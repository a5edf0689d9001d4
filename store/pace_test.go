package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

// paced is an instance whose sends are counted.
type paced struct {
	t    *testing.T
	s    *store.Store
	lane outbox.LaneRef
}

func newPaced(t *testing.T, s *store.Store) paced {
	tenancy := storetest.Workspace(t, s, "w")
	i := storetest.Instance(t, s, tenancy, "one")
	return paced{t, s, outbox.LaneRef{WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID}}
}

func (p paced) spent(phone string, n int, at time.Time) messaging.PaceSpent {
	return messaging.PaceSpent{
		WorkspaceID: p.lane.WorkspaceID, Environment: p.lane.Environment, InstanceID: p.lane.InstanceID,
		Phone: phone, Messages: n, At: at, First: true, // the earliest that is stored stays
	}
}

func (p paced) report(records ...messaging.Record) {
	p.t.Helper()
	if err := p.s.Report(p.t.Context(), records...); err != nil {
		p.t.Fatal(err)
	}
}

func (p paced) want(phone string, began time.Time, want ...outbox.Spent) {
	p.t.Helper()
	got, first, err := p.s.Spent(p.t.Context(), p.lane, phone)
	if err != nil || !first.Equal(began) {
		p.t.Errorf("%s first sent at %s, want %s; %v", phone, first, began, err)
	}
	if diff := cmp.Diff(append([]outbox.Spent{}, want...), append([]outbox.Spent{}, got...)); diff != "" {
		p.t.Errorf("%s (-want +got):\n%s", phone, diff)
	}
}

func TestWhatAPaceCountsIsKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		p := newPaced(t, s)
		noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		p.want("1", time.Time{})
		p.report(p.spent("1", 2, noon), p.spent("1", 3, noon.Add(time.Minute)), p.spent("1", 1, noon.Add(20*time.Minute)))
		p.report(p.spent("1", 4, noon.Add(30*time.Second)))
		p.want("1", noon, outbox.Spent{At: noon.Add(time.Minute), Messages: 9}, outbox.Spent{At: noon.Add(20 * time.Minute), Messages: 1})

		// A number that comes later is not charged with what went before.
		p.report(p.spent("2", 7, noon.Add(time.Hour)))
		p.want("2", noon.Add(time.Hour), outbox.Spent{At: noon.Add(time.Hour), Messages: 7})

		// Nor is the one that comes back charged with what went in between, even in
		// one step of time.
		p.report(p.spent("1", 1, noon.Add(61*time.Minute)), p.spent("2", 1, noon.Add(62*time.Minute)), p.spent("1", 1, noon.Add(63*time.Minute)))
		p.want("1", noon, outbox.Spent{At: noon.Add(time.Minute), Messages: 9}, outbox.Spent{At: noon.Add(20 * time.Minute), Messages: 1},
			outbox.Spent{At: noon.Add(63 * time.Minute), Messages: 2})
		p.want("2", noon.Add(time.Hour), outbox.Spent{At: noon.Add(62 * time.Minute), Messages: 8})
	})
}

// The table must not grow for ever, and nothing of the last day may be
// forgotten.
func TestTheCountsOfAPaceTakeBoundedRoom(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		p := newPaced(t, s)
		at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		began := at
		for range 6 {
			var records []messaging.Record
			for range 100 { // of five minutes: more than two days in all
				c := p.spent("1", 1, at)
				c.First = at.Equal(began)
				records = append(records, c)
				at = at.Add(5 * time.Minute)
			}
			p.report(records...)
		}
		got, first, err := s.Spent(t.Context(), p.lane, "1")
		if err != nil || !first.Equal(began) {
			t.Fatalf("began %s, %v", first, err)
		}
		if len(got) > 300 {
			t.Errorf("%d rows are kept", len(got))
		}
		day := 0
		for _, s := range got {
			if s.At.After(at.Add(-24 * time.Hour)) {
				day += s.Messages
			}
		}
		if day != 287 {
			t.Errorf("%d of the last day are known, want 287", day)
		}
	})
}

func TestWaitingCountsAnInstancesOwnMessages(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		one, other := storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "other")
		for _, i := range []messaging.Instance{one, one, other} {
			m := storetest.Message(i, "12025550001", "x")
			accept(t, s, &m)
		}
		n, err := s.Waiting(t.Context(), outbox.LaneRef{WorkspaceID: one.WorkspaceID, Environment: one.Environment, InstanceID: one.ID})
		if err != nil || n != 2 {
			t.Errorf("Waiting = %d, %v; want 2", n, err)
		}
	})
}
