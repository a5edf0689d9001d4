package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// retryChunk is how many rows are marked in one commit, and retryPage how many
// are looked at to find them.
const (
	retryChunk = 64
	retryPage  = 1000
)

// errCanceled is the fault of retrying in a canceled bulk.
var errCanceled = fault.ErrConflict.Saying("A canceled bulk sends nothing any more.").With("state", string(messaging.BulkCanceled))

// RetryFailed lets the rows whose messages failed or expired have another turn
// and returns how many there are. They are marked a few at a time, so that
// nobody waits. A bulk that had completed is running when all are, and when it
// returns, unless there were none; a paused one stays paused. Who is interrupted
// can ask again.
//
// Faults: fault.ErrNotFound; fault.ErrConflict for a canceled bulk.
func (s *Store) RetryFailed(ctx context.Context, t messaging.Tenancy, id string, now time.Time) (int64, error) {
	b, err := s.Bulk(ctx, t, id)
	if err != nil {
		return 0, err
	}
	if b.State == messaging.BulkCanceled {
		return 0, errCanceled
	}
	marked := int64(0)
	for behind, more := int64(0), true; more; {
		var failed []failedRow
		if failed, behind, more, err = s.failedRows(ctx, &b, behind); err != nil {
			return marked, err
		}
		for chunk := range slices.Chunk(failed, retryChunk) {
			r := &retry{bulk: &b, rows: chunk, at: clip(now)}
			if err := s.retry(ctx, r); err != nil {
				return marked, err
			}
			marked += r.marked
		}
	}
	last := &retry{bulk: &b, at: clip(now), resume: true, before: marked}
	err = s.retry(ctx, last)
	return last.waiting, err
}

// failedRow is a row with its message, which has failed.
type failedRow struct {
	Row       int64  `db:"row_number"`
	MessageID string `db:"message_id"`
	Failed    bool   `db:"failed"`
}

// failedRows looks at the next rows behind one, and returns those whose messages
// failed or expired, up to which row it has looked, and whether there are more.
func (s *Store) failedRows(ctx context.Context, b *messaging.Bulk, behind int64) (failed []failedRow, last int64, more bool, err error) {
	const q = `SELECT r.row_number, r.message_id, m.status IS NOT NULL AND m.status IN ('failed', 'expired') AND NOT r.again AS failed
		FROM (SELECT * FROM bulk_recipients WHERE bulk_id = $1 AND row_number > $2 ORDER BY row_number LIMIT $3) r
		LEFT JOIN messages m ON m.workspace_id = r.workspace_id AND m.environment = r.environment AND m.id = r.message_id
		ORDER BY r.row_number`
	var found []failedRow
	if err := s.r.SelectContext(ctx, &found, q, b.ID, behind, retryPage); err != nil {
		return nil, behind, false, fmt.Errorf("failed rows: %w", explain(err))
	}
	if len(found) > 0 {
		last = found[len(found)-1].Row
	}
	more = len(found) == retryPage
	return slices.DeleteFunc(found, func(f failedRow) bool { return !f.Failed }), last, more, nil
}

func (s *Store) retry(ctx context.Context, r *retry) error {
	j := &job{station: stationRetry, payload: r, weight: 1 + len(r.rows)}
	if err := s.committer.submit(ctx, j); err != nil {
		return fmt.Errorf("retry failed rows: %w", err)
	}
	return nil
}

// retry marks rows of a bulk for another turn, or lets those that are marked have
// it. What a try of the transaction has come to is made anew by the next.
type retry struct {
	bulk   *messaging.Bulk
	rows   []failedRow
	at     time.Time
	resume bool
	before int64 // of a resume: how many were marked before

	marked  int64 // how many were marked
	waiting int64 // of a resume: how many rows of this bulk will have another turn
}

// markAgain marks rows unless that was done, or their messages are others by now.
var markAgain = &rows{
	head:    `UPDATE bulk_recipients SET again = TRUE FROM `,
	form:    asTable,
	columns: []kind{text, number, text},
	tail: ` WHERE bulk_recipients.bulk_id = v.column1 AND bulk_recipients.row_number = v.column2
		AND bulk_recipients.message_id = v.column3 AND NOT bulk_recipients.again`,
}

func applyRetries(ctx context.Context, b *batchConn, jobs []*job, book *bulkBook) error {
	if err := book.load(ctx); err != nil {
		return err
	}
	for _, j := range jobs {
		r := j.payload.(*retry)
		r.marked, r.waiting = 0, 0
		o := book.of(r.bulk.WorkspaceID, r.bulk.Environment, r.bulk.ID)
		if o == nil {
			continue
		}
		if o.row.State == string(messaging.BulkCanceled) {
			j.err = errCanceled
			continue
		}
		if err := r.mark(ctx, b); err != nil {
			return fmt.Errorf("mark rows: %w", err)
		}
		o.retry(r)
	}
	return nil
}

func (r *retry) mark(ctx context.Context, b *batchConn) error {
	var args []any
	for _, row := range r.rows {
		args = append(args, r.bulk.ID, row.Row, row.MessageID)
	}
	return b.each(markAgain, args, func(text string, _ int, args []any) error {
		res, err := b.exec(ctx, text, args...)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		r.marked += n
		return err
	})
}

// retry counts the rows that were marked, or has the bulk run for them. A bulk
// that has completed has no other rows that wait: those that an interrupted call
// has marked count as well.
func (o *openBulk) retry(r *retry) {
	if r.marked > 0 {
		o.row.Failed -= r.marked
		o.row.Queued += r.marked
		o.row.Pending += r.marked
		o.touch(r.at)
	}
	if !r.resume {
		return
	}
	r.waiting = r.before
	if o.row.State == string(messaging.BulkCompleted) {
		r.waiting = o.row.Pending
	}
	if r.waiting == 0 || o.row.State != string(messaging.BulkCompleted) {
		return // a bulk that was paused meanwhile stays so: its rows wait for it
	}
	o.row.State, o.row.EndedAt = string(messaging.BulkRunning), 0
	o.tell(messaging.EventBulkResumed, r.at)
}
