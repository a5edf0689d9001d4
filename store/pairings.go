package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"portaria/instances"
	"portaria/messaging"
)

const (
	// upsertPairing shows a code only on an instance that is there: one that has
	// been deleted meanwhile has nobody to show it to.
	upsertPairing = `INSERT INTO pairings (workspace_id, environment, instance_id, qr, code, expires_at)
		SELECT workspace_id, environment, id, CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT) FROM instances
		WHERE workspace_id = $4 AND environment = $5 AND id = $6 AND deleted_at = 0
		ON CONFLICT (workspace_id, environment, instance_id)
		DO UPDATE SET qr = excluded.qr, code = excluded.code, expires_at = excluded.expires_at`

	deletePairing = `DELETE FROM pairings WHERE workspace_id = $1 AND environment = $2 AND instance_id = $3`
)

// ShowPairing keeps the code that an instance shows now, in place of the one
// before. It goes by itself when the instance's state changes.
func (s *Store) ShowPairing(ctx context.Context, p messaging.Pairing) error {
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, s.engine.sql(upsertPairing), p.QR, p.Code, micros(p.ExpiresAt),
			p.WorkspaceID, string(p.Environment), p.InstanceID); err != nil {
			return fmt.Errorf("show pairing: %w", err)
		}
		return nil
	})
}

// HidePairing forgets the code of an instance, if there is one.
func (s *Store) HidePairing(ctx context.Context, workspace string, env messaging.Environment, instanceID string) error {
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, deletePairing, workspace, string(env), instanceID); err != nil {
			return fmt.Errorf("hide pairing: %w", err)
		}
		return nil
	})
}

// FindPairing returns the code of an instance, expired or not. Fault:
// instances.ErrNotPairing when there is none.
func (s *Store) FindPairing(ctx context.Context, workspace string, env messaging.Environment, instanceID string) (messaging.Pairing, error) {
	const q = `SELECT qr, code, expires_at FROM pairings WHERE workspace_id = $1 AND environment = $2 AND instance_id = $3`
	p := messaging.Pairing{WorkspaceID: workspace, Environment: env, InstanceID: instanceID}
	var expires int64
	err := s.r.QueryRowxContext(ctx, q, workspace, string(env), instanceID).Scan(&p.QR, &p.Code, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return messaging.Pairing{}, instances.ErrNotPairing
	}
	if err != nil {
		return messaging.Pairing{}, fmt.Errorf("pairing: %w", explain(err))
	}
	p.ExpiresAt = fromMicros(expires)
	return p, nil
}
