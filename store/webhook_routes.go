package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/events/webhooks"
	"portaria/messaging"
)

// routes are the enabled endpoints by world, as far as they are known: every
// event is matched with those of its world when it is written. The worlds are
// guarded by Store.writing.
type routes struct {
	worlds map[tenancyKey][]messaging.Webhook
	node   string // who delivers what this process writes

	epoch atomic.Int64 // as it was last seen
	stale atomic.Bool  // it has moved since the worlds were read
}

func (r *routes) forget() { clear(r.worlds) }

func (r *routes) forgetWorld(k tenancyKey) { delete(r.worlds, k) }

// seen takes note of the epoch of the endpoints.
func (r *routes) seen(epoch int64) {
	if r.epoch.Swap(epoch) != epoch {
		r.stale.Store(true)
	}
}

// DeliverAs names the node whose work the deliveries are that this process
// queues from now on; empty, as in a process that delivers nothing: whoever
// takes them.
func (s *Store) DeliverAs(node string) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.routes.node = node
}

const selectRoutes = `SELECT ` + webhookColumns + ` FROM webhooks w
	WHERE w.workspace_id = $1 AND w.environment = $2 AND w.enabled = TRUE AND w.deleted_at = 0`

// of returns the enabled endpoints of a world, and reads them when they are not
// known. Store.writing is held.
func (r *routes) of(ctx context.Context, b conn, k tenancyKey) ([]messaging.Webhook, error) {
	if r.stale.Load() && r.stale.Swap(false) {
		clear(r.worlds)
	}
	if known, ok := r.worlds[k]; ok {
		return known, nil
	}
	found, err := b.look(ctx, selectRoutes, k.workspace, k.environment)
	if err != nil {
		return nil, fmt.Errorf("webhooks of a world: %w", err)
	}
	var rows []webhookRow
	if err := errorsJoinClose(sqlx.StructScan(found, &rows), found); err != nil {
		return nil, fmt.Errorf("webhooks of a world: %w", err)
	}
	known := make([]messaging.Webhook, len(rows))
	for i := range rows {
		if known[i], err = rows[i].webhook(); err != nil {
			return nil, err
		}
	}
	r.worlds[k] = known
	return known, nil
}

// TestNow sets who knows the clocks of test worlds. A run has a clock of its
// own, which may be ahead of its workspace's: what endpoints are told of it does
// not wait until the workspace has got there. It is asked once for each delivery,
// while nobody else can write: it must not block, and must not use the store. It
// is set once, before the first write.
func (s *Store) TestNow(f func(workspace string) (now time.Time, ok bool)) { s.testNow = f }

// testDue returns when a delivery of a test world's event is due, by the clock of
// its workspace.
func (s *Store) testDue(e *messaging.Event) time.Time {
	if s.testNow == nil {
		return e.Timestamp
	}
	if now, ok := s.testNow(e.WorkspaceID); ok && now.Before(e.Timestamp) {
		return now
	}
	return e.Timestamp
}

// route queues every event for the endpoints that hear of it. Live deliveries
// are due by the machine's clock: an event may be older, as a message is that
// came while the phone was off. A test world has a clock of its own, which its
// events tell.
func (l *eventLog) route(ctx context.Context, b conn) error {
	s := b.of()
	var world tenancyKey
	var endpoints []messaging.Webhook
	var args []any
	var now time.Time
	for i := range l.events {
		e := &l.events[i]
		if k := (tenancyKey{e.WorkspaceID, string(e.Environment)}); i == 0 || k != world {
			var err error
			if endpoints, err = s.routes.of(ctx, b, k); err != nil {
				return err
			}
			world = k
		}
		for j := range endpoints {
			if !endpoints[j].Hears(e) {
				continue
			}
			if now.IsZero() {
				now = time.Now()
			}
			due := now
			if e.Environment == messaging.Test {
				due = s.testDue(e)
			}
			q := s.queuedDelivery(endpoints[j].ID, e, now, due)
			q.Due = q.Due.Add(webhooks.PolicyOf(&endpoints[j]).FirstWait())
			args = queuedArgs(args, &q)
			l.queued = append(l.queued, q.WebhookID)
		}
	}
	if err := b.write(ctx, insertDeliveries, args); err != nil {
		return fmt.Errorf("insert deliveries: %w", err)
	}
	return nil
}
