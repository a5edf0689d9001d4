package natssink_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// TestKilledServerLosesNothingOfTheDatabase is the story of TestKilledServer with
// the real journal: 2,000 calls are recorded while the server is killed, and each
// event of theirs is in the stream once, in order.
func TestKilledServerLosesNothingOfTheDatabase(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		on := newServer(t, jetStream).start()
		tenancy := storetest.Workspace(t, s, "acme")
		instance := storetest.Instance(t, s, tenancy, "front")
		world := messaging.World{WorkspaceID: instance.WorkspaceID, Environment: instance.Environment}
		sink, stop := run(t, options(s, on.url("", "")))
		s.Tell(func(events store.Committed) { sink.Tell(events) })
		cursor := func() int64 {
			cursors, err := s.SinkCursors(t.Context(), "nats")
			if err != nil {
				t.Fatal(err)
			}
			return cursors[world]
		}
		eventually(t, "the sink has begun", func() bool { return cursor() == 1 }) // behind instance.created
		first, err := s.EventHead(t.Context(), world)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			record(t, s, instance, i*100, 100)
			switch i {
			case 9:
				on.kill()
			case 14:
				on.start()
			}
		}
		last := first + 2000
		eventually(t, "all is acknowledged", func() bool { return cursor() == last })
		stop()
		var want []string
		for at := first; at < last; {
			page, err := s.EventsAfter(t.Context(), world, at, 1000)
			if err != nil || len(page) == 0 {
				t.Fatalf("%d events, %v", len(page), err)
			}
			want = append(want, ids(page)...)
			at = page[len(page)-1].Sequence
		}
		if diff := cmp.Diff(published(on.contents("PORTARIA"), world), want); diff != "" {
			t.Errorf("the stream (-got +want):\n%s", diff)
		}
	})
}

// record reports calls, which are told once each.
func record(t *testing.T, s *store.Store, i messaging.Instance, from, n int) {
	t.Helper()
	records := make([]messaging.Record, 0, n)
	for k := range n {
		records = append(records, messaging.CallReceived{
			WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID,
			Call: messaging.Call{ID: fmt.Sprint("call-", from+k), At: time.Now()},
		})
	}
	if err := s.Report(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
}
