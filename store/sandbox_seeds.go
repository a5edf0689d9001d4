package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
)

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
