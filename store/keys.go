package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/messaging"
)

var (
	_ auth.Store    = (*Store)(nil)
	_ auth.KeyStore = (*Store)(nil)
)

// errNoKey is the fault of a key that is absent or of another workspace.
var errNoKey = fault.ErrNotFound.Saying("There is no such key.")

type keyRow struct {
	WorkspaceID       string `db:"workspace_id"`
	Environment       string `db:"environment"`
	ID                string `db:"id"`
	Name              string `db:"name"`
	Hash              string `db:"hash"`
	Tag               string `db:"tag"`
	Last4             string `db:"last4"`
	Scopes            string `db:"scopes"`
	AllInstances      bool   `db:"all_instances"`
	RatePerMinute     int64  `db:"rate_per_minute"`
	RateBurst         int64  `db:"rate_burst"`
	MessagesPerMinute int64  `db:"messages_per_minute"`
	Lineage           string `db:"lineage"`
	SuccessorID       string `db:"successor_id"`
	CreatedAt         int64  `db:"created_at"`
	ExpiresAt         int64  `db:"expires_at"`
	RevokedAt         int64  `db:"revoked_at"`
	LastUsedAt        int64  `db:"last_used_at"`
}

func (r *keyRow) record() auth.Record {
	return auth.Record{
		ID: r.ID, Workspace: r.WorkspaceID, Environment: messaging.Environment(r.Environment), Name: r.Name,
		Hash: r.Hash, Tag: r.Tag, Last4: r.Last4, Scopes: r.Scopes, AllInstances: r.AllInstances,
		RatePerMinute: r.RatePerMinute, RateBurst: r.RateBurst, MessagesPerMinute: r.MessagesPerMinute,
		Lineage: r.Lineage, SuccessorID: r.SuccessorID,
		CreatedAt: fromMicros(r.CreatedAt), ExpiresAt: fromMicros(r.ExpiresAt),
		RevokedAt: fromMicros(r.RevokedAt), LastUsedAt: fromMicros(r.LastUsedAt),
	}
}

// lockRow is one instance that a key opens.
type lockRow struct {
	KeyID string `db:"key_id"`
	ID    string `db:"id"`
	Name  string `db:"name"`
}

// The readers of keys differ in their condition alone, which follows both
// texts.
const (
	selectKeys = `SELECT k.workspace_id, k.environment, k.id, k.name, k.hash, k.tag, k.last4, k.scopes, k.all_instances,
		k.rate_per_minute, k.rate_burst, k.messages_per_minute, k.lineage, k.successor_id,
		k.created_at, k.expires_at, k.revoked_at, k.last_used_at
		FROM api_keys k WHERE `
	selectLocks = `SELECT l.key_id, i.id, i.name
		FROM api_key_instances l
		JOIN api_keys k ON k.workspace_id = l.workspace_id AND k.environment = l.environment AND k.id = l.key_id
		JOIN instances i ON i.workspace_id = l.workspace_id AND i.environment = l.environment AND i.id = l.instance_id
		WHERE `
)

// Keys returns the records of all keys of all workspaces.
func (s *Store) Keys(ctx context.Context) ([]auth.Record, error) { return s.keysWhere(ctx, "1 = 1") }

// Key returns one record of any workspace. Fault: fault.ErrNotFound.
func (s *Store) Key(ctx context.Context, id string) (auth.Record, error) {
	return s.keyWhere(ctx, "k.id = $1", id)
}

// FindKey returns one record of a workspace. Fault: fault.ErrNotFound.
func (s *Store) FindKey(ctx context.Context, workspace, id string) (auth.Record, error) {
	return s.keyWhere(ctx, "k.workspace_id = $1 AND k.id = $2", workspace, id)
}

// ListKeys returns the records of a workspace, newest first.
func (s *Store) ListKeys(ctx context.Context, workspace string) ([]auth.Record, error) {
	return s.keysWhere(ctx, "k.workspace_id = $1", workspace)
}

// KeyEpoch grows with every change of a key.
func (s *Store) KeyEpoch(ctx context.Context) (int64, error) { return s.epoch(ctx, "keys") }

func (s *Store) keyWhere(ctx context.Context, condition string, args ...any) (auth.Record, error) {
	found, err := s.keysWhere(ctx, condition, args...)
	if err != nil {
		return auth.Record{}, err
	}
	if len(found) == 0 {
		return auth.Record{}, errNoKey
	}
	return found[0], nil
}

// keysWhere reads keys first and their locks second: a key's locks come with
// it in one transaction and only ever become fewer, so that no key is seen
// without a lock that it has.
func (s *Store) keysWhere(ctx context.Context, condition string, args ...any) ([]auth.Record, error) {
	var found []keyRow
	if err := s.r.SelectContext(ctx, &found, selectKeys+condition+` ORDER BY k.created_at DESC, k.id DESC`, args...); err != nil {
		return nil, fmt.Errorf("keys: %w", explain(err))
	}
	if len(found) == 0 {
		return nil, nil
	}
	var locks []lockRow
	if err := s.r.SelectContext(ctx, &locks, selectLocks+condition+` ORDER BY l.key_id, i.id`, args...); err != nil {
		return nil, fmt.Errorf("locks of keys: %w", explain(err))
	}
	allowed := make(map[string][]auth.AllowedInstance)
	for _, l := range locks {
		allowed[l.KeyID] = append(allowed[l.KeyID], auth.AllowedInstance{ID: l.ID, Name: l.Name})
	}
	records := make([]auth.Record, len(found))
	for i := range found {
		records[i] = found[i].record()
		records[i].Instances = allowed[found[i].ID]
	}
	return records, nil
}

