package store_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// eachPair runs a test on two stores that share a database, on both engines.
func eachPair(t *testing.T, f func(t *testing.T, s, other *store.Store, i messaging.Instance)) {
	t.Helper()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			o := storetest.Options(t, engine)
			s, other := storetest.Open(t, o), storetest.Open(t, o)
			f(t, s, other, storetest.Instance(t, s, storetest.Workspace(t, s, "w"), "one"))
		})
	}
}

// life is a message on its way.
type life struct{ messaging.Message }

func accepted(t *testing.T, s *store.Store, i messaging.Instance, to string) life {
	t.Helper()
	m := storetest.Message(i, to, "hello")
	accept(t, s, &m)
	return life{m}
}

func (l life) report(t *testing.T, s *store.Store, statuses ...messaging.Status) {
	t.Helper()
	var records []messaging.Record
	for _, status := range statuses {
		records = append(records, messaging.StatusChange{
			WorkspaceID: l.WorkspaceID, Environment: l.Environment, MessageID: l.ID, Status: status, At: time.Now(), Attempts: 1,
		})
	}
	report(t, s, records...)
}

// history is what the events of a message say, in their order.
func (l life) history(t *testing.T, s *store.Store) string {
	t.Helper()
	tenancy := messaging.NewTenancy(l.WorkspaceID, l.Environment, messaging.AllInstances())
	var names []string
	for _, typ := range types(told(t, s, tenancy, messaging.EventFilter{MessageID: l.ID})) {
		names = append(names, strings.TrimPrefix(string(typ), "message."))
	}
	return strings.Join(names, " ")
}

func (l life) want(t *testing.T, s *store.Store, history string) {
	t.Helper()
	if diff := cmp.Diff(history, l.history(t, s)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// Whatever a store remembers, what another one has recorded meanwhile stands.
func TestWhatAnotherStoreHasRecordedIsNotOverwritten(t *testing.T) {
	eachPair(t, func(t *testing.T, s, other *store.Store, i messaging.Instance) {
		late, alone := accepted(t, s, i, "12025550101"), accepted(t, s, i, "12025550102")
		late.report(t, other, messaging.StatusSent)
		late.report(t, s, messaging.StatusSent, messaging.StatusDelivered)
		late.want(t, s, "queued sent delivered")
		alone.report(t, s, messaging.StatusSent, messaging.StatusDelivered, messaging.StatusRead)
		alone.want(t, other, "queued sent delivered read")

		failed := accepted(t, s, i, "12025550103")
		failed.report(t, other, messaging.StatusFailed)
		failed.report(t, s, messaging.StatusSent)
		failed.want(t, s, "queued failed")
	})
}

// A batch that meets one changed message is recorded all the same, whole.
func TestAChangedMessageDoesNotKeepOthersFromBeingRecorded(t *testing.T) {
	eachPair(t, func(t *testing.T, s, other *store.Store, i messaging.Instance) {
		var all []life
		var records []messaging.Record
		for n := range 70 { // more than one statement of SQLite
			m := accepted(t, s, i, strconv.Itoa(12025550100+n))
			all = append(all, m)
			records = append(records, messaging.StatusChange{
				WorkspaceID: m.WorkspaceID, Environment: m.Environment, MessageID: m.ID, Status: messaging.StatusDelivered, At: time.Now(),
			})
		}
		all[69].report(t, other, messaging.StatusSent)
		report(t, s, records...)
		for _, m := range all {
			m.want(t, s, "queued sent delivered")
		}
	})
}

// Whichever of two stores records a receipt, the history is that of one.
func TestTwoStoresRecordAsOne(t *testing.T) {
	statuses := []messaging.Status{messaging.StatusSent, messaging.StatusDelivered, messaging.StatusRead, messaging.StatusFailed, messaging.StatusPlayed}
	eachPair(t, func(t *testing.T, s, other *store.Store, i messaging.Instance) {
		rapid.Check(t, func(rt *rapid.T) {
			m := accepted(t, s, i, "12025550100")
			state, want := messaging.State{Status: messaging.StatusQueued}, []string{"queued"}
			for range rapid.IntRange(1, 6).Draw(rt, "steps") {
				batch := rapid.SliceOfN(rapid.SampledFrom(statuses), 1, 3).Draw(rt, "statuses")
				for _, status := range batch {
					for _, news := range state.Apply(messaging.StatusChange{Status: status, At: time.Now(), Attempts: 1}) {
						want = append(want, string(news))
					}
				}
				by := s
				if rapid.Bool().Draw(rt, "other") {
					by = other
				}
				m.report(t, by, batch...)
			}
			if got := m.history(t, s); got != strings.Join(want, " ") {
				rt.Errorf("got %s, want %v", got, want)
			}
		})
	})
}
