package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/internal/fault"
	"portaria/media"
	"portaria/messaging"
)

var _ media.Store = (*Store)(nil)

// InsertMedia stores what is known of a file. It is called when the bytes are
// safe on the disk.
func (s *Store) InsertMedia(ctx context.Context, m messaging.MediaInfo, createdAt time.Time) error {
	const q = `INSERT INTO media (workspace_id, environment, id, instance_id, lineage, mime, filename, size, sha256, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, q, m.WorkspaceID, string(m.Environment), m.ID, m.InstanceID, m.Lineage, m.MIME, m.Filename,
			m.Size, m.SHA256, micros(createdAt))
		if err != nil {
			return fmt.Errorf("insert media: %w", err)
		}
		return nil
	})
}

// FindMedia finds a file; fault.ErrNotFound. It asks for no tenancy's allowlist:
// media.Library does.
func (s *Store) FindMedia(ctx context.Context, workspace string, env messaging.Environment, id string) (messaging.MediaInfo, error) {
	const q = `SELECT instance_id, lineage, mime, filename, size, sha256 FROM media
		WHERE workspace_id = $1 AND environment = $2 AND id = $3`
	m := messaging.MediaInfo{ID: id, WorkspaceID: workspace, Environment: env}
	err := s.r.QueryRowContext(ctx, q, workspace, string(env), id).
		Scan(&m.InstanceID, &m.Lineage, &m.MIME, &m.Filename, &m.Size, &m.SHA256)
	if errors.Is(err, sql.ErrNoRows) {
		return messaging.MediaInfo{}, fault.ErrNotFound
	}
	if err != nil {
		return messaging.MediaInfo{}, fmt.Errorf("media: %w", explain(err))
	}
	return m, nil
}

// DeleteMedia forgets a file. One that is not there is no error.
func (s *Store) DeleteMedia(ctx context.Context, workspace string, env messaging.Environment, id string) error {
	const q = `DELETE FROM media WHERE workspace_id = $1 AND environment = $2 AND id = $3`
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, q, workspace, string(env), id); err != nil {
			return fmt.Errorf("delete media: %w", err)
		}
		return nil
	})
}
