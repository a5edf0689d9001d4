package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// wholeBulk returns a bulk with everything set that a bulk can have.
func wholeBulk(over ...messaging.Instance) messaging.Bulk {
	b := storetest.NewBulk(10, over...)
	b.Metadata = []byte(`{"campaign":"spring"}`)
	b.State, b.StartedAt = messaging.BulkScheduled, time.Time{}
	b.Counts.Queued, b.Counts.Skipped, b.Pending = 9, 1, 9
	b.Options = messaging.BulkOptions{
		Priority: messaging.High, SendAt: b.CreatedAt.Add(time.Hour), TimeZone: "America/Sao_Paulo",
		Pace:       &messaging.BulkPace{MinGap: time.Second, Jitter: time.Millisecond, PerHour: 100},
		QuietHours: &messaging.BulkQuiet{From: "22:00", To: "08:00", TimeZone: "UTC"}, Dedupe: true, DedupeWindow: 24 * time.Hour,
		FrequencyCap: &messaging.FrequencyCap{Max: 3, Per: 7 * 24 * time.Hour}, ExpiresIn: time.Hour, SkipInvalid: true,
		Sandbox: &messaging.Override{Outcome: "failed", Code: "NOT_ON_WHATSAPP"},
	}
	return b
}

func TestABulkIsReadBackAsItWasCreated(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		b := wholeBulk(storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "two"))
		storetest.Bulk(t, s, b, storetest.BulkRows(10))
		got, err := s.Bulk(t.Context(), tenancy, b.ID)
		if diff := cmp.Diff(got, b); diff != "" || err != nil {
			t.Errorf("%v; got, want:\n%s", err, diff)
		}
		open, err := s.OpenBulks(t.Context())
		if diff := cmp.Diff(open, []messaging.Bulk{b}); diff != "" || err != nil {
			t.Errorf("%v; open, want:\n%s", err, diff)
		}
	})
}

func bulkIDs(t *testing.T, s *store.Store, tenancy messaging.Tenancy) (ids []string) {
	t.Helper()
	list, err := s.Bulks(t.Context(), tenancy, messaging.Page{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range list {
		ids = append(ids, b.ID)
	}
	return ids
}

// A key that is locked to some instances must not learn of a bulk that goes
// through others as well.
func TestALockedTenancySeesABulkWhenItOpensAllItsInstances(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		one, two := storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "two")
		first, both := storetest.NewBulk(1, one), storetest.NewBulk(1, one, two)
		both.ID = messaging.NewID(messaging.BulkPrefix, time.Now().Add(time.Second))
		storetest.Bulk(t, s, first, storetest.BulkRows(1))
		storetest.Bulk(t, s, both, storetest.BulkRows(1))
		for name, c := range map[string]struct {
			allow messaging.Allowlist
			want  []string
		}{
			"all":     {messaging.AllInstances(), []string{both.ID, first.ID}},
			"both":    {messaging.OnlyInstances(one.ID, two.ID), []string{both.ID, first.ID}},
			"one":     {messaging.OnlyInstances(one.ID), []string{first.ID}},
			"two":     {messaging.OnlyInstances(two.ID), nil},
			"none":    {messaging.OnlyInstances(), nil},
			"another": {messaging.OnlyInstances("ins_x"), nil},
		} {
			locked := messaging.NewTenancy(tenancy.Workspace(), tenancy.Environment(), c.allow)
			got := bulkIDs(t, s, locked)
			if diff := cmp.Diff(got, c.want, cmpEmpty); diff != "" {
				t.Errorf("%s: got, want:\n%s", name, diff)
			}
			for _, id := range []string{first.ID, both.ID} {
				seen := cmp.Equal(got, []string{both.ID, first.ID}) || id == first.ID && len(got) == 1
				if _, err := s.Bulk(t.Context(), locked, id); seen != (err == nil) || !seen && !errors.Is(err, fault.ErrNotFound) {
					t.Errorf("%s: bulk %s: %v, want seen = %v", name, id, err, seen)
				}
			}
		}
		for _, other := range []messaging.Tenancy{
			messaging.NewTenancy("wsp_x", tenancy.Environment(), messaging.AllInstances()),
			messaging.NewTenancy(tenancy.Workspace(), messaging.Live, messaging.AllInstances()),
		} {
			if _, err := s.Bulk(t.Context(), other, first.ID); !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("another world: %v, want NOT_FOUND", err)
			}
		}
		if list, err := s.Bulks(t.Context(), tenancy, messaging.Page{Limit: 10, Cursor: both.ID}); err != nil || len(list) != 1 {
			t.Errorf("%d bulks behind the cursor, %v; want 1", len(list), err)
		}
	})
}

