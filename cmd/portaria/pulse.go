package main

import (
	"context"
	"sync"

	"portaria/messaging"
)

// idle waits until nothing of a test world is in hand.
func (a *app) idle(ctx context.Context, workspace string) error {
	rooms := append([]room{a.manager.Idle, a.bulks.Idle, a.outbox.Idle, a.sandbox.Idle}, a.idleSinks()...)
	return allIdle(ctx, workspace, rooms, func() int64 { return a.pulse.of(workspace) })
}

// idleInstance waits until nothing of a test instance that is in a run is in hand.
// What its webhooks and streams are told is not waited for.
func (a *app) idleInstance(ctx context.Context, id string) error {
	rooms := []room{a.manager.Idle, a.outbox.IdleLane, a.sandbox.Idle}
	return allIdle(ctx, id, rooms, func() int64 { return a.runs.Heard(id) })
}

// room waits until a part of the house has nothing in hand for a world, or for an
// instance.
type room = func(ctx context.Context, id string) error

// allIdle waits until all rooms are idle. What one room does may give another work,
// and that one the first again, so all must be found quiet in one look during which
// nothing has happened. Nearly all work is given by a commit, and happened counts
// those when the work has been given, and before the giver is done. What is given in
// silence goes one way only, and the rooms stand in that order, so that no work
// passes behind the look: the manager wakes bulks and lanes when a channel is open,
// bulks feed lanes, and lanes give what they send to the sandbox.
func allIdle(ctx context.Context, id string, rooms []room, happened func() int64) error {
	look, noWait := context.WithCancel(ctx)
	noWait()
	for {
		before := happened()
		quiet := true
		for _, waits := range rooms {
			quiet = waits(look, id) == nil && quiet
		}
		if quiet && happened() == before {
			return nil
		}
		for _, waits := range rooms {
			if err := waits(ctx, id); err != nil {
				return err
			}
		}
	}
}

// pulse counts the commits that tell of events or of changes of instances, by the
// workspace of a test world. The zero value is ready.
type pulse struct {
	mu      sync.Mutex
	commits map[string]int64
}

func (p *pulse) of(workspace string) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.commits[workspace]
}

// tell notes a commit.
func (p *pulse) tell(events []messaging.Event) {
	last := ""
	for i := range events {
		if e := &events[i]; e.Environment == messaging.Test && e.WorkspaceID != last {
			last = e.WorkspaceID
			p.beat(last)
		}
	}
}

// observe notes a change of an instance.
func (p *pulse) observe(i messaging.Instance) {
	if i.Environment == messaging.Test {
		p.beat(i.WorkspaceID)
	}
}

func (p *pulse) beat(workspace string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.commits == nil {
		p.commits = make(map[string]int64)
	}
	p.commits[workspace]++
}