// InsertKey stores a key with its lock and returns it with the names of its
// instances. Fault: fault.ErrValidation, field instances.
func (s *Store) InsertKey(ctx context.Context, r auth.Record) (auth.Record, error) {
	err := s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		if err := insertKey(ctx, tx, &r); err != nil {
			return err
		}
		for _, allowed := range r.Instances {
			if err := insertLock(ctx, tx, &r, allowed.ID); err != nil {
				return err
			}
		}
		return bump(ctx, tx, "keys")
	})
	if err != nil {
		return auth.Record{}, err
	}
	return s.FindKey(ctx, r.Workspace, r.ID)
}

func insertKey(ctx context.Context, tx *sqlx.Tx, r *auth.Record) error {
	const q = `INSERT INTO api_keys (workspace_id, environment, id, name, hash, tag, last4, scopes, all_instances,
		rate_per_minute, rate_burst, messages_per_minute, lineage, successor_id, created_at, expires_at, revoked_at, last_used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`
	_, err := tx.ExecContext(ctx, q, r.Workspace, string(r.Environment), r.ID, r.Name, r.Hash, r.Tag, r.Last4, r.Scopes,
		r.AllInstances, r.RatePerMinute, r.RateBurst, r.MessagesPerMinute, r.Lineage, r.SuccessorID,
		micros(r.CreatedAt), micros(r.ExpiresAt), micros(r.RevokedAt), micros(r.LastUsedAt))
	if err != nil {
		return fmt.Errorf("insert key: %w", err)
	}
	return nil
}

// insertLock locks a key to one more instance, which must be there and belong
// to the key's tenancy.
func insertLock(ctx context.Context, tx *sqlx.Tx, r *auth.Record, instanceID string) error {
	const q = `INSERT INTO api_key_instances (workspace_id, environment, key_id, instance_id)
		SELECT i.workspace_id, i.environment, CAST($1 AS TEXT), i.id FROM instances i
		WHERE i.workspace_id = $2 AND i.environment = $3 AND i.id = $4 AND i.deleted_at = 0`
	res, err := tx.ExecContext(ctx, q, r.ID, r.Workspace, string(r.Environment), instanceID)
	if err != nil {
		return fmt.Errorf("insert lock: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return fmt.Errorf("insert lock: %w", err)
	}
	if n == 0 {
		return fault.Fields{{
			Field: "instances", Rule: "exists",
			Message: "names an instance that is not there in the key's environment",
		}}.Err()
	}
	return nil
}

// RevokeKey ends a key, unless that was done before, and returns it.
// Fault: fault.ErrNotFound.
func (s *Store) RevokeKey(ctx context.Context, workspace, id string, at time.Time) (auth.Record, error) {
	const q = `UPDATE api_keys SET revoked_at = $1 WHERE workspace_id = $2 AND id = $3 AND revoked_at = 0`
	err := s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		res, err := tx.ExecContext(ctx, q, micros(at), workspace, id)
		if err != nil {
			return fmt.Errorf("revoke key: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return bump(ctx, tx, "keys")
	})
	if err != nil {
		return auth.Record{}, err
	}
	return s.FindKey(ctx, workspace, id)
}

// RotateKey stores a key's successor, which inherits its lock, and shortens
// the key's own life. Fault: fault.ErrConflict when the key has been revoked or
// rotated already.
func (s *Store) RotateKey(ctx context.Context, rotation auth.Rotation) error {
	const (
		retire = `UPDATE api_keys SET expires_at = $1, revoked_at = $2, successor_id = $3
			WHERE workspace_id = $4 AND id = $5 AND revoked_at = 0 AND successor_id = ''`
		inherit = `INSERT INTO api_key_instances (workspace_id, environment, key_id, instance_id)
			SELECT l.workspace_id, l.environment, CAST($1 AS TEXT), l.instance_id FROM api_key_instances l
			WHERE l.workspace_id = $2 AND l.key_id = $3`
	)
	old, successor := &rotation.Old, &rotation.Successor
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		res, err := tx.ExecContext(ctx, retire, micros(old.ExpiresAt), micros(old.RevokedAt), successor.ID, old.Workspace, old.ID)
		if err != nil {
			return fmt.Errorf("retire key: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil {
			return fmt.Errorf("retire key: %w", err)
		} else if n == 0 {
			return fault.ErrConflict.Saying("This key has been revoked or rotated already.")
		}
		if err := insertKey(ctx, tx, successor); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, inherit, successor.ID, old.Workspace, old.ID); err != nil {
			return fmt.Errorf("inherit lock: %w", err)
		}
		return bump(ctx, tx, "keys")
	})
}

// touchKeys never takes a time back: another node may have written a later one.
var touchKeys = &rows{
	head:    `UPDATE api_keys SET last_used_at = v.column2 FROM `,
	form:    asTable,
	columns: []kind{text, number},
	tail:    ` WHERE api_keys.id = v.column1 AND api_keys.last_used_at < v.column2`,
}

// touchedAtOnce bounds one transaction of TouchKeys, so that it does not stand
// in the way of messages.
const touchedAtOnce = 256

// TouchKeys notes when keys were last used. It does not move the epoch: a use
// changes no right, and every node would read all keys again.
func (s *Store) TouchKeys(ctx context.Context, usedAt map[string]time.Time) error {
	args := make([]any, 0, 2*len(usedAt))
	for id, at := range usedAt {
		args = append(args, id, micros(at))
	}
	for len(args) > 0 {
		n := min(len(args), 2*touchedAtOnce)
		err := s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
			return txConn{s, tx}.write(ctx, touchKeys, args[:n])
		})
		if err != nil {
			return fmt.Errorf("touch keys: %w", err)
		}
		args = args[n:]
	}
	return nil
}
