package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"portaria/messaging"
)

// A bulk is forgotten in two steps: its row goes with those that name its
// instances, so that nobody sees it any more, and then the rest in short
// transactions. When a process dies in between, the next sweep finds the
// recipients, and SweepBulks the chunks.

const (
	selectTestBulks = `SELECT id FROM bulks WHERE workspace_id = $1 AND environment = 'test' ORDER BY id`

	deleteBulkInstances = `DELETE FROM bulk_instances WHERE workspace_id = $1 AND environment = 'test' AND bulk_id = $2`
	deleteBulk          = `DELETE FROM bulks WHERE workspace_id = $1 AND environment = 'test' AND id = $2`

	clearRecipients = `DELETE FROM bulk_recipients WHERE bulk_id = $1 AND environment = 'test' AND row_number <= (SELECT MAX(row_number) FROM (
		SELECT row_number FROM bulk_recipients WHERE bulk_id = $1 ORDER BY row_number LIMIT $2) first)`
)

// forgetBulks deletes all bulks of a workspace's test world.
func (s *Store) forgetBulks(ctx context.Context, workspace string) error {
	var ids []string
	if err := s.r.SelectContext(ctx, &ids, selectTestBulks, workspace); err != nil {
		return fmt.Errorf("bulks: %w", explain(err))
	}
	for _, id := range ids {
		if err := s.forgetBulk(ctx, workspace, id, func(*sqlx.Tx) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// forgetBulk deletes a bulk of a test world if check agrees in the transaction
// that deletes its row.
func (s *Store) forgetBulk(ctx context.Context, workspace, id string, check func(tx *sqlx.Tx) error) error {
	err := s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		if err := check(tx); err != nil {
			return err
		}
		for _, q := range []string{deleteBulkInstances, deleteBulk} {
			if _, err := tx.ExecContext(ctx, q, workspace, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget bulk: %w", err)
	}
	if err := s.drain(ctx, clearRecipients, id); err != nil {
		return fmt.Errorf("forget bulk: %w", err)
	}
	return s.DropBulk(ctx, id)
}

const (
	selectOldBulks = `SELECT id FROM bulks WHERE workspace_id = $1 AND environment = 'test' AND id < $2 AND ` + bulkIsOver + ` ORDER BY id`

	// bulkIsOver is true of a bulk that ended before $3, by its world's clock. What
	// ended behind $4, the machine's time, was told by a clock that runs ahead: then
	// its id alone says how old it is.
	bulkIsOver = `(state = 'completed' OR state = 'canceled' AND queued = 0) AND (ended_at < $3 OR ended_at > $4)`

	// selectOldBulk locks what it reads where writers run side by side.
	selectOldBulk = `SELECT id FROM bulks WHERE workspace_id = $1 AND environment = 'test' AND id = $2 AND ` + bulkIsOver + `
		FOR UPDATE -- only: postgres
`
	// selectStrayRecipients goes from one bulk to the next by the key, as
	// selectStray does.
	selectStrayRecipients = `WITH RECURSIVE n (id) AS (
			SELECT MIN(bulk_id) FROM bulk_recipients
			UNION ALL
			SELECT (SELECT MIN(r.bulk_id) FROM bulk_recipients r WHERE r.bulk_id > n.id) FROM n WHERE n.id IS NOT NULL
		) SELECT id FROM n WHERE id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM bulks k WHERE k.id = n.id)`
)

// errNotOver says that a bulk runs again.
var errNotOver = errors.New("the bulk is not over")

// sweepBulks deletes the bulks of a test world that ended long ago.
func (w *sweeper) sweepBulks(ctx context.Context, at *testAges) error {
	bound := messaging.NewID(messaging.BulkPrefix, at.before)
	var ids []string
	if err := w.store.r.SelectContext(ctx, &ids, selectOldBulks, at.workspace, bound, micros(at.worldBefore), micros(at.now)); err != nil {
		return fmt.Errorf("sweep: %w", explain(err))
	}
	for _, id := range ids {
		err := w.store.forgetBulk(ctx, at.workspace, id, func(tx *sqlx.Tx) error {
			var found string
			err := tx.GetContext(ctx, &found, w.store.engine.sql(selectOldBulk), at.workspace, id, micros(at.worldBefore), micros(at.now))
			if errors.Is(err, sql.ErrNoRows) {
				return errNotOver
			}
			return err
		})
		if err != nil && !errors.Is(err, errNotOver) {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	return nil
}

// sweepStrayRecipients deletes what a process left that died while it forgot a
// bulk.
func (w *sweeper) sweepStrayRecipients(ctx context.Context) error {
	var stray []string
	if err := w.store.r.SelectContext(ctx, &stray, selectStrayRecipients); err != nil {
		return fmt.Errorf("sweep: %w", explain(err))
	}
	for _, id := range stray {
		if err := w.store.drain(ctx, clearRecipients, id); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	return nil
}
