package main

import (
	"context"
	"fmt"
	"time"

	"portaria/messaging"
	"portaria/sandbox"
	"portaria/store"
)

// testWorlds are the test worlds of all workspaces, each as a whole.
type testWorlds struct {
	*store.Store

	a *app
}

// Reset implements gateway.SandboxWorld. What moves is brought to rest first, so
// that nothing of before comes after: then its rows go. What is sent meanwhile may
// go or stay. It may be called again after it failed on the way.
func (w testWorlds) Reset(ctx context.Context, t messaging.Tenancy) error {
	resume, err := w.a.runs.Pause(t.Workspace())
	if err != nil {
		return err
	}
	defer resume()
	if err := w.a.bulks.CancelAll(ctx, t); err != nil {
		return err
	}
	all, err := w.TestInstances(ctx, t.Workspace())
	if err != nil {
		return err
	}
	canceled := &messaging.SendError{Code: "CANCELED", Message: "The sandbox was reset."}
	now := store.Place(time.Now()) // what is accepted from now on may go or stay
	for i := range all {
		if err := w.a.outbox.Fail(ctx, laneOf(all[i]), now, canceled); err != nil {
			return fmt.Errorf("end what waits for %s: %w", all[i].ID, err)
		}
	}
	w.a.sandbox.Forget(t.Workspace())
	if err := w.rest(ctx, t.Workspace()); err != nil {
		return err
	}
	if err := w.revive(ctx, t, all); err != nil {
		return err
	}
	return w.clear(ctx, t)
}

// revive connects again what was disconnected, dropped, banned or logged out.
func (w testWorlds) revive(ctx context.Context, t messaging.Tenancy, all []messaging.Instance) error {
	for _, i := range all {
		if i.State == messaging.InstancePairing && i.Phone == "" {
			if err := w.Report(ctx, w.a.sandbox.Unasked(&i)); err != nil {
				return fmt.Errorf("end the pairing of %s: %w", i.ID, err)
			}
		}
		if i.State == messaging.InstanceConnected || i.Phone == "" {
			continue
		}
		if i.Desired != messaging.DesiredConnected {
			var err error
			if i, err = w.a.manager.Connect(ctx, t, i.ID, ""); err != nil {
				return fmt.Errorf("connect %s: %w", i.ID, err)
			}
		}
		if err := w.Report(ctx, w.a.sandbox.Revived(&i)); err != nil {
			return fmt.Errorf("connect %s: %w", i.ID, err)
		}
	}
	return w.rest(ctx, t.Workspace())
}

// restPatience is how long a reset waits for a world to come to rest: one that
// goes on being used never does.
const restPatience = 2 * time.Second

// rest waits until nothing of a world is in hand, but not for long.
func (w testWorlds) rest(ctx context.Context, workspace string) error {
	waiting, cancel := context.WithTimeout(ctx, restPatience)
	defer cancel()
	if err := w.a.idle(waiting, workspace); err != nil && waiting.Err() == nil {
		return fmt.Errorf("come to rest: %w", err)
	}
	return ctx.Err()
}

// clear deletes what happened, and lets time pass as it does on the machine.
func (w testWorlds) clear(ctx context.Context, t messaging.Tenancy) error {
	if err := w.ResetSandbox(ctx, t.Workspace()); err != nil {
		return fmt.Errorf("reset sandbox: %w", err)
	}
	_, err := w.a.clocks.SetMode(ctx, t.Workspace(), sandbox.Real)
	return err
}
