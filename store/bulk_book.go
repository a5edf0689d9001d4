package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/messaging"
)

// bulkBook is what one transaction knows of bulks: the row of each is read once,
// changed in memory by all that concerns it, and written once at the end with
// the events that follow. Who locks these rows does it before the heads of the
// events, and in the order of their ids.
type bulkBook struct {
	b      *batchConn
	open   map[string]*openBulk
	wanted []string
}

// openBulk is a bulk that a transaction concerns.
type openBulk struct {
	row     bulkRow
	tenths  int64     // of its rows, how many were no longer queued before
	at      time.Time // of the latest change, by the clock of its world
	changed bool
	fresh   bool // its row is yet to be inserted
	news    []bulkNews
	again   map[int64]bool // the rows whose retries this transaction has turned
}

// bulkNews is an event of a bulk that is to be noted.
type bulkNews struct {
	typ messaging.EventType
	at  time.Time
	row bulkRow // as it stood; the counts are those of the transaction's end
}

func newBulkBook(b *batchConn) *bulkBook {
	return &bulkBook{b: b, open: make(map[string]*openBulk)}
}

// want notes that the transaction concerns a bulk.
func (k *bulkBook) want(id string) {
	if _, ok := k.open[id]; !ok && id != "" && !slices.Contains(k.wanted, id) {
		k.wanted = append(k.wanted, id)
	}
}

var selectBulksToChange = &rows{
	head:    `SELECT ` + bulkColumns + ` FROM `,
	form:    asTable,
	columns: repeat(text, 1),
	tail: ` CROSS JOIN bulks k WHERE k.id = v.column1 ORDER BY k.id
		FOR UPDATE OF k -- only: postgres
`,
}

// load reads the bulks that are wanted and not known yet.
func (k *bulkBook) load(ctx context.Context) error {
	if len(k.wanted) == 0 {
		return nil
	}
	slices.Sort(k.wanted)
	keys := make([]any, len(k.wanted))
	for i, id := range k.wanted {
		keys[i] = id
	}
	k.wanted = nil
	err := k.b.each(selectBulksToChange, keys, func(text string, _ int, args []any) error {
		found, err := k.b.query(ctx, text, args...)
		if err != nil {
			return err
		}
		var rows []bulkRow
		if err := errorsJoinClose(sqlx.StructScan(found, &rows), found); err != nil {
			return err
		}
		for i := range rows {
			k.open[rows[i].ID] = &openBulk{row: rows[i], tenths: rows[i].tenths()}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("load bulks: %w", err)
	}
	return nil
}

// of returns a bulk of a world that was loaded; nil when there is none.
func (k *bulkBook) of(workspace string, env messaging.Environment, id string) *openBulk {
	o := k.open[id]
	if o == nil || o.row.WorkspaceID != workspace || o.row.Environment != string(env) {
		return nil
	}
	return o
}

// touch notes that the bulk has changed at a time.
func (o *openBulk) touch(at time.Time) {
	o.changed = true
	if at.After(o.at) {
		o.at = at
	}
}

// tell notes an event of the bulk as it stands.
func (o *openBulk) tell(typ messaging.EventType, at time.Time) {
	o.touch(at)
	o.news = append(o.news, bulkNews{typ: typ, at: at, row: o.row})
}

// move counts a row whose message has got from one status to another.
func (o *openBulk) move(from, to messaging.Status, at time.Time) {
	before, after := o.row.Of(from), o.row.Of(to)
	if before == after || before == nil || after == nil {
		return
	}
	*before--
	*after++
	o.touch(at)
}

// tenths returns how many tenths of the rows are no longer queued.
func (r *bulkRow) tenths() int64 { return (r.Total - r.Queued) * 10 / max(r.Total, 1) }

// close settles what the transaction has come to, and notes the events.
func (k *bulkBook) close(events *eventLog) error {
	for _, o := range k.changed() {
		o.settle()
		for _, n := range o.news {
			n.row.BulkCounts, n.row.Pending, n.row.Next = o.row.BulkCounts, o.row.Pending, o.row.Next
			b, err := n.row.bulk()
			if err != nil {
				return err
			}
			events.add(messaging.Event{
				Type: n.typ, WorkspaceID: b.WorkspaceID, Environment: b.Environment, InstanceID: n.row.instance(),
				Timestamp: clip(n.at), Bulk: &b,
			})
		}
	}
	return nil
}

// settle completes a running bulk that has nothing left to send, or tells that
// another tenth of it is done.
func (o *openBulk) settle() {
	switch state := messaging.BulkState(o.row.State); {
	case state == messaging.BulkRunning && o.row.Queued == 0:
		o.row.State, o.row.EndedAt = string(messaging.BulkCompleted), micros(o.at)
		o.tell(messaging.EventBulkCompleted, o.at)
	case !state.Ended() && o.row.tenths() > o.tenths && o.row.Queued > 0:
		o.tell(messaging.EventBulkProgress, o.at)
	}
}

// changed lists the bulks that have changed, in the order of their ids.
func (k *bulkBook) changed() (out []*openBulk) {
	for _, o := range k.open {
		if o.changed {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *openBulk) int { return strings.Compare(a.row.ID, b.row.ID) })
	return out
}

var updateBulks = &rows{
	head: `UPDATE bulks SET state = v.column2, queued = v.column3, sent = v.column4, delivered = v.column5, read = v.column6,
		failed = v.column7, skipped = v.column8, canceled = v.column9, pending = v.column10, next_row = v.column11,
		started_at = v.column12, paused_at = v.column13, ended_at = v.column14 FROM `,
	form:    asTable,
	columns: slices.Concat(repeat(text, 2), repeat(number, 12)),
	tail:    ` WHERE bulks.id = v.column1`,
}

// write stores the bulks that have changed.
func (k *bulkBook) write(ctx context.Context) error {
	var args []any
	for _, o := range k.changed() {
		r := &o.row
		if o.fresh {
			if err := insertBulk(ctx, k.b, r); err != nil {
				return err
			}
			continue
		}
		args = append(args, r.ID, r.State, r.Queued, r.Sent, r.Delivered, r.Read, r.Failed, r.Skipped, r.Canceled, r.Pending, r.Next,
			r.StartedAt, r.PausedAt, r.EndedAt)
	}
	if err := k.b.write(ctx, updateBulks, args); err != nil {
		return fmt.Errorf("update bulks: %w", err)
	}
	return nil
}
