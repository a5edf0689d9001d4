package auth

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"portaria/internal/fault"
)

// slowPathTimeout bounds a look-up or a first verification, with its waiting.
// It replaces the caller's deadline, because others may share the result.
const slowPathTimeout = 5 * time.Second

// verify proves a token that the entry has not verified yet. It returns the
// entry that the proof holds for, which may be a newer one.
func (d *Directory) verify(ctx context.Context, token Token, e *entry, sum digest) (*entry, error) {
	if e.tag != tagOf(token) {
		return nil, ErrUnauthorized
	}
	proven, err, _ := d.flights.Do(token.text, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), slowPathTimeout)
		defer cancel()
		if err := d.hashing.enter(ctx); err != nil {
			return nil, err
		}
		defer d.hashing.leave()
		return d.prove(ctx, token, sum)
	})
	if err != nil {
		return nil, err
	}
	if e = proven.(*entry); e.revoked.Load() {
		return nil, ErrUnauthorized
	}
	return e, nil
}

// prove runs bcrypt against the key's stored hash, which is read now: hashes
// are not kept in memory, and what was read is as new as can be. The digest is
// kept only if the key is still what was read; a key that keeps changing
// meanwhile is told to come back.
func (d *Directory) prove(ctx context.Context, token Token, sum digest) (*entry, error) {
	for range 3 {
		if e := d.entry(token.publicID()); e != nil && e.proven.is(sum) {
			return e, nil // by a flight that ended just before this one began
		}
		record, readAt, err := d.read(ctx, token.KeyID())
		if err != nil {
			return nil, err
		}
		if !record.RevokedAt.IsZero() || parseTag(record.Tag) != tagOf(token) {
			d.put(readAt, []Record{record})
			return nil, ErrUnauthorized
		}
		if d.compare([]byte(record.Hash), []byte(token.text)) != nil {
			return nil, ErrUnauthorized
		}
		d.put(readAt, []Record{record})
		if e := d.entry(token.publicID()); e.describes(&record) {
			e.proven.store(sum)
			return e, nil
		}
	}
	return nil, ErrBusy
}

// read fetches one record, with the generation that it belongs to. A record
// that is gone is ErrUnauthorized.
func (d *Directory) read(ctx context.Context, keyID string) (Record, uint32, error) {
	readAt := d.begin()
	record, err := d.store.Key(ctx, keyID)
	switch {
	case errors.Is(err, fault.ErrNotFound):
		return Record{}, 0, ErrUnauthorized
	case err != nil:
		return Record{}, 0, fault.ErrUnavailable.Because(err)
	}
	return record, readAt, nil
}

// lookUp asks the store for an id that the directory does not know: a key that
// was minted a moment ago by another process, or an invention.
func (d *Directory) lookUp(ctx context.Context, token Token) (*entry, error) {
	id := token.publicID()
	if d.unknown.holds(id) {
		return nil, ErrUnauthorized
	}
	found, err, _ := d.flights.Do(id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), slowPathTimeout)
		defer cancel()
		if err := d.unknown.enter(ctx, d.now()); err != nil {
			return nil, err
		}
		defer d.unknown.leave()
		record, readAt, err := d.read(ctx, token.KeyID())
		if err == nil && !record.RevokedAt.IsZero() {
			err = ErrUnauthorized
		}
		if errors.Is(err, ErrUnauthorized) {
			d.unknown.add(id)
		}
		if err != nil {
			return nil, err
		}
		d.put(readAt, []Record{record})
		return d.entry(id), nil
	})
	if err != nil {
		return nil, err
	}
	return found.(*entry), nil
}

// gate lets a number of callers in at once and a number wait; others are told
// that it is busy.
type gate struct {
	slots   chan struct{}
	queue   int64
	waiting atomic.Int64
}

func newGate(slots, queue int) *gate {
	return &gate{slots: make(chan struct{}, slots), queue: int64(queue)}
}

// enter waits for a slot, which the caller must leave. Fault: ErrBusy.
func (g *gate) enter(ctx context.Context) error {
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.queue {
		return ErrBusy
	}
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ErrBusy.Because(ctx.Err())
	}
}

func (g *gate) leave() { <-g.slots }

// The bounds of look-ups for unknown ids: how many at once and a minute, and
// how many inventions are remembered. Polling finds new keys without them, so
// they only have to serve the first moments of a key.
const (
	lookUpSlots     = 4
	lookUpQueue     = 64
	lookUpPerMinute = 12_000
	lookUpBurst     = 200
	maxUnknown      = 4096
)

// unknownIDs remembers ids that the store did not know, and bounds what
// inventing more of them can cost.
type unknownIDs struct {
	*gate
	pace *Bucket

	mu  sync.Mutex // guards ids
	ids map[string]struct{}
}

func newUnknownIDs() *unknownIDs {
	return &unknownIDs{
		gate: newGate(lookUpSlots, lookUpQueue),
		pace: NewBucket(lookUpPerMinute, lookUpBurst),
		ids:  make(map[string]struct{}),
	}
}

func (u *unknownIDs) enter(ctx context.Context, now time.Time) error {
	if _, ok := u.pace.Take(now, 1); !ok {
		return ErrBusy
	}
	return u.gate.enter(ctx)
}

func (u *unknownIDs) holds(id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.ids[id]
	return ok
}

// add remembers an id. A full set begins anew: it is there to dampen
// repetition, and whoever draws fresh ids is bounded by the pace.
func (u *unknownIDs) add(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.ids) >= maxUnknown {
		clear(u.ids)
	}
	u.ids[strings.Clone(id)] = struct{}{}
}

func (u *unknownIDs) clear() {
	u.mu.Lock()
	defer u.mu.Unlock()
	clear(u.ids)
}
