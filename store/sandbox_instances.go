package store

import (
	"context"

	"portaria/internal/fault"
	"portaria/messaging"
)

// TestInstances lists the instances of a workspace's test world, in the order of
// their ids.
func (s *Store) TestInstances(ctx context.Context, workspace string) ([]messaging.Instance, error) {
	const q = `SELECT ` + instanceColumns + ` FROM instances
		WHERE workspace_id = $1 AND environment = 'test' AND deleted_at = 0 ORDER BY id`
	return s.selectInstances(ctx, q, workspace)
}

// InstanceShowing returns the test instance, of any workspace, that is being
// paired and whose QR shows a text; fault.ErrNotFound.
func (s *Store) InstanceShowing(ctx context.Context, qr string) (messaging.Instance, error) {
	const q = `SELECT ` + instanceColumns + ` FROM instances
		WHERE environment = 'test' AND deleted_at = 0 AND state = 'pairing'
			AND id IN (SELECT p.instance_id FROM pairings p WHERE p.environment = 'test' AND p.qr = $1 AND p.qr <> '')`
	found, err := s.selectInstances(ctx, q, qr)
	if err != nil {
		return messaging.Instance{}, err
	}
	if len(found) != 1 {
		return messaging.Instance{}, fault.ErrNotFound
	}
	return found[0], nil
}
