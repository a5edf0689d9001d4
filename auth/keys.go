package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"portaria/internal/fault"
	"portaria/messaging"
)

// The range of bcrypt costs, and the one that is used unless told otherwise.
const (
	DefaultBcryptCost = 10
	MinBcryptCost     = 4
	MaxBcryptCost     = 14
)

// KeyState is whether a key opens anything just now.
type KeyState string

// The states of a key.
const (
	KeyActive  KeyState = "active"
	KeyExpired KeyState = "expired"
	KeyRevoked KeyState = "revoked"
)

// Key is a key as its owner may see it: all but the secret and its hash.
type Key struct {
	ID                string
	Workspace         string
	Environment       messaging.Environment
	Name              string
	Display           string // sk_live_<id>…<last 4>
	State             KeyState
	Scopes            []string
	AllInstances      bool
	Instances         []AllowedInstance // nil when AllInstances
	RatePerMinute     int64
	RateBurst         int64
	MessagesPerMinute int64 // zero: no limit of its own
	Lineage           string
	SuccessorID       string // empty until the key is rotated
	CreatedAt         time.Time
	ExpiresAt         time.Time // zero: never
	RevokedAt         time.Time // zero: not revoked
	LastUsedAt        time.Time // zero: never; written every few seconds
}

// KeysOptions says what Keys works with.
type KeysOptions struct {
	Store KeyStore
	// Directory, when there is one in this process, learns of changes at once.
	Directory  *Directory
	BcryptCost int              // zero: DefaultBcryptCost
	Now        func() time.Time // nil: time.Now
}

// Keys mints and ends keys, for the command line and the dashboard. No route
// of the API reaches it.
type Keys struct {
	store     KeyStore
	directory *Directory
	cost      int
	now       func() time.Time
}

// NewKeys returns the service.
func NewKeys(options KeysOptions) (*Keys, error) {
	k := &Keys{store: options.Store, directory: options.Directory, cost: options.BcryptCost, now: options.Now}
	if k.store == nil {
		return nil, errors.New("auth: keys need a store")
	}
	if k.cost == 0 {
		k.cost = DefaultBcryptCost
	}
	if k.cost < MinBcryptCost || k.cost > MaxBcryptCost {
		return nil, fmt.Errorf("auth: bcrypt cost %d is not between %d and %d", k.cost, MinBcryptCost, MaxBcryptCost)
	}
	if k.now == nil {
		k.now = time.Now
	}
	return k, nil
}

// Create mints a key. The token is in nobody's hands but the caller's: show it
// once. Faults: fault.ErrValidation.
func (k *Keys) Create(ctx context.Context, draft NewKey) (Key, Token, error) {
	record, err := draft.record(k.clock())
	if err != nil {
		return Key{}, Token{}, err
	}
	token, err := k.mint(&record)
	if err != nil {
		return Key{}, Token{}, err
	}
	record.Lineage = record.ID
	if record, err = k.store.InsertKey(ctx, record); err != nil {
		return Key{}, Token{}, fmt.Errorf("create key: %w", err)
	}
	if k.directory != nil {
		k.directory.admit(record, token)
	}
	return k.show(record), token, nil
}

// List returns the keys of a workspace, newest first.
func (k *Keys) List(ctx context.Context, workspace string) ([]Key, error) {
	records, err := k.store.ListKeys(ctx, workspace)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	keys := make([]Key, len(records))
	for i, r := range records {
		keys[i] = k.show(r)
	}
	return keys, nil
}

// Show returns one key. Fault: fault.ErrNotFound.
func (k *Keys) Show(ctx context.Context, workspace, id string) (Key, error) {
	record, err := k.store.FindKey(ctx, workspace, id)
	if err != nil {
		return Key{}, fmt.Errorf("show key: %w", err)
	}
	return k.show(record), nil
}

// Revoke ends a key at once. To revoke it again changes nothing.
// Fault: fault.ErrNotFound.
func (k *Keys) Revoke(ctx context.Context, workspace, id string) (Key, error) {
	record, err := k.store.RevokeKey(ctx, workspace, id, k.clock())
	if err != nil {
		return Key{}, fmt.Errorf("revoke key: %w", err)
	}
	if k.directory != nil {
		k.directory.Revoked(record.ID)
	}
	return k.show(record), nil
}

