package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"portaria/messaging"
)

// ForgetLinks has forget called for every deleted live instance that still names
// a session, unless one that is there names the same. Those for which it
// succeeds name none any more; its errors are joined.
func (s *Store) ForgetLinks(ctx context.Context, forget func(context.Context, messaging.Instance) error) error {
	const find = `SELECT ` + instanceColumns + ` FROM instances
		WHERE environment = 'live' AND deleted_at > 0 AND linked_id <> ''
			AND linked_id NOT IN (SELECT linked_id FROM instances WHERE environment = 'live' AND deleted_at = 0)`
	const settle = `UPDATE instances SET linked_id = '' WHERE workspace_id = $1 AND environment = 'live' AND id = $2 AND deleted_at > 0`
	left, err := s.selectInstances(ctx, find)
	if err != nil {
		return err
	}
	var failed error
	for _, i := range left {
		if err := forget(ctx, i); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", i.ID, err))
			continue
		}
		err := s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
			_, err := tx.ExecContext(ctx, settle, i.WorkspaceID, i.ID)
			return err
		})
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", i.ID, err))
		}
	}
	return failed
}