// Two requests under one Idempotency-Key stage a bulk each; one of them is real.
func TestOneOfTwoBulksWithAClaimIsCreated(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		var created, raced int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				b := storetest.NewBulk(3, i)
				storetest.Stage(t, s, b.ID, storetest.BulkRows(3))
				err := s.CreateBulk(t.Context(), b, &messaging.Claim{Scope: "a", RequestHash: "h", Status: 202, Body: []byte("{}")}, func() {
					mu.Lock()
					defer mu.Unlock()
					created++
				})
				if err == nil {
					return
				}
				if !errors.Is(err, store.ErrIdempotencyRace) {
					t.Errorf("create: %v", err)
				}
				if err := s.DropBulk(t.Context(), b.ID); err != nil {
					t.Errorf("drop: %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				raced++
			})
		}
		wg.Wait()
		list, err := s.Bulks(t.Context(), tenancy, messaging.Page{Limit: 10})
		if err != nil || len(list) != 1 || created != 1 || raced != 3 {
			t.Fatalf("%d bulks, %d created, %d raced, %v; want 1, 1, 3", len(list), created, raced, err)
		}
		if chunks, err := s.Chunks(t.Context(), list[0].ID, 1, 10); err != nil || len(chunks) != 1 {
			t.Errorf("the winner has %d chunks, %v; want 1", len(chunks), err)
		}
	})
}

// A bulk is accepted whole or not at all.
func TestABulkWhoseRowsAreNotAllStagedIsNotCreated(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		b := storetest.NewBulk(20, storetest.Instance(t, s, tenancy, "one"))
		storetest.Stage(t, s, b.ID, storetest.BulkRows(19))
		if err := s.CreateBulk(t.Context(), b, nil, func() { t.Error("created") }); err == nil {
			t.Error("no error")
		}
		if list, err := s.Bulks(t.Context(), tenancy, messaging.Page{Limit: 10}); err != nil || len(list) != 0 {
			t.Errorf("%d bulks, %v; want none", len(list), err)
		}
	})
}

// What a process staged before it died takes up room for nothing.
func TestStrayChunksAreSweptAndThoseOfBulksAreKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		kept := storetest.NewBulk(100, storetest.Instance(t, s, tenancy, "one"))
		storetest.Bulk(t, s, kept, storetest.BulkRows(100))
		for _, id := range []string{"blk_0", kept.ID + "0", "blk_z"} {
			storetest.Stage(t, s, id, storetest.BulkRows(100))
		}
		if err := s.SweepBulks(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.DropBulk(t.Context(), kept.ID); err != nil { // as after a commit in doubt
			t.Fatal(err)
		}
		for id, want := range map[string]int{"blk_0": 0, kept.ID + "0": 0, "blk_z": 0, kept.ID: 15} {
			if chunks, err := s.Chunks(t.Context(), id, 1, 100); err != nil || len(chunks) != want {
				t.Errorf("%s has %d chunks, %v; want %d", id, len(chunks), err, want)
			}
		}
	})
}

func TestChunksAreReadFromTheOneThatHoldsARow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		storetest.Stage(t, s, "blk_1", storetest.BulkRows(20)) // 1–7, 8–14, 15–20
		storetest.Stage(t, s, "blk_2", storetest.BulkRows(20))
		for _, c := range []struct {
			from, first int64
			limit, want int
		}{{1, 1, 10, 3}, {7, 1, 10, 3}, {8, 8, 10, 2}, {14, 8, 1, 1}, {20, 15, 10, 1}, {21, 0, 10, 0}, {0, 1, 2, 2}} {
			chunks, err := s.Chunks(t.Context(), "blk_1", c.from, c.limit)
			if err != nil || len(chunks) != c.want || len(chunks) > 0 && chunks[0].First != c.first {
				t.Errorf("from %d: %d chunks, %v; want %d from %d", c.from, len(chunks), err, c.want, c.first)
			}
		}
		chunks, err := s.Chunks(t.Context(), "blk_1", 8, 1)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := chunks[0].Decode()
		if diff := cmp.Diff(rows, storetest.BulkRows(20)[7:14]); diff != "" || err != nil {
			t.Errorf("%v; got, want:\n%s", err, diff)
		}
	})
}

// A bulk of which nothing can be sent has ended when it begins.
func TestABulkOfSkippedRowsCompletesAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		rows := storetest.BulkRows(3)
		for i := range rows {
			rows[i].Reason, rows[i].Why = messaging.SkippedOptedOut, "Opted out."
		}
		b := storetest.NewBulk(3, storetest.Instance(t, s, tenancy, "one"))
		b.Counts, b.Pending = messaging.BulkCounts{Total: 3, Skipped: 3}, 0
		storetest.Bulk(t, s, b, rows)
		got, err := s.Bulk(t.Context(), tenancy, b.ID)
		if err != nil || got.State != messaging.BulkCompleted || got.EndedAt.IsZero() {
			t.Errorf("state %s, ended at %v, %v; want completed", got.State, got.EndedAt, err)
		}
		if diff := cmp.Diff(bulkEvents(t, s, tenancy), []messaging.EventType{messaging.EventBulkStarted, messaging.EventBulkCompleted}); diff != "" {
			t.Errorf("events, want:\n%s", diff)
		}
	})
}

// bulkEvents lists the types of the events of bulks, oldest first.
func bulkEvents(t *testing.T, s *store.Store, tenancy messaging.Tenancy) (types []messaging.EventType) {
	t.Helper()
	events, err := s.EventsAfter(context.Background(), messaging.World{WorkspaceID: tenancy.Workspace(), Environment: tenancy.Environment()}, 0, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Type.Matches("bulk.*") {
			types = append(types, e.Type)
		}
	}
	return types
}
