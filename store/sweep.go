package store

import (
	"context"
	"fmt"
	"time"
)

// How long rows are kept that nobody asks for by id.
const (
	logLife       = 30 * 24 * time.Hour
	strangersLife = 7 * 24 * time.Hour // rows of api_logs that belong to no workspace
	sweepInterval = 10 * time.Minute
	sweepChunk    = 500 // rows a transaction, so that no sweep holds a commit up
)

const (
	sweepClaims = `DELETE FROM idempotency_keys WHERE (workspace_id, environment, scope) IN (
		SELECT workspace_id, environment, scope FROM idempotency_keys WHERE created_at < $1 LIMIT $2)`

	// The rows of api_logs come in the order of their time, so the oldest ids
	// are the oldest rows.
	sweepLogs = `DELETE FROM api_logs WHERE id IN (SELECT id FROM api_logs ORDER BY id LIMIT $2) AND at < $1`

	// nextStrangers looks through the next rows behind an id: how far they are
	// old, and whether any of these belongs to no workspace.
	nextStrangers = `SELECT COALESCE(MAX(id), 0) AS last, COUNT(CASE WHEN workspace_id = '' THEN 1 END) AS strangers
		FROM (SELECT id, at, workspace_id FROM api_logs WHERE id > $1 ORDER BY id LIMIT $2) next WHERE at < $3`

	sweepStrangers = `DELETE FROM api_logs WHERE id > $1 AND id <= $2 AND at < $3 AND workspace_id = ''`
)

// Sweep deletes what has outlived its promise at now: answers kept for
// Idempotency-Key after 24 hours, api_logs after 30 days, and after 7 days those
// that belong to no workspace, pairing links that have ended, deliveries after 30
// days, endpoints 30 days after they were deleted, events after
// Options.EventRetention, and what happened in test worlds after 7 days.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	return (&sweeper{store: s}).sweep(ctx, now)
}

// sweeper sweeps again and again.
type sweeper struct {
	store *Store
	// done is the id up to which no row of api_logs is without workspace. There
	// is no index that finds them: each row is looked at once.
	done int64
}

func (w *sweeper) sweep(ctx context.Context, now time.Time) error {
	for _, task := range []struct {
		query string
		life  time.Duration
	}{{sweepClaims, claimLife}, {sweepLogs, logLife}, {sweepPairingLinks, pairingLinkLife}} {
		for n := int64(sweepChunk); n == sweepChunk; {
			var err error
			if n, err = w.delete(ctx, task.query, micros(now.Add(-task.life)), sweepChunk); err != nil {
				return err
			}
		}
	}
	if err := w.sweepStrangers(ctx, micros(now.Add(-strangersLife))); err != nil {
		return err
	}
	if err := w.sweepWebhooks(ctx, now); err != nil {
		return err
	}
	if err := w.sweepEvents(ctx, now); err != nil {
		return err
	}
	return w.sweepSandbox(ctx, now)
}

// sweepStrangers goes on where it last ended, up to the first row that is
// younger than before.
func (w *sweeper) sweepStrangers(ctx context.Context, before int64) error {
	for {
		var next struct {
			Last      int64 `db:"last"`
			Strangers int64 `db:"strangers"`
		}
		if err := w.store.r.GetContext(ctx, &next, nextStrangers, w.done, sweepChunk, before); err != nil {
			return fmt.Errorf("sweep: %w", explain(err))
		}
		if next.Last == 0 {
			return nil
		}
		if next.Strangers > 0 {
			if _, err := w.delete(ctx, sweepStrangers, w.done, next.Last, before); err != nil {
				return err
			}
		}
		w.done = next.Last
	}
}

// delete runs one statement in a transaction of its own and returns how many
// rows it deleted.
func (w *sweeper) delete(ctx context.Context, query string, args ...any) (n int64, err error) {
	n, err = w.store.deleteSome(ctx, query, args...)
	if err != nil {
		return n, fmt.Errorf("sweep: %w", err)
	}
	return n, nil
}

// RunSweeps sweeps now and then until ctx ends.
func (s *Store) RunSweeps(ctx context.Context) error {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	w := sweeper{store: s}
	for {
		if err := w.sweep(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.log.Error("old rows not deleted", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
