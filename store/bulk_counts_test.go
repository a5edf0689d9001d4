package store_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// Whatever happens to a bulk and in whatever order: the counts part the rows by
// where they stand, no row is sent twice, and what is shown of the rows adds up
// to what is counted.
func TestCountsAlwaysPartTheRows(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			d := &drama{t: t, o: o, s: openAgain(t, o)}
			defer func() { _ = d.s.Close() }()
			d.tenancy = storetest.Workspace(t, d.s, "w")
			d.instances = []messaging.Instance{storetest.Instance(t, d.s, d.tenancy, "one"), storetest.Instance(t, d.s, d.tenancy, "two")}
			rapid.Check(t, d.play)
		})
	}
}

func openAgain(t *testing.T, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// drama is the life of one bulk after the other in one store.
type drama struct {
	t         *testing.T
	o         store.Options
	s         *store.Store
	tenancy   messaging.Tenancy
	instances []messaging.Instance

	c        *campaign
	messages []string // of the bulk
	next     int      // the first row that no turn was asked for
}

const dramaRows = 12

func (d *drama) play(r *rapid.T) {
	d.begin(rapid.Bool().Draw(r, "scheduled"))
	moves := map[string]func(*rapid.T){
		"turn": d.turn, "again": d.again, "status": d.status, "state": d.state, "retry": d.retry, "opt out": d.optOut, "crash": d.crash,
		"": func(r *rapid.T) { d.check(r) },
	}
	r.Repeat(moves)
}

func (d *drama) begin(scheduled bool) {
	d.c = &campaign{t: d.t, s: d.s, tenancy: d.tenancy, instance: d.instances[0], rows: storetest.BulkRows(dramaRows), now: time.Now()}
	d.c.bulk = storetest.NewBulk(dramaRows, d.instances...)
	d.c.rows[3].Reason, d.c.rows[3].Why = messaging.SkippedInvalid, "No number."
	d.c.bulk.Counts.Queued, d.c.bulk.Counts.Skipped, d.c.bulk.Pending = dramaRows-1, 1, dramaRows-1
	if scheduled {
		d.c.bulk.State = messaging.BulkScheduled
	}
	for i := range d.c.rows { // nobody whom another bulk has known
		d.c.rows[i].WAID = messaging.NewWAMessageID() + "@" + messaging.LIDServer
	}
	storetest.Bulk(d.t, d.s, d.c.bulk, d.c.rows)
	d.messages, d.next = nil, 0
}

// turn asks for some first turns, perhaps again for some that were asked for.
func (d *drama) turn(r *rapid.T) {
	from := rapid.IntRange(0, d.next).Draw(r, "from")
	to := min(from+rapid.IntRange(1, 5).Draw(r, "rows"), dramaRows)
	if from == dramaRows {
		return
	}
	turn := storetest.NewTurn(d.c.bulk, d.c.rows[from:to], rapid.SampledFrom(d.instances).Draw(r, "through"), d.c.now)
	done := storetest.Turn(d.t, d.s, turn)
	for i, position := range done.Positions {
		if position != 0 {
			d.messages = append(d.messages, turn.Rows[i].Message.ID)
		}
	}
	if !done.Stopped {
		d.next = max(d.next, to)
	}
}

func (d *drama) again(r *rapid.T) {
	rows, err := d.s.Again(d.t.Context(), d.c.bulk.ID, rapid.IntRange(1, 4).Draw(r, "rows"))
	if err != nil || len(rows) == 0 {
		return
	}
	for range rapid.IntRange(1, 2).Draw(r, "times") {
		turn := storetest.NewTurn(d.c.bulk, d.c.rows[rows[0]-1:rows[0]], d.instances[1], d.c.now)
		turn.Next = 0
		if storetest.Turn(d.t, d.s, turn).Positions[0] != 0 {
			d.messages = append(d.messages, turn.Rows[0].Message.ID)
		}
	}
}

func (d *drama) status(r *rapid.T) {
	if len(d.messages) == 0 {
		return
	}
	var records []messaging.Record
	for range rapid.IntRange(1, 4).Draw(r, "changes") {
		status := rapid.SampledFrom(messaging.Statuses[1:len(messaging.Statuses)-1]).Draw(r, "status")
		records = append(records, d.c.changes(status, rapid.SampledFrom(d.messages).Draw(r, "message"))...)
	}
	if rapid.IntRange(0, 9).Draw(r, "also") == 0 {
		records = append(records, d.c.change(messaging.BulkPaused))
	}
	if err := d.s.Report(d.t.Context(), records...); err != nil {
		d.t.Fatal(err)
	}
}

func (d *drama) state(r *rapid.T) {
	states := []messaging.BulkState{messaging.BulkRunning, messaging.BulkRunning, messaging.BulkRunning, messaging.BulkPaused, messaging.BulkCanceled}
	d.c.move(rapid.SampledFrom(states).Draw(r, "state"))
}

func (d *drama) retry(r *rapid.T) {
	paused := d.c.read().State == messaging.BulkPaused
	n, err := d.s.RetryFailed(d.t.Context(), d.tenancy, d.c.bulk.ID, d.c.now)
	b := d.c.read()
	goesOn := b.State == messaging.BulkRunning && !paused || b.State == messaging.BulkPaused && paused
	if err == nil && n > 0 && !goesOn || (err != nil) != (b.State == messaging.BulkCanceled) {
		r.Fatalf("%d rows to be retried, %v, and the bulk is %s", n, err, b.State)
	}
}

func (d *drama) optOut(r *rapid.T) {
	row := rapid.SampledFrom(d.c.rows).Draw(r, "row")
	o := messaging.OptOut{
		WorkspaceID: d.c.bulk.WorkspaceID, Environment: d.c.bulk.Environment, InstanceID: d.instances[0].ID,
		To: messaging.Address{WAID: row.WAID}, CreatedAt: d.c.now,
	}
	if _, err := d.s.OptOut(d.t.Context(), o); err != nil {
		d.t.Fatal(err)
	}
}

// crash leaves nothing but what is in the database.
func (d *drama) crash(r *rapid.T) {
	if rapid.IntRange(0, 9).Draw(r, "crash") > 0 {
		return
	}
	if err := d.s.Close(); err != nil {
		d.t.Fatal(err)
	}
	d.s = openAgain(d.t, d.o)
	d.c.s = d.s
}

func (d *drama) check(r *rapid.T) {
	b := d.c.read()
	if c := b.Counts; c.Queued+c.Sent+c.Delivered+c.Read+c.Failed+c.Skipped+c.Canceled != c.Total || b.Pending > c.Queued {
		r.Fatalf("%s: counts %+v with %d pending", b.State, c, b.Pending)
	}
	if rapid.IntRange(0, 3).Draw(r, "look at the rows") == 0 {
		d.checkRows(r, b)
	}
	if (b.State == messaging.BulkCompleted) != (b.Counts.Queued == 0 && b.State != messaging.BulkCanceled && b.State != messaging.BulkPaused) {
		r.Fatalf("%s with %+v", b.State, b.Counts)
	}
	if b.State.Ended() == b.EndedAt.IsZero() || (b.State == messaging.BulkPaused) == b.PausedAt.IsZero() {
		r.Fatalf("%s, ended %s, paused %s", b.State, b.EndedAt, b.PausedAt)
	}
}

func (d *drama) checkRows(r *rapid.T, b messaging.Bulk) {
	shown := messaging.BulkCounts{Total: b.Counts.Total}
	waits := int64(0)
	var ids []string
	for _, row := range d.c.recipients("", dramaRows) {
		if row.Status == "skipped" {
			shown.Skipped++
			continue
		}
		*shown.Of(messaging.Status(row.Status))++
		if row.MessageID == "" && row.Status == string(messaging.StatusQueued) {
			waits++
		}
		if row.MessageID != "" {
			ids = append(ids, row.MessageID)
		}
	}
	if shown != b.Counts || waits != b.Pending {
		r.Fatalf("%s: counts %+v with %d pending; the rows are %+v with %d", b.State, b.Counts, b.Pending, shown, waits)
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != len(ids) {
		r.Fatalf("rows share messages: %v", ids)
	}
}
