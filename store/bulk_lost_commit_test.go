package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/outbox/bulk"
	"portaria/store/storetest"
)

// A COMMIT may happen and its answer be lost. The caller must hear of what is
// durable, once, and nothing may be done twice: not by a claim that is taken
// (by the very bulk), nor by rows that have had their turn.
func TestTheLostCommitOfABulkIsFoundOut(t *testing.T) {
	o := storetest.Options(t, "postgres")
	proxy := newCuttingProxy(t, o.DatabaseURL)
	o.DatabaseURL = proxy.url
	s := storetest.Open(t, o)
	tenancy := storetest.Workspace(t, s, "w")
	i := storetest.Instance(t, s, tenancy, "one")
	rows := storetest.BulkRows(4)
	c := &campaign{t: t, s: s, tenancy: tenancy, instance: i, rows: rows, now: time.Now().UTC().Truncate(time.Microsecond)}
	lost := func(what string, f func()) {
		t.Helper()
		proxy.cutAtCommit.Store(true)
		f()
		if proxy.cutAtCommit.Load() {
			t.Errorf("%s: no commit was cut", what)
		}
	}

	for _, state := range []messaging.BulkState{messaging.BulkRunning, messaging.BulkScheduled} { // only the first has an event
		c.bulk = storetest.NewBulk(4, i)
		c.bulk.State = state
		claim := &messaging.Claim{Scope: string(state), RequestHash: "h", Status: 202, Body: []byte("{}")}
		lost("stage", func() { storetest.Stage(t, s, c.bulk.ID, rows) })
		created := 0
		lost("create", func() {
			if err := s.CreateBulk(t.Context(), c.bulk, claim, func() { created++ }); err != nil {
				t.Errorf("create %s: %v", state, err)
			}
		})
		if b := c.read(); created != 1 || b.State != state || b.Counts.Total != 4 {
			t.Errorf("%s: created %d times, %s, %+v", state, created, b.State, b.Counts)
		}
	}
	c.move(messaging.BulkRunning)

	var first, skipped bulk.Turned
	lost("turn", func() { first = storetest.Turn(t, s, storetest.NewTurn(c.bulk, rows[:2], i, c.now)) })
	for _, r := range rows[2:] {
		if _, err := s.OptOut(t.Context(), messaging.OptOut{
			WorkspaceID: i.WorkspaceID, Environment: i.Environment, To: messaging.Address{WAID: r.WAID}, CreatedAt: c.now,
		}); err != nil {
			t.Fatal(err)
		}
	}
	lost("a turn without an event", func() { skipped = storetest.Turn(t, s, storetest.NewTurn(c.bulk, rows[2:3], i, c.now)) })
	waiting, err := s.BulkWaiting(t.Context(), c.bulk)
	b := c.read()
	if err != nil || len(waiting) != 2 || b.Next != 4 || b.Pending != 1 || b.Counts != (messaging.BulkCounts{Total: 4, Queued: 3, Skipped: 1}) {
		t.Errorf("%d messages wait, %v; next %d, pending %d, %+v", len(waiting), err, b.Next, b.Pending, b.Counts)
	}
	if first.Positions[0] == 0 || first.Positions[1] == 0 || !cmp.Equal(skipped, bulk.Turned{Positions: []int64{0}}) {
		t.Errorf("turned %+v and %+v", first, skipped)
	}
	lost("pause", func() { c.move(messaging.BulkPaused) })
	lost("resume", func() { c.move(messaging.BulkRunning) })
	c.report(messaging.StatusFailed, waiting[0].MessageID)
	var retried int64
	lost("retry", func() {
		if retried, err = s.RetryFailed(t.Context(), tenancy, c.bulk.ID, c.now); err != nil {
			t.Errorf("retry: %v", err)
		}
	})
	if b := c.read(); b.State != messaging.BulkRunning || b.Pending != 2 || b.Counts != (messaging.BulkCounts{Total: 4, Queued: 3, Skipped: 1}) {
		t.Errorf("retried %d: %s, pending %d, %+v", retried, b.State, b.Pending, b.Counts)
	}
}
