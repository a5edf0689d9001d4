package runs

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"portaria/messaging"
	"portaria/sandbox"
)

// Owner keeps the instances that runs play on.
type Owner interface {
	// Create makes a test instance with an id of the run's choice.
	Create(ctx context.Context, workspace, id, name string, unpaired bool) error
	// Test returns a test instance as it stands; fault of the kind NotFound.
	Test(ctx context.Context, workspace, id string) (messaging.TestInstance, error)
	// Connect asks for a connection.
	Connect(ctx context.Context, workspace, id string) error
	// Delete deletes an instance and cancels what waits; one that is gone is no
	// error.
	Delete(ctx context.Context, workspace, id string) error
}

// Network is the simulated network, by the hand of sandbox.Driver.
type Network interface {
	Scan(ctx context.Context, i messaging.TestInstance, code string) error
	Drop(ctx context.Context, i messaging.TestInstance, lasts time.Duration) error
	Reconnect(ctx context.Context, i messaging.TestInstance) error
	Logout(ctx context.Context, i messaging.TestInstance) error
	Ban(ctx context.Context, i messaging.TestInstance, lasts time.Duration) error
}

// Options are the parts of a service.
type Options struct {
	Store   Store
	Owner   Owner
	Network Network
	Clocks  *sandbox.Clocks
	// Idle waits until nobody has work in hand for an instance.
	Idle   func(ctx context.Context, instanceID string) error
	Logger *slog.Logger // nil: slog.Default
}

// Service plays runs. It is safe for concurrent use.
type Service struct {
	Options

	mu      sync.Mutex
	playing map[string]*player // by instance
	closed  map[string]int     // workspaces in which no run may begin
}

// New returns a service. Recover is to be called once before the first run.
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Service{Options: o, playing: make(map[string]*player), closed: make(map[string]int)}
}

// Find returns a run of a tenancy; fault.ErrNotFound.
func (s *Service) Find(ctx context.Context, t messaging.Tenancy, id string) (Run, error) {
	return s.Store.FindRun(ctx, t, id)
}

// Recover ends the runs of a process that died, and deletes their instances. It is
// called before the network takes up what it owes, and lanes what they had.
func (s *Service) Recover(ctx context.Context) error {
	open, err := s.Store.OpenRuns(ctx)
	if err != nil {
		return fmt.Errorf("open runs: %w", err)
	}
	for _, r := range open {
		if err := s.abort(ctx, r); err != nil { // the next start tries again
			s.Logger.Error("run of an earlier process not ended", "run", r.ID, "error", err)
		}
	}
	return nil
}

func (s *Service) abort(ctx context.Context, r Run) error {
	if r.OwnInstance {
		if err := s.Owner.Delete(ctx, r.WorkspaceID, r.InstanceID); err != nil {
			return err
		}
		if err := s.Store.SettleInstance(ctx, r.InstanceID); err != nil {
			return err
		}
	}
	r.State, r.EndedAt = Aborted, time.Now().UTC()
	return s.Store.EndRun(ctx, r)
}

// Tell hears of committed events. It does not block.
func (s *Service) Tell(events []messaging.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.playing) == 0 {
		return
	}
	for i := range events {
		if p := s.playing[events[i].InstanceID]; p != nil && events[i].Environment == messaging.Test {
			p.hear(events[i].Sequence)
		}
	}
}

// Observe hears of every change of an instance after its commit, be it an event or
// not. It does not block.
func (s *Service) Observe(i messaging.Instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.playing[i.ID]; p != nil {
		p.observe()
	}
}

// Heard returns how many events and changes the run of an instance has heard of.
func (s *Service) Heard(instanceID string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.playing[instanceID]; p != nil {
		return p.count()
	}
	return 0
}

// Pause keeps runs of a workspace from beginning until resume is called. Fault:
// ErrInProgress when one is being played.
func (s *Service) Pause(workspace string) (resume func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.playing {
		if p.run.WorkspaceID == workspace {
			return nil, ErrInProgress.Saying("A run is being played in this workspace. Wait for its end.")
		}
	}
	s.closed[workspace]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed[workspace]--; s.closed[workspace] == 0 {
			delete(s.closed, workspace)
		}
	}, nil
}

// enter has an instance's events heard by a run, which is in it until leave.
func (s *Service) enter(p *player) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed[p.run.WorkspaceID] > 0 || s.playing[p.run.InstanceID] != nil {
		return ErrInProgress
	}
	s.playing[p.run.InstanceID] = p
	return nil
}

func (s *Service) leave(p *player) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.playing, p.run.InstanceID)
}
