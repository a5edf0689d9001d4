package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/instances"
	"portaria/messaging"
)

var _ instances.Store = (*Store)(nil)

// instanceRow is a row of instances.
type instanceRow struct {
	WorkspaceID string `db:"workspace_id"`
	Environment string `db:"environment"`
	ID          string `db:"id"`
	Name        string `db:"name"`
	Driver      string `db:"driver"`
	Desired     string `db:"desired"`
	State       string `db:"state"`
	StateReason string `db:"state_reason"`
	StateSince  int64  `db:"state_since"`
	StateUntil  int64  `db:"state_until"`
	Phone       string `db:"phone"`
	PushName    string `db:"push_name"`
	Metadata    string `db:"metadata"`
	Settings    string `db:"settings"`
	CreatedAt   int64  `db:"created_at"`
}

const instanceColumns = `workspace_id, environment, id, name, driver, desired, state, state_reason, state_since, state_until,
	phone, push_name, metadata, settings, created_at`

func (r *instanceRow) instance() messaging.Instance {
	return messaging.Instance{
		ID: r.ID, WorkspaceID: r.WorkspaceID, Environment: messaging.Environment(r.Environment), Name: r.Name,
		Driver: messaging.DriverName(r.Driver), Desired: messaging.Desired(r.Desired),
		State: messaging.InstanceState(r.State), StateReason: r.StateReason,
		StateSince: fromMicros(r.StateSince), StateUntil: fromMicros(r.StateUntil),
		Phone: r.Phone, PushName: r.PushName, Metadata: []byte(r.Metadata), Settings: []byte(r.Settings),
		CreatedAt: fromMicros(r.CreatedAt),
	}
}

// InstanceEpoch grows with every change of an instance.
func (s *Store) InstanceEpoch(ctx context.Context) (int64, error) { return s.epoch(ctx, "instances") }

// AllInstances lists every instance of every workspace, for the manager.
func (s *Store) AllInstances(ctx context.Context) ([]messaging.Instance, error) {
	const q = `SELECT ` + instanceColumns + ` FROM instances WHERE deleted_at = 0 ORDER BY id`
	return s.selectInstances(ctx, q)
}

func (s *Store) selectInstances(ctx context.Context, q string, args ...any) ([]messaging.Instance, error) {
	var found []instanceRow
	if err := s.r.SelectContext(ctx, &found, q, args...); err != nil {
		return nil, fmt.Errorf("instances: %w", explain(err))
	}
	out := make([]messaging.Instance, len(found))
	for i := range found {
		out[i] = found[i].instance()
	}
	return out, nil
}

// InsertInstance stores a new instance with its first event and its claim.
// Faults: ErrNameTaken, ErrIdempotencyRace.
func (s *Store) InsertInstance(ctx context.Context, i messaging.Instance, claim *messaging.Claim) error {
	const q = `INSERT INTO instances (` + instanceColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		if claim != nil {
			if err := claimIn(ctx, tx, i.WorkspaceID, i.Environment, claim); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, q, i.WorkspaceID, string(i.Environment), i.ID, i.Name, string(i.Driver), string(i.Desired),
			string(i.State), i.StateReason, micros(i.StateSince), micros(i.StateUntil), i.Phone, i.PushName,
			string(i.Metadata), string(i.Settings), micros(i.CreatedAt))
		if isUnique(err) {
			return ErrNameTaken
		}
		if err != nil {
			return fmt.Errorf("insert instance: %w", err)
		}
		if err := s.insertInstanceEvent(ctx, tx, messaging.EventInstanceCreated, i, i.CreatedAt); err != nil {
			return err
		}
		return bump(ctx, tx, "instances")
	})
}

const (
	// selectInstanceToChange locks what it reads where writers run side by side.
	selectInstanceToChange = `SELECT ` + instanceColumns + ` FROM instances
		WHERE workspace_id = $1 AND environment = $2 AND id = $3 AND deleted_at = 0
		FOR UPDATE -- only: postgres
`
	updateInstance = `UPDATE instances SET metadata = $1, settings = $2
		WHERE workspace_id = $3 AND environment = $4 AND id = $5`
)

