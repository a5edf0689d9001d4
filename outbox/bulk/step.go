package bulk

import (
	"context"
	"fmt"
	"time"

	"portaria/messaging"
)

// step does what there is to do, if anything. It reports whether there may be
// more.
func (r *run) step(ctx context.Context) (more bool, err error) {
	if err := r.acquire(ctx); err != nil {
		return false, err
	}
	defer r.release()
	if err := r.catchUp(ctx); err != nil {
		return false, err
	}
	gone, err := r.lookUp(ctx)
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	state, over, broken := r.state, r.closed || r.state.Ended(), r.broken
	r.mu.Unlock()
	switch {
	case over:
		return false, nil
	case gone:
		return false, r.record(ctx, messaging.BulkCanceled)
	case broken:
		return false, nil
	case state == messaging.BulkScheduled:
		return r.begin(ctx)
	case state == messaging.BulkRunning:
		return r.feedLanes(ctx)
	}
	return false, nil
}

// catchUp finds out what the run must know before it does anything, and calls back
// what waits for those who have opted out.
func (r *run) catchUp(ctx context.Context) error {
	r.mu.Lock()
	doubtful, closed := r.doubtful, r.closed
	r.doubtful = false
	r.mu.Unlock()
	if closed {
		return nil
	}
	if doubtful {
		if err := r.reload(ctx); err != nil {
			r.doubt()
			return err
		}
	}
	if err := r.load(ctx); err != nil {
		return err
	}
	return r.callBack(ctx)
}

// record reports another state of the bulk.
func (r *run) record(ctx context.Context, to messaging.BulkState) error {
	if err := r.s.reporter.Report(context.WithoutCancel(ctx), r.change(to)); err != nil {
		return fmt.Errorf("%s: %w", to, err)
	}
	r.become(to)
	return nil
}

func (r *run) change(to messaging.BulkState) messaging.BulkChange {
	return messaging.BulkChange{
		WorkspaceID: r.bulk.WorkspaceID, Environment: r.bulk.Environment, BulkID: r.bulk.ID, State: to, At: r.clock.Now(),
	}
}

func (r *run) become(state messaging.BulkState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = state
	r.heldUntil = time.Time{}
	r.dirty = true
	r.start()
}

// begin starts a scheduled bulk when its time has come.
func (r *run) begin(ctx context.Context) (more bool, err error) {
	at := r.bulk.Options.SendAt
	r.mu.Lock()
	early := at.After(r.now())
	if early {
		r.callAt(at)
	}
	r.mu.Unlock()
	if early {
		return false, nil
	}
	return true, r.record(ctx, messaging.BulkRunning)
}

// feedLanes gives rows their turn, unless it is quiet.
func (r *run) feedLanes(ctx context.Context) (more bool, err error) {
	if quiet, err := r.keepQuiet(ctx); quiet || err != nil {
		return false, err
	}
	if err := r.openBooks(ctx); err != nil {
		return false, err
	}
	open, at := r.openings()
	if len(open) == 0 {
		if !at.IsZero() && r.hasRows() {
			r.mu.Lock()
			r.callAt(at)
			r.mu.Unlock()
		}
		return false, nil
	}
	rows, retry, err := r.pick(ctx)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	t, err := r.turn(rows, open, retry)
	if err != nil {
		return false, err
	}
	return true, r.give(ctx, t)
}

// hasRows reports whether rows wait for a turn.
func (r *run) hasRows() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.again || r.next <= r.bulk.Counts.Total
}
