package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/singleflight"

	"portaria/messaging"
)

// Options says what a Directory works with.
type Options struct {
	Store  Store
	Logger *slog.Logger     // nil: slog.Default()
	Now    func() time.Time // nil: time.Now
	// Concurrency is how many bcrypt verifications run at once. Zero: half of
	// GOMAXPROCS, at least one, so that verified callers keep a processor.
	Concurrency int
	// Queue is how many first verifications may wait for their turn before
	// others are told ErrBusy. Zero: 32 for each that runs.
	Queue int
	// compare is bcrypt; tests count its calls.
	compare func(hash, token []byte) error
}

// Directory knows every key and verifies tokens. A token goes this way:
//
//	parse, checksum ──✗→ 401
//	entry of its id ──none→ look-up in the store (bounded) ──none, revoked→ 401
//	revoked? ──yes→ 401
//	SHA-256(process key ‖ token) = verified digest? ──yes→ (expired?) → Grant
//	tag ──differs→ 401
//	single-flight → a bounded number at once ──full→ 503
//	bcrypt ──✗→ 401 ──✓→ keep the digest, unless the key changed meanwhile
//
// All but the last two lines and the look-up are lock-free.
type Directory struct {
	store   Store
	log     *slog.Logger
	now     func() time.Time
	compare func(hash, token []byte) error

	// secret makes verified digests worthless outside this process.
	secret  [sha256.Size]byte
	entries atomic.Pointer[table]

	hashing *gate
	flights singleflight.Group // by token: verifications; by id: look-ups
	unknown *unknownIDs

	epoch atomic.Int64 // of the store, at the last reload

	mu sync.Mutex // guards replacing entries, and what follows
	// generation counts reads and changes, so that a read that was under way
	// when this process changed a key does not bring the old state back.
	generation uint32
}

// New returns a directory that knows no keys until Load.
func New(options Options) (*Directory, error) {
	if options.Store == nil {
		return nil, errors.New("auth: a directory needs a store")
	}
	d := &Directory{
		store:   options.Store,
		log:     options.Logger,
		now:     options.Now,
		compare: options.compare,
	}
	if d.log == nil {
		d.log = slog.Default()
	}
	if d.now == nil {
		d.now = time.Now
	}
	if d.compare == nil {
		d.compare = bcrypt.CompareHashAndPassword
	}
	concurrency := options.Concurrency
	if concurrency <= 0 {
		concurrency = max(1, runtime.GOMAXPROCS(0)/2)
	}
	queue := options.Queue
	if queue <= 0 {
		queue = 32 * concurrency
	}
	d.hashing = newGate(concurrency, queue)
	d.unknown = newUnknownIDs()
	rand.Read(d.secret[:])
	d.entries.Store(newTable())
	return d, nil
}

// Authenticate returns what the holder of a token may do.
// Faults: ErrUnauthorized, ErrKeyExpired, ErrBusy, fault.ErrUnavailable.
func (d *Directory) Authenticate(ctx context.Context, text string) (*Grant, error) {
	token, err := Parse(text)
	if err != nil {
		return nil, ErrUnauthorized
	}
	e := d.entry(token.publicID())
	if e == nil {
		if e, err = d.lookUp(ctx, token); err != nil {
			return nil, err
		}
	}
	if e.revoked.Load() {
		return nil, ErrUnauthorized
	}
	if sum := digestOf(&d.secret, text); !e.proven.is(sum) {
		if e, err = d.verify(ctx, token, e, sum); err != nil {
			return nil, err
		}
	}
	now := d.now()
	if e.grant.expired(now) {
		return nil, ErrKeyExpired
	}
	e.touch(now)
	return &e.grant, nil
}

// entry returns the entry of a public id, or nil.
func (d *Directory) entry(publicID string) *entry { return d.entries.Load().find(publicID) }

// entryOf returns the entry of a key id, or nil.
func (d *Directory) entryOf(keyID string) *entry { return d.entry(publicID(keyID)) }

// publicID returns the part of a key id that its token carries.
func publicID(keyID string) string {
	if len(keyID) < len(messaging.KeyPrefix) {
		return ""
	}
	return keyID[len(messaging.KeyPrefix):]
}