// ChangeInstance reads an instance, lets change alter its metadata and
// settings, and stores them, with nobody writing in between. Fault:
// instances.ErrNotFound. An error of change is returned, and nothing is stored.
func (s *Store) ChangeInstance(ctx context.Context, workspace string, env messaging.Environment, id string, change func(*messaging.Instance) error) (i messaging.Instance, err error) {
	err = s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		var row instanceRow
		err := tx.GetContext(ctx, &row, s.engine.sql(selectInstanceToChange), workspace, string(env), id)
		if errors.Is(err, sql.ErrNoRows) {
			return instances.ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("instance: %w", err)
		}
		i = row.instance()
		if err := change(&i); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, updateInstance, string(i.Metadata), string(i.Settings), workspace, string(env), id); err != nil {
			return fmt.Errorf("update instance: %w", err)
		}
		return bump(ctx, tx, "instances")
	})
	if err != nil {
		return messaging.Instance{}, err
	}
	return i, nil
}

// DeleteInstance hides an instance, takes it out of every key's lock, and
// records the event. Its messages stay readable.
func (s *Store) DeleteInstance(ctx context.Context, i messaging.Instance) error {
	const hide = `UPDATE instances SET deleted_at = $1, desired = 'disconnected'
		WHERE workspace_id = $2 AND environment = $3 AND id = $4 AND deleted_at = 0`
	const unlock = `DELETE FROM api_key_instances WHERE workspace_id = $1 AND environment = $2 AND instance_id = $3`
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		res, err := tx.ExecContext(ctx, hide, micros(i.StateSince), i.WorkspaceID, string(i.Environment), i.ID)
		if err != nil {
			return fmt.Errorf("delete instance: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, instances.ErrNotFound)
		}
		if _, err := tx.ExecContext(ctx, unlock, i.WorkspaceID, string(i.Environment), i.ID); err != nil {
			return fmt.Errorf("unlock: %w", err)
		}
		if err := s.insertInstanceEvent(ctx, tx, messaging.EventInstanceDeleted, i, i.StateSince); err != nil {
			return err
		}
		if err := bump(ctx, tx, "keys"); err != nil {
			return err
		}
		return bump(ctx, tx, "instances")
	})
}

const updateInstanceState = `UPDATE instances SET state = $1, state_reason = $2, state_since = $3, state_until = $4
	WHERE workspace_id = $5 AND environment = $6 AND id = $7 AND deleted_at = 0 AND NOT (state = $1 AND state_reason = $2)
	RETURNING ` + instanceColumns

// applyInstance moves the observed state of an instance; the state it already
// has is no news.
func (r *recording) applyInstance(ctx context.Context, c messaging.InstanceChange) error {
	c.At = clip(c.At)
	found, err := r.b.query(ctx, updateInstanceState, string(c.State), c.Reason, micros(c.At), micros(c.Until),
		c.WorkspaceID, string(c.Environment), c.InstanceID)
	if err != nil {
		return fmt.Errorf("instance state: %w", err)
	}
	var changed []instanceRow
	if err := errorsJoinClose(sqlx.StructScan(found, &changed), found); err != nil {
		return fmt.Errorf("instance state: %w", err)
	}
	if len(changed) == 0 {
		return nil
	}
	r.instances = true
	i := changed[0].instance()
	r.events.add(messaging.Event{
		Type: c.Type, WorkspaceID: c.WorkspaceID, Environment: c.Environment, InstanceID: c.InstanceID,
		Timestamp: c.At, Instance: &i,
	})
	return nil
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

// insertInstanceEvent appends the event of an act in the act's own transaction.
func (s *Store) insertInstanceEvent(ctx context.Context, tx *sqlx.Tx, typ messaging.EventType, i messaging.Instance, at time.Time) error {
	log := eventLog{events: []messaging.Event{{
		Type: typ, WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, Timestamp: at, Instance: &i,
	}}}
	if err := log.number(ctx, txConn{s.engine, tx}); err != nil {
		return err
	}
	_, err := log.write(ctx, txConn{s.engine, tx})
	return err
}

// FindInstance finds an instance by id or name; instances.ErrNotFound.
func (s *Store) FindInstance(ctx context.Context, workspace string, env messaging.Environment, ref string) (messaging.Instance, error) {
	const q = `SELECT ` + instanceColumns + ` FROM instances
		WHERE workspace_id = $1 AND environment = $2 AND (id = $3 OR name = $3) AND deleted_at = 0`
	var row instanceRow
	err := s.r.GetContext(ctx, &row, q, workspace, string(env), ref)
	if errors.Is(err, sql.ErrNoRows) {
		return messaging.Instance{}, instances.ErrNotFound
	}
	if err != nil {
		return messaging.Instance{}, fmt.Errorf("instance: %w", explain(err))
	}
	return row.instance(), nil
}