// Rotate mints a successor with the same rights and a life of the same length,
// and lets the old key live for the grace period at most; without one it is
// revoked now. Both share their lineage, and with it buckets and idempotency.
// Faults: fault.ErrNotFound, fault.ErrValidation, fault.ErrConflict for a key
// that has been revoked or rotated.
func (k *Keys) Rotate(ctx context.Context, workspace, id string, grace time.Duration) (Key, Token, error) {
	if grace < 0 {
		return Key{}, Token{}, fault.Fields{{Field: "grace", Rule: "min", Message: "must not be negative"}}.Err()
	}
	old, err := k.store.FindKey(ctx, workspace, id)
	if err != nil {
		return Key{}, Token{}, fmt.Errorf("rotate key: %w", err)
	}
	if err := rotatable(old); err != nil {
		return Key{}, Token{}, err
	}
	now := k.clock()
	successor := old
	successor.CreatedAt, successor.LastUsedAt, successor.SuccessorID = now, time.Time{}, ""
	if !old.ExpiresAt.IsZero() {
		successor.ExpiresAt = now.Add(old.ExpiresAt.Sub(old.CreatedAt))
	}
	token, err := k.mint(&successor)
	if err != nil {
		return Key{}, Token{}, err
	}
	old.SuccessorID = successor.ID
	if end := now.Add(grace).Truncate(precision); grace == 0 {
		old.RevokedAt = now
	} else if old.ExpiresAt.IsZero() || end.Before(old.ExpiresAt) {
		old.ExpiresAt = end
	}
	if err := k.store.RotateKey(ctx, Rotation{Old: old, Successor: successor}); err != nil {
		return Key{}, Token{}, fmt.Errorf("rotate key: %w", err)
	}
	if k.directory != nil {
		k.directory.Apply(old)
		k.directory.admit(successor, token)
	}
	return k.show(successor), token, nil
}

// rotatable refuses a key that has ended or has a successor.
func rotatable(r Record) error {
	switch {
	case !r.RevokedAt.IsZero():
		return fault.ErrConflict.Saying("This key has been revoked; create a new one.")
	case r.SuccessorID != "":
		return fault.ErrConflict.Saying("This key has been rotated already; rotate its successor.").With("successor_id", r.SuccessorID)
	}
	return nil
}

// Check proves a token against its stored hash and returns its key, whatever
// its state. It is for operators: unlike the door, it says why it refuses.
// Faults: ErrMalformedToken, ErrUnauthorized.
func (k *Keys) Check(ctx context.Context, text string) (Key, error) {
	token, err := Parse(strings.TrimSpace(text))
	if err != nil {
		return Key{}, err
	}
	record, err := k.store.Key(ctx, token.KeyID())
	switch {
	case errors.Is(err, fault.ErrNotFound):
		return Key{}, ErrUnauthorized.Saying("There is no key with this token's id.")
	case err != nil:
		return Key{}, fmt.Errorf("check key: %w", err)
	case bcrypt.CompareHashAndPassword([]byte(record.Hash), []byte(token.Reveal())) != nil:
		return Key{}, ErrUnauthorized.Saying("The secret is not that of the key with this id.")
	}
	return k.show(record), nil
}

// mint draws a token and writes into the record what is kept of it.
func (k *Keys) mint(record *Record) (Token, error) {
	token := Mint(record.Environment)
	hash, err := bcrypt.GenerateFromPassword([]byte(token.Reveal()), k.cost)
	if err != nil {
		return Token{}, fmt.Errorf("hash token: %w", err)
	}
	record.ID, record.Hash = token.KeyID(), string(hash)
	record.Tag, record.Last4 = formatTag(tagOf(token)), token.last4()
	return token, nil
}

// precision is that of stored times. What is kept in memory has no more of it,
// or a record would differ from itself once it is read back.
const precision = time.Microsecond

// clock is the time as it is stored.
func (k *Keys) clock() time.Time { return k.now().UTC().Truncate(precision) }

func (k *Keys) show(r Record) Key {
	key := Key{
		ID:                r.ID,
		Workspace:         r.Workspace,
		Environment:       r.Environment,
		Name:              r.Name,
		Display:           display(r.Environment, publicID(r.ID), r.Last4),
		State:             KeyActive,
		Scopes:            strings.Fields(r.Scopes),
		AllInstances:      r.AllInstances,
		RatePerMinute:     r.RatePerMinute,
		RateBurst:         r.RateBurst,
		MessagesPerMinute: r.MessagesPerMinute,
		Lineage:           r.Lineage,
		SuccessorID:       r.SuccessorID,
		CreatedAt:         r.CreatedAt,
		ExpiresAt:         r.ExpiresAt,
		RevokedAt:         r.RevokedAt,
		LastUsedAt:        r.LastUsedAt,
	}
	if !r.AllInstances {
		key.Instances = append([]AllowedInstance{}, r.Instances...)
	}
	switch {
	case !r.RevokedAt.IsZero():
		key.State = KeyRevoked
	case !r.ExpiresAt.IsZero() && !k.now().Before(r.ExpiresAt):
		key.State = KeyExpired
	}
	return key
}
