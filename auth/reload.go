package auth

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// How often Run looks and writes. Revocation by another process takes one poll.
const (
	pollEvery    = 250 * time.Millisecond
	flushEvery   = 5 * time.Second
	storeTimeout = 5 * time.Second
)

// Load reads all keys. Call it before the first request.
func (d *Directory) Load(ctx context.Context) error {
	epoch, err := d.store.KeyEpoch(ctx)
	if err != nil {
		return fmt.Errorf("key epoch: %w", err)
	}
	return d.reload(ctx, epoch)
}

// Run follows changes that other processes make and writes last-used times,
// until ctx ends. A store that does not answer is logged and asked again:
// verified keys keep working meanwhile.
func (d *Directory) Run(ctx context.Context) error {
	poll, flush := time.NewTicker(pollEvery), time.NewTicker(flushEvery)
	defer poll.Stop()
	defer flush.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return d.flush(context.WithoutCancel(ctx))
		case <-poll.C:
			err := d.poll(ctx)
			d.report(ctx, err, failing)
			failing = err != nil
		case <-flush.C:
			if err := d.flush(ctx); err != nil && ctx.Err() == nil {
				d.log.WarnContext(ctx, "last use of keys not written", "error", err)
			}
		}
	}
}

// report logs the beginning and the end of a time in which polls fail.
func (d *Directory) report(ctx context.Context, err error, failing bool) {
	switch {
	case ctx.Err() != nil:
	case err != nil && !failing:
		d.log.ErrorContext(ctx, "changes of keys cannot be read", "error", err)
	case err == nil && failing:
		d.log.InfoContext(ctx, "changes of keys are read again")
	}
}

// poll reloads the keys when the store's epoch has moved.
func (d *Directory) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	epoch, err := d.store.KeyEpoch(ctx)
	if err != nil {
		return fmt.Errorf("key epoch: %w", err)
	}
	if epoch == d.epoch.Load() {
		return nil
	}
	return d.reload(ctx, epoch)
}

// reload takes in all records. The epoch was read before them: what changes in
// between is read again by the next poll.
func (d *Directory) reload(ctx context.Context, epoch int64) error {
	readAt := d.begin()
	records, err := d.store.Keys(ctx)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	d.put(readAt, records)
	d.unknown.clear()
	d.epoch.Store(epoch)
	return nil
}

// Apply takes in keys that this process has just written, at once. Reads that
// are under way do not undo it.
func (d *Directory) Apply(records ...Record) {
	d.put(d.begin(), records)
	for _, r := range records {
		if !r.RevokedAt.IsZero() {
			d.Revoked(r.ID)
		}
	}
}

// Revoked ends a key at once; keyID is the id that the API shows. It cannot be
// taken back. A key that was not known here gets an entry too, because a
// look-up may be under way that still saw it alive.
func (d *Directory) Revoked(keyID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.generation++
	entries := d.entries.Load()
	e := entries.find(publicID(keyID))
	if e == nil {
		e = &entry{grant: Grant{KeyID: keyID}}
		d.entries.Store(newTable([]*entry{e}, entries.all()))
	}
	e.generation = d.generation
	e.revoked.Store(true)
}

// admit takes in a key that this process has just minted, and whose token is
// therefore proven.
func (d *Directory) admit(record Record, token Token) {
	d.Apply(record)
	if e := d.entryOf(record.ID); e != nil && e.describes(&record) {
		e.proven.store(digestOf(&d.secret, token.text))
	}
}

// begin starts a read or a change and returns its place in their order.
func (d *Directory) begin() uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.generation++
	return d.generation
}

// put takes in records that were read at a generation. Keys that were put since
// are newer than what was read then, and stay. Entries that say the same as
// their record stay too, with proof and buckets; a revoked entry stays revoked.
// Keys that were revoked before anybody here asked for them get no entry: they
// are as good as unknown.
func (d *Directory) put(readAt uint32, records []Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.entries.Load()
	lineages := lineagesOf(old, records)
	texts := make(interner)
	var changed []*entry
	for i := range records {
		r := &records[i]
		e := old.find(publicID(r.ID))
		switch {
		case e != nil && e.generation > readAt:
			continue
		case e == nil && !r.RevokedAt.IsZero():
			continue
		case e != nil && !r.RevokedAt.IsZero():
			e.revoked.Store(true)
		case e == nil || !e.revoked.Load() && !e.describes(r):
			e = newEntry(texts.record(r), e, lineages[r.Lineage])
			lineages[r.Lineage] = &e.grant
			changed = append(changed, e)
		}
		e.generation = readAt
	}
	if len(changed) > 0 {
		d.entries.Store(newTable(changed, old.all()))
	}
}

// lineagesOf finds the grants whose buckets new records may have to share. Only
// a key that came from a rotation can have older kin.
func lineagesOf(entries *table, records []Record) map[string]*Grant {
	lineages := make(map[string]*Grant)
	if slices.ContainsFunc(records, func(r Record) bool { return r.Lineage != r.ID }) {
		for _, e := range entries.all() {
			lineages[e.grant.Lineage] = &e.grant
		}
	}
	return lineages
}

// newEntry makes the entry of a record. Its buckets are those of the entry that
// it replaces, else of its kin, as long as the limits are the same.
func newEntry(r *Record, replaced *entry, kin *Grant) *entry {
	e := &entry{grant: newGrant(r), tag: parseTag(r.Tag)}
	if replaced != nil {
		kin = &replaced.grant
		e.lastUsed.Store(replaced.lastUsed.Swap(0))
	}
	var requests, messages *Bucket
	if kin != nil {
		requests, messages = kin.Requests, kin.Messages
	}
	e.grant.Requests = share(requests, r.RatePerMinute, r.RateBurst)
	if r.MessagesPerMinute > 0 {
		e.grant.Messages = share(messages, r.MessagesPerMinute, defaultBurst(r.MessagesPerMinute))
	}
	return e
}

func share(bucket *Bucket, perMinute, burst int64) *Bucket {
	if bucket != nil && bucket.limits(perMinute, burst) {
		return bucket
	}
	return NewBucket(perMinute, burst)
}

// flush writes the last-used times that were noted since the last flush. What
// could not be written is kept for the next.
func (d *Directory) flush(ctx context.Context) error {
	used := make(map[string]time.Time)
	for _, e := range d.entries.Load().all() {
		if s := e.lastUsed.Swap(0); s != 0 {
			used[e.grant.KeyID] = time.Unix(int64(s), 0).UTC()
		}
	}
	if len(used) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := d.store.TouchKeys(ctx, used); err != nil {
		for id, at := range used {
			if e := d.entryOf(id); e != nil {
				e.lastUsed.CompareAndSwap(0, uint32(at.Unix()))
			}
		}
		return fmt.Errorf("touch keys: %w", err)
	}
	return nil
}
