package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// markInterval is how far marks lie apart: what they say of an age is as exact.
const markInterval = time.Hour

// carriageMarks is the topic of sandbox_carriages; events have their workspace.
const carriageMarks = "carriages"

const (
	selectMark = `SELECT COALESCE(MAX(at), 0), COALESCE(MAX(value), 0) FROM sandbox_marks WHERE topic = $1`
	insertMark = `INSERT INTO sandbox_marks (topic, at, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	markedAt   = `SELECT COALESCE(MAX(value), 0) FROM sandbox_marks WHERE topic = $1 AND at <= $2`

	// dropMarks keeps the youngest of those that are old enough: it says what all
	// of them say.
	dropMarks = `DELETE FROM sandbox_marks WHERE topic = $1 AND at < (SELECT MAX(m.at) FROM sandbox_marks m WHERE m.topic = $1 AND m.at <= $2)`
)

// mark notes how far a count had got at now, unless that is known, and forgets
// what was noted before oldest.
func (w *sweeper) mark(ctx context.Context, topic string, value int64, now, oldest time.Time) error {
	var at, last int64
	if err := w.store.r.QueryRowContext(ctx, selectMark, topic).Scan(&at, &last); err != nil {
		return fmt.Errorf("sweep: %w", explain(err))
	}
	if value <= last || micros(now)-at < markInterval.Microseconds() {
		return nil
	}
	err := w.store.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, insertMark, topic, micros(now), value); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, dropMarks, topic, micros(oldest))
		return err
	})
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	return nil
}

// marked returns how far a count had got at a time, as far as is known; 0 when
// nothing is.
func (w *sweeper) marked(ctx context.Context, topic string, at time.Time) (value int64, err error) {
	if err := w.store.r.GetContext(ctx, &value, markedAt, topic, micros(at)); err != nil {
		return 0, fmt.Errorf("sweep: %w", explain(err))
	}
	return value, nil
}
