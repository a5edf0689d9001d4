package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/events/webhooks"
	"portaria/internal/fault"
	"portaria/messaging"
)

// Writers of endpoints take locks in one order: the endpoint's row, the heads of
// the events, the epoch.

// changeWorld runs f in a transaction that changes endpoints of a world. What f
// records is told to the endpoints as it has left them by then.
func (s *Store) changeWorld(ctx context.Context, w messaging.World, f func(tx *sqlx.Tx, log *eventLog) error) error {
	return s.inEventTx(ctx, func(tx *sqlx.Tx, log *eventLog) error {
		s.routes.forgetWorld(tenancyKey{w.WorkspaceID, string(w.Environment)})
		if err := f(tx, log); err != nil {
			return err
		}
		return bump(ctx, tx, "webhooks")
	})
}

func worldOf(w *messaging.Webhook) messaging.World {
	return messaging.World{WorkspaceID: w.WorkspaceID, Environment: w.Environment}
}

const insertWebhook = `INSERT INTO webhooks (workspace_id, environment, id, url, description, events, all_instances, chats, ordered, enabled,
		max_attempts, schedule, disabled_reason, disabled_at, failing_since, previous_until, created_at, secret, previous_secret)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`

// InsertEndpoint stores an endpoint and its claim. Faults: webhooks.ErrTooMany,
// ErrIdempotencyRace; fault.ErrValidation, field instances, for an instance that
// the world never had.
func (s *Store) InsertEndpoint(ctx context.Context, e webhooks.Endpoint, claim *messaging.Claim) error {
	const count = `SELECT COUNT(*) FROM webhooks WHERE workspace_id = $1 AND environment = $2 AND deleted_at = 0`
	r := newWebhookRow(&e.Webhook)
	return s.changeWorld(ctx, worldOf(&e.Webhook), func(tx *sqlx.Tx, _ *eventLog) error {
		if claim != nil {
			if err := claimIn(ctx, tx, e.WorkspaceID, e.Environment, claim); err != nil {
				return err
			}
		}
		if err := unseen(ctx, tx, "webhooks", e.ID); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, insertWebhook, r.WorkspaceID, r.Environment, r.ID, r.URL, r.Description, r.Events, r.AllInstances,
			r.Chats, r.Ordered, r.Enabled, r.MaxAttempts, r.Schedule, r.DisabledReason, r.DisabledAt, r.FailingSince, r.PreviousUntil,
			r.CreatedAt, e.Secret, e.PreviousSecret); err != nil {
			return fmt.Errorf("insert webhook: %w", err)
		}
		if err := insertWebhookInstances(ctx, tx, &e.Webhook); err != nil {
			return err
		}
		var n int
		if err := tx.GetContext(ctx, &n, count, r.WorkspaceID, r.Environment); err != nil {
			return fmt.Errorf("count webhooks: %w", err)
		}
		if n > webhooks.MaxEndpoints {
			return webhooks.ErrTooMany
		}
		return nil
	})
}

func insertWebhookInstances(ctx context.Context, tx *sqlx.Tx, w *messaging.Webhook) error {
	const q = `INSERT INTO webhook_instances (workspace_id, environment, webhook_id, instance_id)
		SELECT i.workspace_id, i.environment, CAST($1 AS TEXT), i.id FROM instances i
		WHERE i.workspace_id = $2 AND i.environment = $3 AND i.id = $4
		ON CONFLICT DO NOTHING`
	const known = `SELECT COUNT(*) FROM webhook_instances
		WHERE webhook_id = $1 AND workspace_id = $2 AND environment = $3 AND instance_id = $4`
	for _, id := range w.Instances {
		args := []any{w.ID, w.WorkspaceID, string(w.Environment), id}
		if _, err := tx.ExecContext(ctx, q, args...); err != nil {
			return fmt.Errorf("insert a webhook's instance: %w", err)
		}
		var n int
		if err := tx.GetContext(ctx, &n, known, args...); err != nil {
			return fmt.Errorf("insert a webhook's instance: %w", err)
		}
		if n == 0 {
			return fault.Fields{{
				Field: "instances", Rule: "exists",
				Message: "names an instance that is not there in the webhook's environment",
			}}.Err()
		}
	}
	return nil
}

const deleteWebhookInstances = `DELETE FROM webhook_instances WHERE workspace_id = $1 AND environment = $2 AND webhook_id = $3`

// ChangeEndpoint reads an endpoint, lets change alter it, and stores it with its
// claim, with nobody writing in between. The id, the world and the time of
// creation stay. An error of change is returned, and nothing is stored. Faults:
// fault.ErrNotFound, and those of InsertEndpoint.
func (s *Store) ChangeEndpoint(
	ctx context.Context, t messaging.Tenancy, id string, change func(*webhooks.Endpoint) error,
	claimFor func(webhooks.Endpoint) (*messaging.Claim, error),
) (e webhooks.Endpoint, err error) {
	world := messaging.World{WorkspaceID: t.Workspace(), Environment: t.Environment()}
	err = s.changeWorld(ctx, world, func(tx *sqlx.Tx, _ *eventLog) error {
		if err := s.lockEndpoint(ctx, tx, world.WorkspaceID, world.Environment, id); err != nil {
			return err
		}
		before, err := readEndpoint(ctx, tx, t, id)
		if err != nil {
			return err
		}
		e = before
		if err := change(&e); err != nil {
			return err
		}
		e.ID, e.WorkspaceID, e.Environment, e.CreatedAt = before.ID, before.WorkspaceID, before.Environment, before.CreatedAt
		if err := saveEndpoint(ctx, tx, &e); err != nil {
			return err
		}
		if claimFor == nil {
			return nil
		}
		claim, err := claimFor(e)
		if err != nil || claim == nil {
			return err
		}
		return claimIn(ctx, tx, world.WorkspaceID, world.Environment, claim)
	})
	if err != nil {
		return webhooks.Endpoint{}, err
	}
	return e, nil
}

