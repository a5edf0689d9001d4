package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/messaging"
)

// How long the rows of events and webhooks are kept.
const (
	eventLife    = 30 * 24 * time.Hour // unless Options.EventRetention says something else
	deliveryLife = 30 * 24 * time.Hour // also of those that are pending
	webhookLife  = 30 * 24 * time.Hour // once deleted
)

const (
	selectOldDeliveries = `SELECT w.id FROM webhooks w
		WHERE EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.id < $1) ORDER BY w.id`

	sweepDeliveries = `DELETE FROM webhook_deliveries WHERE webhook_id = $1 AND id IN (
		SELECT id FROM webhook_deliveries WHERE webhook_id = $1 AND id < $2 ORDER BY id LIMIT $3)`

	selectOldWebhooks = `SELECT w.workspace_id, w.environment, w.id FROM webhooks w WHERE w.deleted_at > 0 AND w.deleted_at < $1
		AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.webhook_id = w.id)`

	sweepWebhook = `DELETE FROM webhooks WHERE workspace_id = $1 AND environment = $2 AND id = $3`
)

// sweepWebhooks deletes old deliveries, and endpoints that were deleted long ago
// and have none any more. How old a delivery is tells its id, by the machine's
// clock: a test world's clock may stand anywhere.
func (w *sweeper) sweepWebhooks(ctx context.Context, now time.Time) error {
	before := messaging.NewID(messaging.DeliveryPrefix, now.Add(-deliveryLife))
	var ids []string
	if err := w.store.r.SelectContext(ctx, &ids, selectOldDeliveries, before); err != nil {
		return fmt.Errorf("sweep: %w", explain(err))
	}
	for _, id := range ids {
		for n := int64(sweepChunk); n == sweepChunk; {
			var err error
			if n, err = w.delete(ctx, sweepDeliveries, id, before, sweepChunk); err != nil {
				return err
			}
		}
	}
	var gone []struct {
		messaging.World

		ID string `db:"id"`
	}
	if err := w.store.r.SelectContext(ctx, &gone, selectOldWebhooks, micros(now.Add(-webhookLife))); err != nil {
		return fmt.Errorf("sweep: %w", explain(err))
	}
	for _, g := range gone {
		err := w.store.inWriteTx(ctx, func(tx *sqlx.Tx) error {
			if _, err := tx.ExecContext(ctx, deleteWebhookInstances, g.WorkspaceID, string(g.Environment), g.ID); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, sweepWebhook, g.WorkspaceID, string(g.Environment), g.ID)
			return err
		})
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	return nil
}

const (
	// nextEvents looks at the next events that every sink has had, or should have
	// had long ago.
	nextEvents = `SELECT sequence, occurred_at FROM events WHERE workspace_id = $1 AND environment = $2 AND sequence > $3
		AND (occurred_at < $4
			OR sequence <= (SELECT COALESCE(MIN(c.sequence), $5) FROM sink_cursors c WHERE c.workspace_id = $1 AND c.environment = $2))
		ORDER BY sequence LIMIT $6`

	sweepEvents = `DELETE FROM events WHERE workspace_id = $1 AND environment = $2 AND sequence >= $3 AND sequence <= $4
		AND sequence NOT IN (SELECT d.sequence FROM webhooks w JOIN webhook_deliveries d ON d.webhook_id = w.id
			WHERE w.workspace_id = $1 AND w.environment = $2 AND w.deleted_at = 0
				AND d.sequence >= $3 AND d.sequence <= $4 AND d.state = 'pending')`
)

// sweepEvents deletes events, world by world, from the first one on as long as
// they are old: one goes only when those before it may go. What an endpoint is
// still to be told stays. So does what a sink has not had, but for twice as long
// at most: a sink may have been switched off for good. Live worlds go by the time
// of the events themselves.
func (w *sweeper) sweepEvents(ctx context.Context, now time.Time) error {
	worlds, err := w.store.Worlds(ctx)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	before, long := micros(now.Add(-w.store.eventLife)), micros(now.Add(-2*w.store.eventLife))
	for _, world := range worlds {
		if world.Environment == messaging.Test {
			err = w.sweepTestEvents(ctx, world, now)
		} else {
			err = w.sweepWorld(ctx, world, before, long)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *sweeper) sweepWorld(ctx context.Context, world messaging.World, before, long int64) error {
	workspace, env := world.WorkspaceID, string(world.Environment)
	for after := int64(0); ; {
		var found []struct {
			Sequence   int64 `db:"sequence"`
			OccurredAt int64 `db:"occurred_at"`
		}
		if err := w.store.r.SelectContext(ctx, &found, nextEvents, workspace, env, after, long, int64(math.MaxInt64), sweepChunk); err != nil {
			return fmt.Errorf("sweep: %w", explain(err))
		}
		old := 0
		for old < len(found) && found[old].OccurredAt < before {
			old++
		}
		if old == 0 {
			return nil
		}
		after = found[old-1].Sequence
		if _, err := w.delete(ctx, sweepEvents, workspace, env, found[0].Sequence, after); err != nil {
			return err
		}
		if old < sweepChunk {
			return nil
		}
	}
}
