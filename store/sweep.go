package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// How long rows are kept that nobody asks for by id.
const (
	logLife       = 30 * 24 * time.Hour
	sweepInterval = 10 * time.Minute
	sweepChunk    = 2000 // rows a transaction, so that no sweep holds a commit up
)

const (
	sweepClaims = `DELETE FROM idempotency_keys WHERE (workspace_id, environment, scope) IN (
		SELECT workspace_id, environment, scope FROM idempotency_keys WHERE created_at < $1 LIMIT $2)`

	// The rows of api_logs come in the order of their time, so the oldest ids
	// are the oldest rows.
	sweepLogs = `DELETE FROM api_logs WHERE id IN (SELECT id FROM api_logs ORDER BY id LIMIT $2) AND at < $1`
)

// Sweep deletes what has outlived its promise at now: answers kept for
// Idempotency-Key after 24 hours, api_logs after 30 days.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	for _, task := range []struct {
		query string
		life  time.Duration
	}{{sweepClaims, claimLife}, {sweepLogs, logLife}} {
		for n := int64(sweepChunk); n == sweepChunk; {
			err := s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
				res, err := tx.ExecContext(ctx, task.query, micros(now.Add(-task.life)), sweepChunk)
				if err != nil {
					return err
				}
				n, err = res.RowsAffected()
				return err
			})
			if err != nil {
				return fmt.Errorf("sweep: %w", err)
			}
		}
	}
	return nil
}

// RunSweeps sweeps now and then until ctx ends.
func (s *Store) RunSweeps(ctx context.Context) error {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.log.Error("old rows not deleted", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
