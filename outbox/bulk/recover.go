package bulk

import (
	"context"
	"fmt"

	"portaria/messaging"
)

// Recover takes up the bulks that an earlier process left: what of them must not
// go out is held or canceled in the outbox, and they are heard of from then on.
// It must be called before the outbox recovers: what was in hand when that
// process ended waits again, and knows of no pause. Nothing is sent before Start.
//
// A bulk that cannot be sent any more is logged and left out; what fails here is
// the database.
func (s *Service) Recover(ctx context.Context) error {
	if err := s.store.SweepBulks(ctx); err != nil {
		return fmt.Errorf("sweep bulks: %w", err)
	}
	open, err := s.store.OpenBulks(ctx)
	if err != nil {
		return fmt.Errorf("open bulks: %w", err)
	}
	for i := range open {
		if err := s.takeUp(open[i]).recover(ctx); err != nil {
			return fmt.Errorf("bulk %s: %w", open[i].ID, err)
		}
	}
	return nil
}

// Start lets the bulks that were recovered go on. It must be called after the
// outbox has recovered and before the first Accept.
func (s *Service) Start() {
	s.mu.Lock()
	s.started = true
	s.mu.Unlock()
	for _, r := range s.all() {
		r.wake()
	}
}

// recover makes of what waits in lanes what the bulk's state asks for.
func (r *run) recover(ctx context.Context) error {
	if err := r.acquire(ctx); err != nil {
		return err
	}
	defer r.release()
	if err := r.load(ctx); err != nil {
		return err
	}
	now := r.clock.Now()
	switch state := r.bulk.State; {
	case state == messaging.BulkCanceled:
		defer r.s.drop(r)
		return r.amend(ctx, r.amendment(messaging.StatusCanceled, never))
	case state == messaging.BulkPaused:
		return r.amend(ctx, r.amendment(messaging.StatusHeld, never))
	case state == messaging.BulkRunning && r.quiet.Holds(now):
		end := r.quiet.End(now)
		if err := r.amend(ctx, r.amendment(messaging.StatusHeld, end)); err != nil {
			return err
		}
		r.quietUntil(end)
	}
	return nil
}

// load reads what waits of the bulk, once. What leaves its lane meanwhile is heard
// of. The caller has the token.
func (r *run) load(ctx context.Context) error {
	r.mu.Lock()
	loaded := r.loaded
	r.mu.Unlock()
	if loaded {
		return nil
	}
	r.s.waiting.beginRead()
	defer r.s.waiting.endRead()
	waiting, err := r.s.store.BulkWaiting(ctx, r.bulk)
	if err != nil {
		return fmt.Errorf("waiting: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loaded = true
	for _, w := range waiting {
		if f := r.feed(w.InstanceID); f != nil && !r.closed && r.s.waiting.adopt(r, w.MessageID) {
			f.take(w.MessageID, w.Person)
			f.hold(w.MessageID, w.Held)
		}
	}
	return nil
}
