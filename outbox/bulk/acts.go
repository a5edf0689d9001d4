package bulk

import (
	"context"
	"fmt"
	"slices"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
)

// never is the due time of what is held until it is amended again.
var never time.Time

// Pause holds a bulk that is scheduled or running. What the network has in hand
// goes out. Faults: fault.ErrNotFound; fault.ErrConflict with its state.
func (s *Service) Pause(ctx context.Context, t messaging.Tenancy, id string) (messaging.Bulk, error) {
	return s.act(ctx, t, id, messaging.BulkPaused, messaging.BulkScheduled, messaging.BulkRunning)
}

// Resume lets a bulk that is paused go on: it is running again, or scheduled if
// its time has not come. Faults as for Pause.
func (s *Service) Resume(ctx context.Context, t messaging.Tenancy, id string) (messaging.Bulk, error) {
	return s.act(ctx, t, id, messaging.BulkRunning, messaging.BulkPaused)
}

// Cancel ends a bulk that has not ended. What the network has in hand goes out.
// Faults as for Pause.
func (s *Service) Cancel(ctx context.Context, t messaging.Tenancy, id string) (messaging.Bulk, error) {
	return s.act(ctx, t, id, messaging.BulkCanceled, messaging.BulkScheduled, messaging.BulkRunning, messaging.BulkPaused)
}

// RetryFailed gives the rows whose messages failed or expired another turn, in a
// bulk that is running or has completed. Without such rows nothing happens.
// Faults as for Pause.
func (s *Service) RetryFailed(ctx context.Context, t messaging.Tenancy, id string) (messaging.Bulk, error) {
	b, err := s.store.Bulk(ctx, t, id)
	if err != nil {
		return b, err
	}
	if b.State != messaging.BulkRunning && b.State != messaging.BulkCompleted {
		return b, conflict(&b)
	}
	now := s.clocks(worldOf(&b)).Now()
	n, err := s.store.RetryFailed(context.WithoutCancel(ctx), t, id, now)
	if err != nil {
		return b, err
	}
	if b, err = s.store.Bulk(ctx, t, id); err != nil || n == 0 || b.State.Ended() {
		return b, err
	}
	r, err := s.takeUp(ctx, b)
	if err != nil {
		return b, err
	}
	r.retry()
	return b, nil
}

// retry has the run look for rows that are to have another turn.
func (r *run) retry() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.again, r.dirty = true, true
	r.start()
}

// act moves a bulk to another state, with everything of it that waits in lanes, in
// one commit.
func (s *Service) act(ctx context.Context, t messaging.Tenancy, id string, to messaging.BulkState, from ...messaging.BulkState) (messaging.Bulk, error) {
	b, err := s.store.Bulk(ctx, t, id)
	if err != nil {
		return b, err
	}
	if !slices.Contains(from, b.State) {
		return b, conflict(&b)
	}
	r, err := s.takeUp(ctx, b)
	if err != nil {
		return b, err
	}
	if err := r.acquire(ctx); err != nil {
		return b, fault.ErrUnavailable.Because(err)
	}
	defer r.release()
	if b, err = s.store.Bulk(ctx, t, id); err != nil {
		return b, err
	}
	if !slices.Contains(from, b.State) {
		return b, conflict(&b)
	}
	a := r.amendmentFor(to)
	if _, err := s.outbox.Amend(ctx, a, r.change(to)); err != nil {
		return b, fmt.Errorf("bulk: %w", err)
	}
	if b, err = s.store.Bulk(context.WithoutCancel(ctx), t, id); err != nil {
		r.become(to) // it is recorded; only the answer is lost
		return b, err
	}
	r.become(b.State)
	if a.Status == messaging.StatusHeld && to == messaging.BulkRunning {
		r.quietUntil(a.Due)
	}
	return b, nil
}

// amendmentFor is what becomes of what waits when the bulk's state changes.
func (r *run) amendmentFor(to messaging.BulkState) outbox.Amendment {
	switch to { //nolint:exhaustive // nobody asks for the others
	case messaging.BulkCanceled:
		return r.amendment(messaging.StatusCanceled, never)
	case messaging.BulkPaused:
		return r.amendment(messaging.StatusHeld, never)
	}
	if now := r.clock.Now(); r.quiet.Holds(now) {
		return r.amendment(messaging.StatusHeld, r.quiet.End(now))
	}
	return r.amendment(messaging.StatusQueued, never)
}

// quietUntil notes that lanes have been told to hold what waits until then.
func (r *run) quietUntil(end time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heldUntil = end
}

func conflict(b *messaging.Bulk) error {
	return fault.ErrConflict.Saying("The state of the bulk does not allow this.").With("state", string(b.State))
}
