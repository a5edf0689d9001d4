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
	LinkedID    string `db:"linked_id"`
	Relinked    bool   `db:"relinked"`
	Place       int64  `db:"relinked_place"`
	Ask         string `db:"ask"`
	AskedAt     int64  `db:"asked_at"`
	PairPhone   string `db:"pair_phone"`
	Metadata    string `db:"metadata"`
	Settings    string `db:"settings"`
	CreatedAt   int64  `db:"created_at"`
}

const instanceColumns = `workspace_id, environment, id, name, driver, desired, state, state_reason, state_since, state_until,
	phone, push_name, linked_id, relinked, relinked_place, ask, asked_at, pair_phone, metadata, settings, created_at`

func (r *instanceRow) instance() messaging.Instance {
	return messaging.Instance{
		ID: r.ID, WorkspaceID: r.WorkspaceID, Environment: messaging.Environment(r.Environment), Name: r.Name,
		Driver: messaging.DriverName(r.Driver), Desired: messaging.Desired(r.Desired),
		State: messaging.InstanceState(r.State), StateReason: r.StateReason,
		StateSince: fromMicros(r.StateSince), StateUntil: fromMicros(r.StateUntil),
		Phone: r.Phone, PushName: r.PushName, LinkedID: r.LinkedID, Relinked: r.Relinked, RelinkedPlace: r.Place,
		Ask: messaging.Ask(r.Ask), AskedAt: fromMicros(r.AskedAt), PairPhone: r.PairPhone,
		Metadata: []byte(r.Metadata), Settings: []byte(r.Settings), CreatedAt: fromMicros(r.CreatedAt),
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
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
			$16, $17, $18, $19, $20, $21)`
	return s.inEventTx(ctx, func(tx *sqlx.Tx, log *eventLog) error {
		if claim != nil {
			if err := claimIn(ctx, tx, i.WorkspaceID, i.Environment, claim); err != nil {
				return err
			}
		}
		if err := unseen(ctx, tx, "instances", i.ID); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, q, i.WorkspaceID, string(i.Environment), i.ID, i.Name, string(i.Driver), string(i.Desired),
			string(i.State), i.StateReason, micros(i.StateSince), micros(i.StateUntil), i.Phone, i.PushName,
			i.LinkedID, i.Relinked, i.RelinkedPlace, string(i.Ask), micros(i.AskedAt), i.PairPhone, string(i.Metadata), string(i.Settings), micros(i.CreatedAt))
		if isUnique(err) {
			return ErrNameTaken
		}
		if err != nil {
			return fmt.Errorf("insert instance: %w", err)
		}
		if err := s.recordInstanceEvent(ctx, tx, log, messaging.EventInstanceCreated, i, i.CreatedAt); err != nil {
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
	updateInstance = `UPDATE instances SET metadata = $1, settings = $2, desired = $3, ask = $4, asked_at = $5, pair_phone = $6, relinked = $7
		WHERE workspace_id = $8 AND environment = $9 AND id = $10`
)

// ChangeInstance reads an instance, lets change alter what its owner decides
// (its metadata, settings, desire and ask, and that a relinked phone has been
// dealt with), and stores it, with nobody writing in between. The code of a
// pairing that was asked for earlier goes with a new ask. Fault:
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
		before := i.AskedAt
		if err := change(&i); err != nil {
			return err
		}
		i.AskedAt = clip(i.AskedAt)
		if !i.AskedAt.Equal(before) {
			if _, err := tx.ExecContext(ctx, deletePairing, workspace, string(env), id); err != nil {
				return fmt.Errorf("hide pairing: %w", err)
			}
		}
		if _, err := tx.ExecContext(ctx, updateInstance, string(i.Metadata), string(i.Settings), string(i.Desired), string(i.Ask),
			micros(i.AskedAt), i.PairPhone, i.Relinked, workspace, string(env), id); err != nil {
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
	return s.inEventTx(ctx, func(tx *sqlx.Tx, log *eventLog) error {
		res, err := tx.ExecContext(ctx, hide, micros(i.StateSince), i.WorkspaceID, string(i.Environment), i.ID)
		if err != nil {
			return fmt.Errorf("delete instance: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, instances.ErrNotFound)
		}
		if _, err := tx.ExecContext(ctx, deletePairing, i.WorkspaceID, string(i.Environment), i.ID); err != nil {
			return fmt.Errorf("hide pairing: %w", err)
		}
		if _, err := tx.ExecContext(ctx, unlock, i.WorkspaceID, string(i.Environment), i.ID); err != nil {
			return fmt.Errorf("unlock: %w", err)
		}
		if err := s.recordInstanceEvent(ctx, tx, log, messaging.EventInstanceDeleted, i, i.StateSince); err != nil {
			return err
		}
		if err := bump(ctx, tx, "keys"); err != nil {
			return err
		}
		return bump(ctx, tx, "instances")
	})
}

// recordInstanceEvent appends the event of an act in the act's own transaction.
func (s *Store) recordInstanceEvent(ctx context.Context, tx *sqlx.Tx, log *eventLog, typ messaging.EventType, i messaging.Instance, at time.Time) error {
	_, err := log.record(ctx, txConn{s, tx}, messaging.Event{
		Type: typ, WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, Timestamp: at, Instance: &i,
	})
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
