package store

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/events/webhooks"
	"portaria/messaging"
)

const (
	// replayChunk is how many events are looked at, and at most queued, in one
	// transaction.
	replayChunk = 500
	// replayScan is how many events of a world are looked through one by one.
	replayScan = 20_000
	// replayBudget is how many events one call looks at, so that it ends in time
	// where few of them are heard.
	replayBudget = 200_000
)

// QueueReplays queues what a range asks for, both its ends included and a zero
// Until standing for no end, oldest first, at most limit, and of what is queued
// before a fault or within replayBudget it says how far it has come. Fault: fault.ErrNotFound when the endpoint is gone.
//
// The events of a range are found by their sequences, which rise with time but
// for what was told late, as a message that came while the phone was off. Of
// worlds with many events, late ones that lie far from those of the range are
// not found; see beginningOf.
func (s *Store) QueueReplays(ctx context.Context, e webhooks.Endpoint, r webhooks.Range, at time.Time, limit int) (webhooks.Replayed, error) {
	e.Enabled = true // what it hears of does not depend on whether it is told now
	p := &replaying{store: s, endpoint: e, Range: r, at: at, limit: limit, from: micros(r.Since), rows: insertDirect, seen: make(map[int64]bool)}
	step := p.failures
	if r.All {
		p.rows, step = insertDeliveries, p.events
		var err error
		if p.after, err = s.beginningOf(ctx, worldOf(&e.Webhook), r.Since); err != nil {
			return webhooks.Replayed{}, err
		}
	}
	for done := false; !done && !p.more; {
		var err error
		if done, err = step(ctx); err != nil && p.queued == 0 {
			return webhooks.Replayed{}, err
		}
		if err != nil || !done && p.scanned >= replayBudget {
			p.more, p.last = true, p.looked // what was queued stays: go on behind it
		}
	}
	out := webhooks.Replayed{Queued: p.queued, More: p.more}
	if p.more {
		out.Last = p.last
	}
	return out, nil
}

// replaying is one call of QueueReplays.
type replaying struct {
	webhooks.Range

	store    *Store
	endpoint webhooks.Endpoint
	at       time.Time
	limit    int
	rows     *rows

	after  int64 // the sequence up to which events have been looked at
	from   int64 // the time and id of the delivery up to which failures have been looked at
	behind string
	seen   map[int64]bool

	scanned int       // events that were looked at …
	looked  time.Time // … up to this time
	queued  int
	last    time.Time
	more    bool
}

// replayable is an event to be queued, and the time that the range is about.
type replayable struct {
	event messaging.Event
	at    time.Time
}

func (p *replaying) within(t time.Time) bool {
	return !t.Before(p.Since) && (p.Until.IsZero() || !t.After(p.Until))
}

const (
	// bulkInstances are the instances of a bulk over several that an event e is
	// about, parted by spaces; empty for any other.
	bulkInstances = `CASE WHEN e.instance_id = '' AND e.message_id <> ''
		THEN COALESCE((SELECT k.instances FROM bulks k WHERE k.id = e.message_id), '') ELSE '' END`

	selectReplayEvents = `SELECT e.sequence, e.id, e.type, e.instance_id, e.occurred_at, ` + bulkInstances + ` AS instances FROM events e
		WHERE e.workspace_id = $1 AND e.environment = $2 AND e.sequence > $3 ORDER BY e.sequence LIMIT $4`
)

// aboutBulk makes an event one of a bulk over several instances, if there are any.
func aboutBulk(e *messaging.Event, instances string) {
	if instances != "" {
		e.Bulk = &messaging.Bulk{InstanceIDs: strings.Fields(instances)}
	}
}

// events takes the next events of the range that the endpoint hears of. Behind
// a chunk that is all later than the range, none is looked for.
func (p *replaying) events(ctx context.Context) (done bool, err error) {
	w := &p.endpoint.Webhook
	var found []struct {
		Sequence   int64  `db:"sequence"`
		ID         string `db:"id"`
		Type       string `db:"type"`
		InstanceID string `db:"instance_id"`
		OccurredAt int64  `db:"occurred_at"`
		Instances  string `db:"instances"`
	}
	if err := p.store.r.SelectContext(ctx, &found, selectReplayEvents, w.WorkspaceID, string(w.Environment), p.after, replayChunk); err != nil {
		return false, fmt.Errorf("events to replay: %w", explain(err))
	}
	var batch []replayable
	later := 0
	for _, f := range found {
		p.after = f.Sequence
		e := messaging.Event{
			WorkspaceID: w.WorkspaceID, Environment: w.Environment, Sequence: f.Sequence, ID: f.ID,
			Type: messaging.EventType(f.Type), InstanceID: f.InstanceID, Timestamp: fromMicros(f.OccurredAt),
		}
		aboutBulk(&e, f.Instances)
		if !p.Until.IsZero() && e.Timestamp.After(p.Until) {
			later++
		}
		if p.within(e.Timestamp) && w.Hears(&e) {
			batch = append(batch, replayable{e, e.Timestamp})
		}
	}
	if p.scanned += len(found); len(found) > 0 {
		p.looked = fromMicros(found[len(found)-1].OccurredAt)
	}
	done = len(found) < replayChunk || later == len(found)
	if len(batch) == 0 {
		return done, nil
	}
	return done, p.store.inEventTx(ctx, func(tx *sqlx.Tx, log *eventLog) error { return p.queue(ctx, tx, log, batch) })
}

