package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"portaria/messaging"
	"portaria/sandbox"
)

// testLife is how long what happened in a test world is kept, by the machine's
// time; events no longer than Options.EventRetention.
const testLife = 7 * 24 * time.Hour

// testAges are the bounds of what is old in a workspace's test world.
type testAges struct {
	workspace string
	now       time.Time
	before    time.Time // by the machine's time
	// worldBefore is by the world's clock, or by the machine's where that is
	// behind: what a frozen clock tells of does not age.
	worldBefore time.Time
}

// sweepSandbox deletes what happened in test worlds longer ago than testLife.
// Messages that still wait stay. Nothing of a live world is touched.
func (w *sweeper) sweepSandbox(ctx context.Context, now time.Time) error {
	if err := w.sweepCarriages(ctx, now); err != nil {
		return err
	}
	if err := w.sweepDebts(ctx); err != nil {
		return err
	}
	all, err := w.store.Workspaces(ctx)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	for _, workspace := range all {
		ages, err := w.testAges(ctx, workspace.ID, now)
		if err != nil {
			return err
		}
		for _, sweep := range []func(context.Context, *testAges) error{w.sweepBulks, w.sweepMessages, w.sweepCalls, w.sweepMedia} {
			if err := sweep(ctx, ages); err != nil {
				return err
			}
		}
	}
	if err := w.sweepStrayRecipients(ctx); err != nil {
		return err
	}
	return w.sweepRuns(ctx, now.Add(-testLife))
}

func (w *sweeper) testAges(ctx context.Context, workspace string, now time.Time) (*testAges, error) {
	clock, err := w.store.SandboxClock(ctx, workspace)
	if err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	world := now.Add(min(clock.Offset, 0))
	if clock.Mode == sandbox.Frozen && clock.FrozenAt.Before(now) {
		world = clock.FrozenAt
	}
	return &testAges{workspace: workspace, now: now, before: now.Add(-testLife), worldBefore: world.Add(-testLife)}, nil
}

const (
	// nextTestEvents finds the next events up to a sequence.
	nextTestEvents = `SELECT COALESCE(MIN(sequence), 0), COALESCE(MAX(sequence), 0) FROM (
		SELECT sequence FROM events` + ofTestWorld + ` AND sequence > $2 AND sequence <= $3 ORDER BY sequence LIMIT $4) next`

	// slowestSink is how far all sinks have got in a world.
	slowestSink = `SELECT COALESCE(MIN(sequence), $2) FROM sink_cursors` + ofTestWorld
)

// sweepTestEvents deletes the old events of a test world. How old they are tell
// the marks. As in a live world, pending deliveries keep their events, and sinks
// for twice as long at most.
func (w *sweeper) sweepTestEvents(ctx context.Context, world messaging.World, now time.Time) error {
	life, workspace := min(testLife, w.store.eventLife), world.WorkspaceID
	head, err := w.store.EventHead(ctx, world)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	if err := w.mark(ctx, workspace, head, now, now.Add(-2*life)); err != nil {
		return err
	}
	old, err := w.marked(ctx, workspace, now.Add(-life))
	if err != nil {
		return err
	}
	veryOld, err := w.marked(ctx, workspace, now.Add(-2*life))
	if err != nil {
		return err
	}
	var had int64
	if err := w.store.r.GetContext(ctx, &had, slowestSink, workspace, int64(math.MaxInt64)); err != nil {
		return fmt.Errorf("sweep: %w", explain(err))
	}
	return w.sweepEventsTo(ctx, world, min(old, max(had, veryOld)))
}

func (w *sweeper) sweepEventsTo(ctx context.Context, world messaging.World, end int64) error {
	for after := int64(0); ; {
		var first, last int64
		err := w.store.r.QueryRowContext(ctx, nextTestEvents, world.WorkspaceID, after, end, sweepChunk).Scan(&first, &last)
		if err != nil {
			return fmt.Errorf("sweep: %w", explain(err))
		}
		if last == 0 {
			return nil
		}
		if _, err := w.delete(ctx, sweepEvents, world.WorkspaceID, string(world.Environment), first, last); err != nil {
			return err
		}
		after = last
	}
}

