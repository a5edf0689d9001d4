package bulk

import (
	"context"
	"fmt"

	"portaria/messaging"
)

// Recover takes up the bulks that an earlier process left. It must be called
// after the outbox has recovered and before the first Accept.
func (s *Service) Recover(ctx context.Context) error {
	if err := s.store.SweepBulks(ctx); err != nil {
		return fmt.Errorf("sweep bulks: %w", err)
	}
	open, err := s.store.OpenBulks(ctx)
	if err != nil {
		return fmt.Errorf("open bulks: %w", err)
	}
	for i := range open {
		r, err := s.takeUp(ctx, open[i])
		if err != nil {
			return err
		}
		if open[i].State == messaging.BulkPaused {
			// What was in hand when that process ended waits again, and knows of no pause.
			if _, err := s.outbox.Amend(ctx, r.amendment(messaging.StatusHeld, never)); err != nil {
				return fmt.Errorf("bulk %s: %w", open[i].ID, err)
			}
		}
		r.wake()
	}
	return nil
}

// takeUp returns the run of a bulk that has not ended, and makes it if there is
// none.
func (s *Service) takeUp(ctx context.Context, b messaging.Bulk) (*run, error) {
	if r := s.run(b.ID); r != nil {
		return r, nil
	}
	waiting, err := s.store.BulkWaiting(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("bulk %s: waiting: %w", b.ID, err)
	}
	r, err := s.newRun(b, waiting)
	if err != nil {
		return nil, err
	}
	return s.enlist(r), nil
}

// begin takes up a bulk that was just accepted. It does not block.
func (s *Service) begin(b messaging.Bulk) {
	r, err := s.newRun(b, nil)
	if err != nil {
		s.log.Error("bulk cannot run", "bulk", b.ID, "error", err) // it was compiled when it was checked
		return
	}
	s.enlist(r).wake()
}

// enlist makes a run known, unless its bulk has one already.
func (s *Service) enlist(r *run) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	if present, ok := s.runs[r.bulk.ID]; ok {
		return present
	}
	s.runs[r.bulk.ID] = r
	for _, f := range r.feeds {
		for id := range f.waiting {
			s.waiting.add(r, id)
		}
	}
	return r
}

// run returns the run of a bulk; nil when it has none.
func (s *Service) run(id string) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs[id]
}

// drop forgets a bulk that has ended.
func (s *Service) drop(id string) {
	s.mu.Lock()
	r := s.runs[id]
	delete(s.runs, id)
	s.mu.Unlock()
	if r != nil {
		r.close()
	}
}

// all returns the runs of all bulks.
func (s *Service) all() []*run {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*run, 0, len(s.runs))
	for _, r := range s.runs {
		out = append(out, r)
	}
	return out
}

// Stop lets the turns in hand finish and ends all runs. What has had no turn waits
// for the next process.
func (s *Service) Stop() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.cancel()
	s.work.Wait()
	for _, r := range s.all() {
		r.close()
	}
}

// Wake tells that an instance can take messages, or has changed.
func (s *Service) Wake(instanceID string) {
	for _, r := range s.all() {
		r.look(instanceID)
	}
}

// look has the run look at an instance anew, if it is one of its own.
func (r *run) look(instanceID string) {
	f := r.feed(instanceID)
	if f == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f.stale, r.dirty = true, true
	r.start()
}

// Idle waits until no bulk of a workspace's test world has work in hand.
func (s *Service) Idle(ctx context.Context, workspace string) error {
	s.mu.Lock()
	s.watchers++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.watchers--
		s.mu.Unlock()
	}()
	for {
		s.mu.Lock()
		rested, busy := s.rested, s.active[workspace] > 0
		s.mu.Unlock()
		if !busy {
			return nil
		}
		select {
		case <-rested:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
}

// goRun starts a run's goroutine; false when the service is stopping.
func (s *Service) goRun(r *run) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	if r.bulk.Environment == messaging.Test {
		s.active[r.bulk.WorkspaceID]++
	}
	s.work.Go(func() { r.work(s.ctx) })
	return true
}

func (s *Service) runDone(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.bulk.Environment == messaging.Test {
		if s.active[r.bulk.WorkspaceID]--; s.active[r.bulk.WorkspaceID] == 0 {
			delete(s.active, r.bulk.WorkspaceID)
		}
	}
	if s.watchers > 0 {
		close(s.rested)
		s.rested = make(chan struct{})
	}
}

// reload learns where the bulk stands from the store, which did not let it go on.
func (r *run) reload(ctx context.Context) error {
	open, err := r.s.store.OpenBulks(ctx)
	if err != nil {
		return fmt.Errorf("open bulks: %w", err)
	}
	for i := range open {
		if open[i].ID == r.bulk.ID {
			r.become(open[i].State)
			return nil
		}
	}
	r.s.drop(r.bulk.ID)
	return nil
}
