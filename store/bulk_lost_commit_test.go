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
	l := &unlucky{proxy, &campaign{t: t, s: s, tenancy: tenancy, instance: i, rows: storetest.BulkRows(4), now: time.Now().UTC().Truncate(time.Microsecond)}}
	l.create(messaging.BulkRunning)
	l.create(messaging.BulkScheduled) // which has no event
	l.move(messaging.BulkRunning)
	l.turn()
	l.pauseAndRetry()
}

// unlucky is a campaign whose commits get no answer.
type unlucky struct {
	proxy *cuttingProxy
	*campaign
}

// lost does something whose commit gets no answer.
func (l *unlucky) lost(what string, f func()) {
	l.t.Helper()
	l.proxy.cutAtCommit.Store(true)
	f()
	if l.proxy.cutAtCommit.Load() {
		l.t.Errorf("%s: no commit was cut", what)
	}
}

func (l *unlucky) create(state messaging.BulkState) {
	l.t.Helper()
	l.bulk = storetest.NewBulk(len(l.rows), l.instance)
	l.bulk.State = state
	claim := &messaging.Claim{Scope: string(state), RequestHash: "h", Status: 202, Body: []byte("{}")}
	l.lost("stage", func() { storetest.Stage(l.t, l.s, l.bulk.ID, l.rows) })
	created := 0
	l.lost("create", func() {
		if err := l.s.CreateBulk(l.t.Context(), l.bulk, claim, func() { created++ }); err != nil {
			l.t.Errorf("create %s: %v", state, err)
		}
	})
	if b := l.read(); created != 1 || b.State != state || b.Counts.Total != 4 {
		l.t.Errorf("%s: created %d times, %s, %+v", state, created, b.State, b.Counts)
	}
}

func (l *unlucky) turn() {
	l.t.Helper()
	var first, skipped bulk.Turned
	l.lost("turn", func() { first = storetest.Turn(l.t, l.s, storetest.NewTurn(l.bulk, l.rows[:2], l.instance, l.now)) })
	for _, r := range l.rows[2:] {
		if _, err := l.s.OptOut(l.t.Context(), messaging.OptOut{
			WorkspaceID: l.bulk.WorkspaceID, Environment: l.bulk.Environment, To: messaging.Address{WAID: r.WAID}, CreatedAt: l.now,
		}); err != nil {
			l.t.Fatal(err)
		}
	}
	l.lost("a turn without an event", func() {
		skipped = storetest.Turn(l.t, l.s, storetest.NewTurn(l.bulk, l.rows[2:3], l.instance, l.now))
	})
	waiting, err := l.s.BulkWaiting(l.t.Context(), l.bulk)
	b := l.read()
	if err != nil || len(waiting) != 2 || b.Next != 4 || b.Pending != 1 || b.Counts != (messaging.BulkCounts{Total: 4, Queued: 3, Skipped: 1}) {
		l.t.Errorf("%d messages wait, %v; next %d, pending %d, %+v", len(waiting), err, b.Next, b.Pending, b.Counts)
	}
	if first.Positions[0] == 0 || first.Positions[1] == 0 || !cmp.Equal(skipped, bulk.Turned{Positions: []int64{0}}) {
		l.t.Errorf("turned %+v and %+v", first, skipped)
	}
	l.report(messaging.StatusFailed, waiting[0].MessageID)
}

func (l *unlucky) pauseAndRetry() {
	l.t.Helper()
	l.lost("pause", func() { l.move(messaging.BulkPaused) })
	l.lost("resume", func() { l.move(messaging.BulkRunning) })
	l.lost("retry", func() {
		if _, err := l.s.RetryFailed(l.t.Context(), l.tenancy, l.bulk.ID, l.now); err != nil {
			l.t.Errorf("retry: %v", err)
		}
	})
	if b := l.read(); b.State != messaging.BulkRunning || b.Pending != 2 || b.Counts != (messaging.BulkCounts{Total: 4, Queued: 3, Skipped: 1}) {
		l.t.Errorf("retried: %s, pending %d, %+v", b.State, b.Pending, b.Counts)
	}
}
