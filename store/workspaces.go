package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/internal/fault"
)

// Workspace is one tenant: an agency, a company, a developer.
type Workspace struct {
	ID        string
	Name      string
	CreatedAt time.Time
}

type workspaceRow struct {
	ID        string `db:"id"`
	Name      string `db:"name"`
	CreatedAt int64  `db:"created_at"`
}

func (r workspaceRow) workspace() Workspace {
	return Workspace{ID: r.ID, Name: r.Name, CreatedAt: fromMicros(r.CreatedAt)}
}

// InsertWorkspace stores a new workspace. Fault: ErrNameTaken.
func (s *Store) InsertWorkspace(ctx context.Context, w Workspace) error {
	const q = `INSERT INTO workspaces (id, name, created_at) VALUES ($1, $2, $3)`
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, q, w.ID, w.Name, micros(w.CreatedAt))
		if isUnique(err) {
			return ErrNameTaken
		}
		return err
	})
}

// Workspace finds a workspace by id or name. Fault: fault.ErrNotFound.
func (s *Store) Workspace(ctx context.Context, ref string) (Workspace, error) {
	const q = `SELECT id, name, created_at FROM workspaces WHERE id = $1 OR name = $1`
	var row workspaceRow
	err := s.r.GetContext(ctx, &row, q, ref)
	if errors.Is(err, sql.ErrNoRows) {
		return Workspace{}, fault.ErrNotFound.Saying("There is no such workspace.")
	}
	if err != nil {
		return Workspace{}, fmt.Errorf("workspace: %w", explain(err))
	}
	return row.workspace(), nil
}

// Workspaces lists all workspaces, oldest first.
func (s *Store) Workspaces(ctx context.Context) ([]Workspace, error) {
	const q = `SELECT id, name, created_at FROM workspaces ORDER BY id`
	var found []workspaceRow
	if err := s.r.SelectContext(ctx, &found, q); err != nil {
		return nil, fmt.Errorf("workspaces: %w", explain(err))
	}
	out := make([]Workspace, len(found))
	for i, r := range found {
		out[i] = r.workspace()
	}
	return out, nil
}
