package main

import (
	"context"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox/bulk"
	"portaria/sandbox"
)

// newBulks makes the room that sends one message to many.
func (a *app) newBulks(o appOptions) {
	a.store.OptOutKeyword(a.optOutKeyword)
	a.bulks = bulk.New(bulk.Options{
		Store: a.store, Outbox: a.outbox, Reporter: a.store, Channels: a.manager, Dir: o.spoolDir, Logger: o.log,
		Clocks:  func(w messaging.World) messaging.Clock { return a.clock(w.WorkspaceID, w.Environment) },
		Refuses: sandbox.RefusesAtOnce, Predict: sandbox.Predict,
		Instance: func(ctx context.Context, w messaging.World, id string) (messaging.Instance, error) {
			return a.manager.Resolve(ctx, messaging.NewTenancy(w.WorkspaceID, w.Environment, messaging.AllInstances()), id)
		},
	})
}

// optOutKeyword tells whether a contact wants no more bulks of the instance that
// it writes to. An instance that is not known any more sends none.
func (a *app) optOutKeyword(m *messaging.Message) (keyword string, ok bool) {
	tenancy := messaging.NewTenancy(m.WorkspaceID, m.Environment, messaging.AllInstances())
	i, err := a.manager.Resolve(context.Background(), tenancy, m.InstanceID)
	if err != nil {
		if f := fault.As(err); f == nil || f.Kind() != fault.NotFound {
			a.log.Error("opt-out keywords of an instance not read, the usual ones count", "instance", m.InstanceID, "error", err)
		}
	}
	return bulk.IsOptOut(m, &i)
}

// wake tells those who send through an instance that it may take messages again,
// or that its settings have changed.
func (a *app) wake(instanceID string) {
	a.outbox.Wake(instanceID)
	a.bulks.Wake(instanceID)
}