// selectReplayFailures names the indexes to SQLite, which knows nothing of the
// numbers of rows: few fail.
const selectReplayFailures = `SELECT ` + deliveryColumns + `,
		COALESCE((SELECT ` + bulkInstances + ` FROM events e
			WHERE e.workspace_id = d.workspace_id AND e.environment = d.environment AND e.sequence = d.sequence), '') AS instances
	FROM webhook_deliveries d
		INDEXED BY webhook_deliveries_failed -- only: sqlite
	WHERE d.webhook_id = $1 AND d.state = 'failed' AND (d.created_at, d.id) > ($2, $3) AND d.created_at <= $4
		AND NOT EXISTS (SELECT 1 FROM webhook_deliveries o
			INDEXED BY webhook_deliveries_event -- only: sqlite
			WHERE o.webhook_id = d.webhook_id AND o.sequence = d.sequence
				AND (o.state = 'pending' OR o.state = 'delivered' AND o.id > d.id))
	ORDER BY d.created_at, d.id LIMIT $5`

// failures takes the next failed deliveries of the range. It looks at them in
// the transaction that queues them, so that two who ask at once do not both. An
// endpoint that has been narrowed since is not told of other instances.
func (p *replaying) failures(ctx context.Context) (done bool, err error) {
	w := &p.endpoint.Webhook
	until := int64(math.MaxInt64)
	if !p.Until.IsZero() {
		until = micros(p.Until)
	}
	err = p.store.inEventTx(ctx, func(tx *sqlx.Tx, log *eventLog) error {
		var found []struct {
			deliveryRow

			Instances string `db:"instances"`
		}
		if err := tx.SelectContext(ctx, &found, p.store.engine.sql(selectReplayFailures), w.ID, p.from, p.behind, until, replayChunk); err != nil {
			return fmt.Errorf("deliveries to replay: %w", err)
		}
		var batch []replayable
		for i := range found {
			f := found[i].delivery()
			p.from, p.behind = found[i].CreatedAt, f.ID
			e := messaging.Event{
				WorkspaceID: w.WorkspaceID, Environment: w.Environment, Sequence: f.Sequence, ID: f.EventID,
				Type: f.EventType, InstanceID: f.InstanceID,
			}
			aboutBulk(&e, found[i].Instances)
			own := w.Instances == nil || e.Type == messaging.EventWebhookTest || e.OpenTo(messaging.OnlyInstances(w.Instances...))
			if own && !p.seen[f.Sequence] {
				p.seen[f.Sequence] = true
				batch = append(batch, replayable{e, f.CreatedAt})
			}
		}
		done = len(found) < replayChunk
		if len(batch) > 0 {
			p.looked = batch[0].at
		}
		return p.queue(ctx, tx, log, batch)
	})
	return done, err
}

// queue queues as many as the limit has room for.
func (p *replaying) queue(ctx context.Context, tx *sqlx.Tx, log *eventLog, batch []replayable) error {
	if room := p.limit - p.queued; len(batch) > room {
		batch, p.more = batch[:room], true
	}
	if len(batch) == 0 {
		return nil
	}
	w := &p.endpoint.Webhook
	if err := p.store.lockEndpoint(ctx, tx, w.WorkspaceID, w.Environment, w.ID); err != nil {
		return err
	}
	now := time.Now()
	due := dueOn(w.Environment, p.at, now)
	deliveries := make([]webhooks.Delivery, len(batch))
	for i := range batch {
		deliveries[i] = p.store.queuedDelivery(w.ID, &batch[i].event, now, due)
	}
	p.queued += len(batch)
	p.last = batch[len(batch)-1].at
	return log.queue(ctx, txConn{p.store, tx}, p.rows, deliveries...)
}

// beginningOf returns a sequence behind which the events of a time and after it
// lie. Where there are many it halves the world again and again, and takes a
// place for earlier when all of the next events, up to a chunk, are: so it is
// misled only where more than a chunk in a row was told late.
func (s *Store) beginningOf(ctx context.Context, w messaging.World, since time.Time) (after int64, err error) {
	const ends = `SELECT COALESCE(MIN(sequence), 1) - 1 AS low, COALESCE(MAX(sequence), 0) AS high FROM events WHERE workspace_id = $1 AND environment = $2`
	const next = `SELECT COALESCE(MAX(occurred_at), 0) FROM (
		SELECT occurred_at FROM events WHERE workspace_id = $1 AND environment = $2 AND sequence > $3 ORDER BY sequence LIMIT $4) n`
	var world struct {
		Low  int64 `db:"low"`
		High int64 `db:"high"`
	}
	if err := s.r.GetContext(ctx, &world, ends, w.WorkspaceID, string(w.Environment)); err != nil {
		return 0, fmt.Errorf("events to replay: %w", explain(err))
	}
	low, high := world.Low, world.High
	if high-low <= replayScan {
		return low, nil
	}
	for high-low > replayChunk {
		middle := low + (high-low)/2
		var latest int64
		if err := s.r.GetContext(ctx, &latest, next, w.WorkspaceID, string(w.Environment), middle, replayChunk); err != nil {
			return 0, fmt.Errorf("events to replay: %w", explain(err))
		}
		if latest < micros(since) {
			low = middle
		} else {
			high = middle
		}
	}
	return max(low-replayChunk, world.Low), nil
}
