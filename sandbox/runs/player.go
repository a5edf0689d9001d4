package runs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox"
)

// player plays one run.
type player struct {
	s      *Service
	script *Script
	run    Run
	clock  *sandbox.Lent
	events []heard // in the order of their sequences
	since  int     // of events: those before are not what is expected

	mu     sync.Mutex
	unread []int64 // sequences of events that were told of and not read yet
	told   int64   // events, and changes of the instance
}

// heard is an event of the run's instance.
type heard struct {
	messaging.Event

	met bool // it has met an expectation
}

// hear notes an event that was committed. It does not block.
func (p *player) hear(sequence int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unread = append(p.unread, sequence)
	p.told++
}

// observe notes a change of the instance that was committed.
func (p *player) observe() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told++
}

func (p *player) count() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told
}

// Run plays a script and returns what came of it, passed or not. Faults:
// ErrInProgress, and those of the store; what goes wrong in a step is told in its
// report.
func (s *Service) Run(ctx context.Context, script Script) (r Run, err error) {
	if ctx, err = s.seeded(ctx, &script); err != nil {
		return Run{}, err
	}
	p, err := s.begin(ctx, &script)
	if err != nil {
		return Run{}, err
	}
	// What began must end, whoever has gone away meanwhile, and if a step panics.
	p.run.State = Aborted
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endPatience)
		defer cancel()
		err = p.end(ctx)
		r = p.run
	}()
	p.play(ctx)
	return p.run, nil
}

// endPatience bounds the end of a run.
const endPatience = 10 * time.Second

// seeded has the ids of a run drawn from its seed, if it has one.
func (s *Service) seeded(ctx context.Context, script *Script) (context.Context, error) {
	if script.Seed == "" {
		return ctx, nil
	}
	workspace, seed, n := script.Tenancy.Workspace(), "run\n"+script.Seed, int64(0) // no header holds such a seed
	source, err := s.Store.SeedSource(ctx, workspace)
	if err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	if script.Instance != nil {
		seed += "\n" + script.Instance.Name
		if n, err = s.Store.NextSeed(ctx, workspace, seed); err != nil {
			return nil, fmt.Errorf("seed: %w", err)
		}
	}
	return messaging.WithSeed(ctx, messaging.NewSeed(source, seed, n)), nil
}

// begin takes the instance, or makes one, and gives it a clock.
func (s *Service) begin(ctx context.Context, script *Script) (p *player, err error) {
	p = &player{s: s, script: script, run: Run{
		ID: messaging.DrawID(ctx, messaging.RunPrefix, time.Now()), WorkspaceID: script.Tenancy.Workspace(),
		Lineage: script.Lineage, Name: script.Name, State: Running, StartedAt: time.Now().UTC().Truncate(time.Microsecond),
	}}
	if script.Instance != nil {
		p.run.InstanceID = script.Instance.ID
	} else {
		p.run.OwnInstance, p.run.InstanceID = true, messaging.DrawID(ctx, messaging.InstancePrefix, time.Now())
	}
	if err := s.enter(p); err != nil {
		return nil, err
	}
	if err := p.open(ctx); err != nil {
		s.leave(p)
		return nil, err
	}
	return p, nil
}

// open makes everything ready for the first step.
func (p *player) open(ctx context.Context) (err error) {
	if p.script.Seed != "" && p.run.OwnInstance {
		if err := p.replace(ctx); err != nil {
			return err
		}
	}
	p.clock, err = p.s.Clocks.Lend(ctx, p.run.WorkspaceID, p.run.InstanceID, func(ctx context.Context) error {
		return p.s.Idle(ctx, p.run.InstanceID)
	})
	if err != nil {
		return err
	}
	// Whatever was made before is older, also if the workspace's clock stands still.
	if _, err := p.clock.Step(ctx, time.Microsecond); err != nil {
		p.clock.Return(p.run.OwnInstance)
		return err
	}
	p.run.Began = p.clock.Now()
	if err := p.s.Store.InsertRun(ctx, p.run); err != nil {
		p.clock.Return(p.run.OwnInstance)
		return fmt.Errorf("begin run: %w", err)
	}
	if err := p.prepare(ctx); err != nil {
		p.run.State = Aborted
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endPatience)
		defer cancel()
		return errors.Join(err, p.end(ctx))
	}
	return nil
}

// prepare makes the run's own instance and lets it come to rest.
func (p *player) prepare(ctx context.Context) error {
	if p.run.OwnInstance {
		name := "run-" + strings.TrimPrefix(p.run.InstanceID, string(messaging.InstancePrefix))
		if err := p.s.Owner.Create(ctx, p.run.WorkspaceID, p.run.InstanceID, name, p.script.Unpaired); err != nil {
			return fmt.Errorf("make an instance: %w", err)
		}
	}
	return p.settle(ctx)
}

// replace deletes the run that had this seed before.
func (p *player) replace(ctx context.Context) error {
	before, err := p.s.Store.FindRun(ctx, p.script.Tenancy, p.run.ID)
	switch {
	case errors.Is(err, fault.ErrNotFound):
		return nil
	case err != nil:
		return err
	case before.State == Running: // nobody plays it, or its instance would be taken: its end failed
		if err := p.s.abort(ctx, before); err != nil {
			return fmt.Errorf("replace run: %w", err)
		}
	}
	if err := p.s.Store.ForgetRun(ctx, before); err != nil {
		return fmt.Errorf("replace run: %w", err)
	}
	return nil
}

// end gives back what the run had, and stores what came of it.
func (p *player) end(ctx context.Context) (err error) {
	defer p.s.leave(p)
	if p.run.OwnInstance {
		err = p.s.Owner.Delete(ctx, p.run.WorkspaceID, p.run.InstanceID)
		p.clock.Return(true)
		err = errors.Join(err, p.s.Store.SettleInstance(ctx, p.run.InstanceID))
	} else {
		p.clock.Return(false)
	}
	p.run.EndedAt = time.Now().UTC().Truncate(time.Microsecond)
	if err = errors.Join(err, p.s.Store.EndRun(ctx, p.run)); err != nil {
		return fmt.Errorf("end run %s: %w", p.run.ID, err)
	}
	return nil
}

// settle lets everything that is due be done, and reads what happened.
func (p *player) settle(ctx context.Context) error {
	if err := p.clock.Settle(ctx); err != nil {
		return err
	}
	return p.read(ctx)
}

// read reads the events that were told of.
func (p *player) read(ctx context.Context) error {
	p.mu.Lock()
	unread := p.unread
	p.unread = nil
	p.mu.Unlock()
	const most = 500 // in one question
	for part := range slices.Chunk(unread, most) {
		found, err := p.s.Store.EventsAt(ctx, messaging.World{WorkspaceID: p.run.WorkspaceID, Environment: messaging.Test}, part)
		if err != nil {
			return err
		}
		for i := range found {
			p.events = append(p.events, heard{Event: found[i]})
		}
	}
	return nil
}
