package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/events/webhooks"
	"portaria/internal/fault"
	"portaria/messaging"
)

// dueOn is when what was asked for at a time of a world is due: in a live world
// by the machine's clock, which all live deliveries go by.
func dueOn(env messaging.Environment, at, now time.Time) time.Time {
	if env == messaging.Test {
		return at
	}
	return now
}

// QueueTest records an event of type webhook.test and queues it for its endpoint
// alone. Fault: fault.ErrNotFound.
func (s *Store) QueueTest(ctx context.Context, e webhooks.Endpoint, at time.Time) (d webhooks.Delivery, err error) {
	err = s.inEventTx(ctx, func(tx *sqlx.Tx, log *eventLog) error {
		if err := s.lockEndpoint(ctx, tx, e.WorkspaceID, e.Environment, e.ID); err != nil {
			return err
		}
		event, err := log.record(ctx, txConn{s, tx}, messaging.Event{
			Type: messaging.EventWebhookTest, WorkspaceID: e.WorkspaceID, Environment: e.Environment, Timestamp: at, Webhook: &e.Webhook,
		})
		if err != nil {
			return err
		}
		now := time.Now()
		d = s.queuedDelivery(e.ID, &event, now, dueOn(e.Environment, at, now))
		d.Direct = true
		return log.queue(ctx, txConn{s, tx}, insertDirect, d)
	})
	return d, err
}

// queue inserts deliveries outside the committer.
func (l *eventLog) queue(ctx context.Context, b conn, r *rows, deliveries ...webhooks.Delivery) error {
	var args []any
	for i := range deliveries {
		args = queuedArgs(args, &deliveries[i])
		l.queued = append(l.queued, deliveries[i].WebhookID)
	}
	if err := b.write(ctx, r, args); err != nil {
		return fmt.Errorf("insert deliveries: %w", err)
	}
	return nil
}

// QueueReplay queues the event of a delivery once more. Faults:
// fault.ErrNotFound; webhooks.ErrNotDelivered while the delivery is pending.
func (s *Store) QueueReplay(ctx context.Context, d webhooks.Delivery, at time.Time) (webhooks.Delivery, error) {
	const q = `SELECT state FROM webhook_deliveries WHERE webhook_id = $1 AND id = $2`
	again := d
	err := s.inEventTx(ctx, func(tx *sqlx.Tx, log *eventLog) error {
		if err := s.lockEndpoint(ctx, tx, d.WorkspaceID, d.Environment, d.WebhookID); err != nil {
			return err
		}
		var state webhooks.DeliveryState
		err := tx.GetContext(ctx, &state, q, d.WebhookID, d.ID)
		if errors.Is(err, sql.ErrNoRows) {
			return fault.ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("delivery: %w", err)
		}
		if state == webhooks.Pending {
			return webhooks.ErrNotDelivered
		}
		now := time.Now()
		again = s.queuedDelivery(d.WebhookID, &messaging.Event{
			WorkspaceID: d.WorkspaceID, Environment: d.Environment, Sequence: d.Sequence, ID: d.EventID, Type: d.EventType, InstanceID: d.InstanceID,
		}, now, dueOn(d.Environment, at, now))
		again.Direct = true
		return log.queue(ctx, txConn{s, tx}, insertDirect, again)
	})
	if err != nil {
		return webhooks.Delivery{}, err
	}
	return again, nil
}
