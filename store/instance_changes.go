package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/messaging"
)

const updateInstanceState = `UPDATE instances SET state = $1, state_reason = $2, state_since = $3, state_until = $4, desired = $5,
		phone = $6, push_name = $7, linked_id = $8, relinked = $9, ask = $10
	WHERE workspace_id = $11 AND environment = $12 AND id = $13`

// applyInstance moves what is observed of an instance, as Instance.Apply says.
// What is no event is stored and told to TellInstances all the same.
func (r *recording) applyInstance(ctx context.Context, c messaging.InstanceChange) error {
	c.At = clip(c.At)
	c.Until = clip(c.Until)
	i, ok, err := r.instanceToChange(ctx, c)
	if err != nil {
		return fmt.Errorf("instance: %w", err)
	}
	if !ok {
		return nil
	}
	before, phone := i.State, i.Phone
	changed, told := i.Apply(c)
	if !changed {
		return nil
	}
	if _, err := r.b.exec(ctx, updateInstanceState, string(i.State), i.StateReason, micros(i.StateSince), micros(i.StateUntil),
		string(i.Desired), i.Phone, i.PushName, i.LinkedID, i.Relinked, string(i.Ask),
		c.WorkspaceID, string(c.Environment), c.InstanceID); err != nil {
		return fmt.Errorf("instance state: %w", err)
	}
	if i.State != before && i.State != messaging.InstancePairing {
		if _, err := r.b.exec(ctx, deletePairing, c.WorkspaceID, string(c.Environment), c.InstanceID); err != nil {
			return fmt.Errorf("hide pairing: %w", err)
		}
	}
	if c.Linked != nil && c.Linked.ID != "" {
		if _, err := r.b.exec(ctx, usePairingLinks, micros(time.Now()), c.InstanceID); err != nil {
			return fmt.Errorf("use pairing links: %w", err)
		}
	}
	if i.Relinked && i.Phone != phone {
		r.relinked = append(r.relinked, c)
	}
	r.instances = true
	r.events.instances = append(r.events.instances, i)
	if told {
		r.events.add(messaging.Event{
			Type: c.Type, WorkspaceID: c.WorkspaceID, Environment: c.Environment, InstanceID: c.InstanceID,
			Timestamp: c.At, Instance: &i,
		})
	}
	return nil
}

// saveRelinked notes up to which place messages wait for the number that an
// instance had before. It is one of the last things of a commit: by then the
// heads of the events are locked, and nobody else accepts a message.
func (r *recording) saveRelinked(ctx context.Context) error {
	const q = `UPDATE instances SET relinked_place = (SELECT COALESCE(MAX(position), 0) FROM outbox WHERE instance_id = $1)
		WHERE workspace_id = $2 AND environment = $3 AND id = $1`
	for _, c := range r.relinked {
		if _, err := r.b.exec(ctx, q, c.InstanceID, c.WorkspaceID, string(c.Environment)); err != nil {
			return fmt.Errorf("place of another phone: %w", err)
		}
	}
	return nil
}

// instanceToChange reads the instance that a change names; false when there is
// none.
func (r *recording) instanceToChange(ctx context.Context, c messaging.InstanceChange) (i messaging.Instance, ok bool, err error) {
	found, err := r.b.query(ctx, selectInstanceToChange, c.WorkspaceID, string(c.Environment), c.InstanceID)
	if err != nil {
		return i, false, err
	}
	var rows []instanceRow
	if err := errorsJoinClose(sqlx.StructScan(found, &rows), found); err != nil || len(rows) == 0 {
		return i, false, err
	}
	return rows[0].instance(), true, nil
}

// saveEpoch tells other processes that instances have changed. Every writer
// locks the heads of the events first and the epochs behind them, so that two
// processes on one PostgreSQL never wait for each other.
func (r *recording) saveEpoch(ctx context.Context) error {
	const q = `UPDATE epochs SET value = value + 1 WHERE topic = 'instances'`
	if !r.instances {
		return nil
	}
	if _, err := r.b.exec(ctx, q); err != nil {
		return fmt.Errorf("epoch: %w", err)
	}
	return nil
}
