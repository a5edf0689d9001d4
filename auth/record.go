package auth

import (
	"context"
	"time"

	"portaria/messaging"
)

// Record is a key as it is stored. It never holds the token, only its bcrypt
// hash, the tag that keeps wrong secrets away from bcrypt, and its last four
// characters for display.
type Record struct {
	ID                string // key_ and the token's public id
	Workspace         string
	Environment       messaging.Environment
	Name              string
	Hash              string // bcrypt of the whole token
	Tag               string // four bytes of a SHA-256 of the token, in hex
	Last4             string
	Scopes            string // as written, separated by spaces
	AllInstances      bool
	Instances         []AllowedInstance
	RatePerMinute     int64
	RateBurst         int64
	MessagesPerMinute int64
	Lineage           string // the id of the first key of the rotation chain
	SuccessorID       string // empty until the key is rotated
	CreatedAt         time.Time
	ExpiresAt         time.Time // zero: never
	RevokedAt         time.Time // zero: not revoked
	LastUsedAt        time.Time // zero: never used
}

// Store is what the Directory reads. Faults: fault.ErrNotFound from Key.
type Store interface {
	// Keys returns the records of all keys of all workspaces, revoked ones too.
	Keys(ctx context.Context) ([]Record, error)
	// Key returns one record by its id, of any workspace.
	Key(ctx context.Context, id string) (Record, error)
	// KeyEpoch returns a number that every change of a key raises in the
	// change's own transaction.
	KeyEpoch(ctx context.Context) (int64, error)
	// TouchKeys notes when keys were last used. It does not raise the epoch.
	TouchKeys(ctx context.Context, usedAt map[string]time.Time) error
}

// KeyStore is what Keys writes. Every write raises the key epoch in its own
// transaction. Keys of other workspaces are fault.ErrNotFound.
type KeyStore interface {
	// Key returns one record by its id, of any workspace.
	Key(ctx context.Context, id string) (Record, error)
	// FindKey returns one record of the workspace.
	FindKey(ctx context.Context, workspace, id string) (Record, error)
	// ListKeys returns the records of the workspace, newest first.
	ListKeys(ctx context.Context, workspace string) ([]Record, error)
	// InsertKey stores a key and returns it with the names of its instances.
	// An instance that is absent, deleted or of another tenancy is
	// fault.ErrValidation, field instances.
	InsertKey(ctx context.Context, record Record) (Record, error)
	// RevokeKey sets the time of revocation unless there is one already.
	RevokeKey(ctx context.Context, workspace, id string, at time.Time) (Record, error)
	// RotateKey stores the successor and shortens the life of the old key, in
	// one transaction. fault.ErrConflict when the old key has been revoked or
	// rotated already.
	RotateKey(ctx context.Context, rotation Rotation) error
}

// Rotation replaces a key by its successor.
type Rotation struct {
	Old       Record // with its new ExpiresAt, RevokedAt and SuccessorID
	Successor Record
}
