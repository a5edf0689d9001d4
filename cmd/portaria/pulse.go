package main

import (
	"context"
	"sync"

	"portaria/messaging"
)

// idle waits until nothing of a test world is in hand.
func (a *app) idle(ctx context.Context, workspace string) error {
	rooms := append(a.idleSinks(), a.bulks.Idle, a.outbox.Idle, a.sandbox.Idle, a.manager.Idle)
	return allIdle(ctx, workspace, rooms, func() int64 { return a.pulse.of(workspace) })
}

// idleInstance waits until nothing of a test instance that is in a run is in hand.
// What its webhooks and streams are told is not waited for.
func (a *app) idleInstance(ctx context.Context, id string) error {
	rooms := []func(context.Context, string) error{a.outbox.IdleLane, a.sandbox.Idle, a.manager.Idle}
	return allIdle(ctx, id, rooms, func() int64 { return a.runs.Heard(id) })
}

// allIdle waits until all rooms are idle. What one room does may give another work,
// and that one the first again, so all must be found quiet in one look during which
// nothing has happened: they give each other work by what they record.
func allIdle(ctx context.Context, id string, rooms []func(context.Context, string) error, happened func() int64) error {
	look, noWait := context.WithCancel(ctx)
	noWait()
	for {
		before := happened()
		quiet := true
		for _, room := range rooms {
			quiet = room(look, id) == nil && quiet
		}
		if quiet && happened() == before {
			return nil
		}
		for _, room := range rooms {
			if err := room(ctx, id); err != nil {
				return err
			}
		}
	}
}

// pulse counts the commits that tell of events, by the workspace of a test world.
// The zero value is ready.
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
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.commits == nil {
		p.commits = make(map[string]int64)
	}
	last := ""
	for i := range events {
		if e := &events[i]; e.Environment == messaging.Test && e.WorkspaceID != last {
			last = e.WorkspaceID
			p.commits[last]++
		}
	}
}