const (
	lastCarriage = `SELECT COALESCE(MAX(position), 0) FROM sandbox_carriages`

	sweepCarriages = `DELETE FROM sandbox_carriages WHERE position <= (SELECT MAX(position) FROM (
		SELECT position FROM sandbox_carriages WHERE position <= $1 ORDER BY position LIMIT $2) first)`
)

func (w *sweeper) sweepCarriages(ctx context.Context, now time.Time) error {
	var last int64
	if err := w.store.r.GetContext(ctx, &last, lastCarriage); err != nil {
		return fmt.Errorf("sweep: %w", explain(err))
	}
	before := now.Add(-testLife)
	if err := w.mark(ctx, carriageMarks, last, now, before); err != nil {
		return err
	}
	old, err := w.marked(ctx, carriageMarks, before)
	if err != nil {
		return err
	}
	return w.drain(ctx, sweepCarriages, old)
}

const (
	// nextMessages walks by id, so that it ends at the first message that is young.
	// Those whose ids were drawn from a seed come before all others.
	nextMessages = `SELECT COALESCE(MAX(id), '') FROM (
		SELECT id FROM messages` + ofTestWorld + ` AND id > $2 AND id < $3 ORDER BY id LIMIT $4) next`

	// sweepMessages goes by the place in the outbox, which is the machine's time,
	// and for inbound messages, which have none, by the world's clock. Scheduled
	// messages are as old as the time that they were scheduled for, unless the
	// world's clock has run ahead. Those of a bulk go after it.
	sweepMessages = `DELETE FROM messages` + ofTestWorld + ` AND id > $2 AND id <= $3
		AND (position = 0 AND created_at < $4 OR position > 0 AND position < $5 AND (send_at < $4 OR send_at > $6))
		AND NOT EXISTS (SELECT 1 FROM outbox o
			WHERE o.instance_id = messages.instance_id AND o.priority = messages.priority AND o.position = messages.position)
		AND NOT EXISTS (SELECT 1 FROM sandbox_owed w WHERE w.id = messages.instance_id || '/' || messages.wa_message_id)
		AND NOT EXISTS (SELECT 1 FROM bulks k WHERE k.id = messages.bulk_id)`
)

func (w *sweeper) sweepMessages(ctx context.Context, at *testAges) error {
	bound, place := messaging.NewID(messaging.MessagePrefix, at.before), Place(at.before)
	for after := ""; ; {
		var last string
		if err := w.store.r.GetContext(ctx, &last, nextMessages, at.workspace, after, bound, sweepChunk); err != nil {
			return fmt.Errorf("sweep: %w", explain(err))
		}
		if last == "" {
			return nil
		}
		if _, err := w.delete(ctx, sweepMessages, at.workspace, after, last, micros(at.worldBefore), place, micros(at.now)); err != nil {
			return err
		}
		after = last
	}
}

const sweepCalls = `DELETE FROM calls` + ofTestWorld + ` AND received_at <= (SELECT MAX(received_at) FROM (
	SELECT received_at FROM calls` + ofTestWorld + ` AND received_at < $2 ORDER BY received_at LIMIT $3) first)`

func (w *sweeper) sweepCalls(ctx context.Context, at *testAges) error {
	return w.drain(ctx, sweepCalls, at.workspace, micros(at.worldBefore))
}

func (w *sweeper) sweepMedia(ctx context.Context, at *testAges) error {
	world := messaging.World{WorkspaceID: at.workspace, Environment: messaging.Test}
	bound := messaging.NewID(messaging.MediaPrefix, at.before)
	err := w.store.forgetMedia(ctx, world, func(q *query) {
		q.and("id < ", bound)
		q.and("created_at < ", micros(at.before))
	})
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	return nil
}

const (
	runsPage    = 100
	selectOvers = selectRuns + `u.state <> 'running' AND u.ended_at < $1 ORDER BY u.ended_at LIMIT $2`
)

func (w *sweeper) sweepRuns(ctx context.Context, before time.Time) error {
	for {
		over, err := w.store.selectRuns(ctx, selectOvers, micros(before), runsPage)
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		for _, r := range over {
			if err := w.store.ForgetRun(ctx, r); err != nil {
				return fmt.Errorf("sweep: %w", err)
			}
		}
		if len(over) < runsPage {
			return nil
		}
	}
}

// drain is Store.drain, which says who asked.
func (w *sweeper) drain(ctx context.Context, query string, args ...any) error {
	if err := w.store.drain(ctx, query, args...); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	return nil
}
