package bulk

import (
	"context"
	"fmt"

	"portaria/messaging"
)

// takeUp returns the run of a bulk, and makes it if there is none: from then on the
// bulk's events are heard. The caller drops it if the bulk has ended.
func (s *Service) takeUp(b messaging.Bulk) *run {
	if r := s.run(b.ID); r != nil {
		return r
	}
	return s.enlist(s.newRun(b))
}

// begin takes up a bulk that was just accepted. It does not block.
func (s *Service) begin(b messaging.Bulk) {
	r := s.newRun(b)
	r.loaded = true // nothing of it waits
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
	return r
}

// run returns the run of a bulk; nil when it has none.
func (s *Service) run(id string) *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs[id]
}

// drop forgets the run of a bulk that has ended. The bulk may have another by now.
func (s *Service) drop(r *run) {
	s.mu.Lock()
	if s.runs[r.bulk.ID] == r {
		delete(s.runs, r.bulk.ID)
	}
	s.mu.Unlock()
	r.close()
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

// goRun starts a run's goroutine; false before Start, and when the service is
// stopping.
func (s *Service) goRun(r *run) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || !s.started {
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

// reload learns where the bulk stands from the store.
func (r *run) reload(ctx context.Context) error {
	open, err := r.s.store.OpenBulks(ctx)
	if err != nil {
		return fmt.Errorf("open bulks: %w", err)
	}
	for i := range open {
		if open[i].ID == r.bulk.ID && !open[i].State.Ended() {
			r.become(open[i].State)
			return nil
		}
	}
	r.s.drop(r)
	return nil
}

// doubt has the run look where its bulk stands, because somebody who wanted to
// change that does not know what has come of it.
func (r *run) doubt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doubtful, r.again, r.dirty = true, true, true
	r.start()
}
