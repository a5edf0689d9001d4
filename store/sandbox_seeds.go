package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/internal/fault"
	"portaria/messaging"
)

// Place is the place in the outbox behind all that was accepted before a time.
func Place(at time.Time) int64 { return micros(at) << nodeBits }

// SeedSource returns what ids that are drawn from a seed are made of besides it: the
// workspace's name, so that they are the same on another server.
func (s *Store) SeedSource(ctx context.Context, workspace string) (name string, err error) {
	if err := s.r.GetContext(ctx, &name, `SELECT name FROM workspaces WHERE id = $1`, workspace); err != nil {
		return "", fmt.Errorf("seed source: %w", explain(err))
	}
	return name, nil
}

// errSeedUsed is the fault of drawing an id from a seed that has been drawn before:
// what survives a reset keeps its id.
var errSeedUsed = fault.ErrConflict.Saying("The X-Sandbox-Seed has drawn the id of something that is still there. Delete that, or use another seed.")

// unseen refuses an id that was drawn from a seed and is in a table already. Ids
// that were drawn by chance are not looked up.
func unseen(ctx context.Context, tx *sqlx.Tx, table, id string) error {
	if messaging.SeedOf(ctx) == nil {
		return nil
	}
	var n int
	if err := tx.GetContext(ctx, &n, `SELECT COUNT(*) FROM `+table+` WHERE id = $1`, id); err != nil {
		return fmt.Errorf("seeded id: %w", err)
	}
	if n > 0 {
		return errSeedUsed
	}
	return nil
}

// NextSeed counts a request of a workspace that draws its ids from a seed, and
// returns how many came before it.
func (s *Store) NextSeed(ctx context.Context, workspace, seed string) (n int64, err error) {
	const q = `INSERT INTO sandbox_seeds (workspace_id, seed, requests) VALUES ($1, $2, 1)
		ON CONFLICT (workspace_id, seed) DO UPDATE SET requests = sandbox_seeds.requests + 1
		RETURNING requests`
	err = s.inWriteTx(ctx, func(tx *sqlx.Tx) error { return tx.GetContext(ctx, &n, q, workspace, seed) })
	if err != nil {
		return 0, fmt.Errorf("next seed: %w", err)
	}
	return n - 1, nil
}
