package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/messaging"
)

// insertClaim takes a scope that is free, or whose answer has outlived its 24
// hours and was not swept yet.
const insertClaim = `INSERT INTO idempotency_keys (workspace_id, environment, scope, request_hash, status, body, created_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7)
	ON CONFLICT (workspace_id, environment, scope) DO UPDATE SET request_hash = excluded.request_hash, status = excluded.status,
		body = excluded.body, created_at = excluded.created_at
		WHERE idempotency_keys.created_at <= excluded.created_at - ` + claimLifeMicros

// claimArgs are the columns of a claim. They carry the machine's time: a
// caller's retries do not run on a sandbox clock.
func claimArgs(workspace string, env messaging.Environment, c *messaging.Claim) []any {
	return []any{workspace, string(env), c.Scope, c.RequestHash, int64(c.Status), string(c.Body), micros(time.Now())}
}

// claim stores a claim in the committer's transaction; false when the scope is
// taken.
func claim(ctx context.Context, b *batchConn, workspace string, env messaging.Environment, c *messaging.Claim) (bool, error) {
	res, err := b.exec(ctx, insertClaim, claimArgs(workspace, env, c)...)
	if err != nil {
		return false, fmt.Errorf("claim: %w", err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// claimIn stores a claim in a transaction of its own; ErrIdempotencyRace.
func claimIn(ctx context.Context, tx *sqlx.Tx, workspace string, env messaging.Environment, c *messaging.Claim) error {
	res, err := tx.ExecContext(ctx, insertClaim, claimArgs(workspace, env, c)...)
	if err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrIdempotencyRace)
	}
	return nil
}

// Claimed returns what is kept under scope; false when nothing is.
func (s *Store) Claimed(ctx context.Context, t messaging.Tenancy, scope string) (c messaging.Claim, ok bool, err error) {
	const q = `SELECT request_hash, status, body FROM idempotency_keys
		WHERE workspace_id = $1 AND environment = $2 AND scope = $3 AND created_at > $4`
	c.Scope = scope
	oldest := micros(time.Now().Add(-claimLife))
	err = s.r.QueryRowContext(ctx, q, t.Workspace(), string(t.Environment()), scope, oldest).Scan(&c.RequestHash, &c.Status, &c.Body)
	if errors.Is(err, sql.ErrNoRows) {
		return c, false, nil
	}
	return c, err == nil, explain(err)
}

// Keep stores a claim, or replaces the answer of one with the same request.
func (s *Store) Keep(ctx context.Context, t messaging.Tenancy, c messaging.Claim) error {
	const q = `INSERT INTO idempotency_keys (workspace_id, environment, scope, request_hash, status, body, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (workspace_id, environment, scope) DO UPDATE SET status = excluded.status, body = excluded.body
			WHERE idempotency_keys.request_hash = excluded.request_hash`
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, q, claimArgs(t.Workspace(), t.Environment(), &c)...)
		return err
	})
}

// claimLife is how long an answer can be replayed (API.md section 2).
const (
	claimLife       = 24 * time.Hour
	claimLifeMicros = "86400000000" // the same, in SQL
)
