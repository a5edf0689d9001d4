package main

import (
	"context"
	"errors"

	"portaria/instances"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox/runs"
)

// newRuns makes the room that plays scripts in the sandbox.
func (a *app) newRuns(o appOptions) {
	a.runs = runs.New(runs.Options{
		Store: a.store, Owner: runOwner{a}, Network: a.sandbox, Clocks: a.clocks, Idle: a.idleInstance, Logger: o.log,
	})
}

// runOwner keeps the instances of runs.
type runOwner struct{ a *app }

func testWorld(workspace string) messaging.Tenancy {
	return messaging.NewTenancy(workspace, messaging.Test, messaging.AllInstances())
}

// Create implements runs.Owner.
func (o runOwner) Create(ctx context.Context, workspace, id, name string, unpaired bool) error {
	_, err := o.a.manager.Create(ctx, testWorld(workspace), instances.Draft{ID: id, Name: name, Unpaired: unpaired})
	return err
}

// Test implements runs.Owner.
func (o runOwner) Test(ctx context.Context, workspace, id string) (messaging.TestInstance, error) {
	i, err := o.a.manager.Resolve(ctx, testWorld(workspace), id)
	if err != nil {
		return messaging.TestInstance{}, err
	}
	t, ok := i.Test()
	if !ok {
		return t, instances.ErrNotFound
	}
	return t, nil
}

// Connect implements runs.Owner.
func (o runOwner) Connect(ctx context.Context, workspace, id string) error {
	_, err := o.a.manager.Connect(ctx, testWorld(workspace), id, "")
	return err
}

// Delete implements runs.Owner.
func (o runOwner) Delete(ctx context.Context, workspace, id string) error {
	_, err := o.a.manager.Delete(ctx, testWorld(workspace), id)
	if errors.Is(err, instances.ErrNotFound) || errors.Is(err, fault.ErrNotFound) {
		err = nil
	}
	if err == nil {
		o.a.outbox.Forget(id)
	}
	return err
}