const updateWebhook = `UPDATE webhooks SET url = $1, description = $2, events = $3, all_instances = $4, chats = $5, ordered = $6, enabled = $7,
		max_attempts = $8, schedule = $9, disabled_reason = $10, disabled_at = $11, failing_since = $12, previous_until = $13, secret = $14,
		previous_secret = $15
	WHERE workspace_id = $16 AND environment = $17 AND id = $18`

func saveEndpoint(ctx context.Context, tx *sqlx.Tx, e *webhooks.Endpoint) error {
	r := newWebhookRow(&e.Webhook)
	if _, err := tx.ExecContext(ctx, updateWebhook, r.URL, r.Description, r.Events, r.AllInstances, r.Chats, r.Ordered, r.Enabled,
		r.MaxAttempts, r.Schedule, r.DisabledReason, r.DisabledAt, r.FailingSince, r.PreviousUntil, e.Secret,
		e.PreviousSecret, r.WorkspaceID, r.Environment, r.ID); err != nil {
		return fmt.Errorf("update webhook: %w", err)
	}
	if _, err := tx.ExecContext(ctx, deleteWebhookInstances, r.WorkspaceID, r.Environment, r.ID); err != nil {
		return fmt.Errorf("update a webhook's instances: %w", err)
	}
	return insertWebhookInstances(ctx, tx, &e.Webhook)
}

// DeleteEndpoint hides an endpoint, forgets its secrets and its pending
// deliveries, and returns it as it was. Fault: fault.ErrNotFound.
func (s *Store) DeleteEndpoint(ctx context.Context, t messaging.Tenancy, id string) (e webhooks.Endpoint, err error) {
	const hide = `UPDATE webhooks SET deleted_at = $1, enabled = FALSE, secret = '', previous_secret = ''
		WHERE workspace_id = $2 AND environment = $3 AND id = $4`
	world := messaging.World{WorkspaceID: t.Workspace(), Environment: t.Environment()}
	err = s.changeWorld(ctx, world, func(tx *sqlx.Tx, _ *eventLog) (err error) {
		if err := s.lockEndpoint(ctx, tx, world.WorkspaceID, world.Environment, id); err != nil {
			return err
		}
		if e, err = readEndpoint(ctx, tx, t, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, hide, micros(time.Now()), world.WorkspaceID, string(world.Environment), id); err != nil {
			return fmt.Errorf("delete webhook: %w", err)
		}
		return nil
	})
	if err != nil {
		return webhooks.Endpoint{}, err
	}
	// Nobody works on what is left, and it does not outlive its 30 days.
	if err := s.dropPending(context.WithoutCancel(ctx), id); err != nil {
		s.log.Warn("pending deliveries of a deleted webhook are left", "webhook", id, "error", err)
	}
	return e, nil
}

// SetFailing notes since when an endpoint has been failing; zero: no more. That
// of one that is gone, or leads elsewhere by now, changes nothing.
func (s *Store) SetFailing(ctx context.Context, e webhooks.Endpoint, since time.Time) error {
	const q = `UPDATE webhooks SET failing_since = $1
		WHERE workspace_id = $2 AND environment = $3 AND id = $4 AND url = $5 AND deleted_at = 0 AND failing_since <> $1`
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		res, err := tx.ExecContext(ctx, q, micros(since), e.WorkspaceID, string(e.Environment), e.ID, e.URL)
		if err != nil {
			return fmt.Errorf("failing webhook: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return bump(ctx, tx, "webhooks")
	})
}

// errUnchanged ends a transaction that has found nothing to do.
var errUnchanged = errors.New("nothing to change")

// Disable switches an endpoint off for a reason and records webhook.disabled,
// unless it is off or gone.
func (s *Store) Disable(ctx context.Context, e webhooks.Endpoint, reason string, at time.Time) error {
	const q = `UPDATE webhooks SET enabled = FALSE, disabled_reason = $1, disabled_at = $2
		WHERE workspace_id = $3 AND environment = $4 AND id = $5 AND url = $6 AND deleted_at = 0 AND enabled = TRUE`
	tenancy := messaging.NewTenancy(e.WorkspaceID, e.Environment, messaging.AllInstances())
	err := s.changeWorld(ctx, worldOf(&e.Webhook), func(tx *sqlx.Tx, log *eventLog) error {
		res, err := tx.ExecContext(ctx, q, reason, micros(at), e.WorkspaceID, string(e.Environment), e.ID, e.URL)
		if err != nil {
			return fmt.Errorf("disable webhook: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, errUnchanged)
		}
		off, err := readEndpoint(ctx, tx, tenancy, e.ID)
		if err != nil {
			return err
		}
		_, err = log.record(ctx, txConn{s, tx}, messaging.Event{
			Type: messaging.EventWebhookDisabled, WorkspaceID: e.WorkspaceID, Environment: e.Environment,
			Timestamp: at, Webhook: &off.Webhook,
		})
		return err
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}
