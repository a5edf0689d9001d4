package bulk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
)

// Pause holds a bulk that is scheduled or running. What the network has in hand
// goes out. Faults: fault.ErrNotFound; fault.ErrConflict with its state.
func (s *Service) Pause(ctx context.Context, t messaging.Tenancy, id string) (messaging.Bulk, error) {
	return s.act(ctx, t, id, messaging.BulkPaused, messaging.BulkScheduled, messaging.BulkRunning)
}

// Resume lets a bulk that is paused go on: it is running again, or scheduled if
// its time has not come, or has completed if nothing of it is left to send. Faults
// as for Pause.
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
	r, b, err := s.hold(ctx, t, id, messaging.BulkRunning, messaging.BulkCompleted)
	if err != nil {
		return b, err
	}
	defer r.release()
	// Nobody may go away meanwhile: rows that are marked wait for whoever turns them.
	ctx = context.WithoutCancel(ctx)
	if _, err := s.store.RetryFailed(ctx, t, id, r.clock.Now()); err != nil {
		s.takeUp(b).doubt() // some rows may be marked, and the bulk may run
		return b, err
	}
	now, err := s.store.Bulk(ctx, t, id)
	if err != nil {
		s.takeUp(b).doubt()
		return b, err
	}
	if now.State.Ended() {
		s.drop(r)
		return now, nil
	}
	r = s.takeUp(now) // that it had completed may have been told only now
	r.become(now.State)
	r.retry()
	return now, nil
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
	r, b, err := s.hold(ctx, t, id, from...)
	if err != nil {
		return b, err
	}
	defer r.release()
	if err := r.load(ctx); err != nil {
		return b, fmt.Errorf("bulk: %w", err)
	}
	a := r.amendmentFor(to)
	if err := r.amend(ctx, a, r.change(to)); err != nil {
		r.doubt() // it may be recorded though the answer was lost
		return b, fmt.Errorf("bulk: %w", err)
	}
	if b, err = s.store.Bulk(context.WithoutCancel(ctx), t, id); err != nil {
		r.become(to) // it is recorded; only the answer is lost
		r.doubt()
		return b, err
	}
	r.become(b.State)
	if b.State.Ended() && b.State != to && to != messaging.BulkRunning {
		return b, conflict(&b) // its last message was sent in the commit before
	}
	if to == messaging.BulkRunning {
		r.retry() // rows may have been marked while it was paused
	}
	if a.Status == messaging.StatusHeld && to == messaging.BulkRunning {
		r.quietUntil(a.Due)
	}
	return b, nil
}

// hold takes the token of a bulk's run, if the bulk's state is one of those given.
// Between its changes and its turns there is an order from then on. The caller
// releases it.
func (s *Service) hold(ctx context.Context, t messaging.Tenancy, id string, from ...messaging.BulkState) (*run, messaging.Bulk, error) {
	for {
		b, err := s.store.Bulk(ctx, t, id)
		if err != nil {
			return nil, b, err
		}
		if !slices.Contains(from, b.State) {
			return nil, b, conflict(&b)
		}
		r := s.takeUp(b)
		if err := r.acquire(ctx); err != nil {
			r.doubt() // a run that was made for this call alone ends
			return nil, b, fault.ErrUnavailable.Because(err)
		}
		b, err = s.store.Bulk(ctx, t, id)
		switch known := s.run(id) == r; {
		case err == nil && known && slices.Contains(from, b.State):
			return r, b, nil
		case err == nil && known:
			err = conflict(&b)
		}
		r.release()
		r.doubt()
		if err != nil {
			return nil, b, err
		}
		// It has ended meanwhile, and may run anew.
	}
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

// CancelAll ends all bulks of a world that have not ended.
func (s *Service) CancelAll(ctx context.Context, t messaging.Tenancy) error {
	open, err := s.store.OpenBulks(ctx)
	if err != nil {
		return fmt.Errorf("open bulks: %w", err)
	}
	for i := range open {
		b := &open[i]
		if b.WorkspaceID != t.Workspace() || b.Environment != t.Environment() || b.State.Ended() {
			continue
		}
		if _, err := s.Cancel(ctx, t, b.ID); err != nil && !errors.Is(err, fault.ErrConflict) {
			return fmt.Errorf("cancel bulk %s: %w", b.ID, err)
		}
	}
	return nil
}
