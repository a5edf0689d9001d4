package main

import (
	"context"

	"portaria/messaging"
	"portaria/outbox/bulk"
	"portaria/sandbox"
	"portaria/store"
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
// it writes to. It is asked in the transaction that records the message, so it
// must not wait. What of bulks waits for that contact is called back meanwhile.
func (a *app) optOutKeyword(m *messaging.Message) (keyword string, ok bool) {
	tenancy := messaging.NewTenancy(m.WorkspaceID, m.Environment, messaging.AllInstances())
	i, _ := a.manager.Known(tenancy, m.InstanceID) // without it the usual words count
	if keyword, ok = bulk.IsOptOut(m, &i); ok {
		a.bulks.OptedOut(messaging.World{WorkspaceID: m.WorkspaceID, Environment: m.Environment}, m.InstanceID, messaging.Person(m.Peer.WAID))
	}
	return keyword, ok
}

// optOuts keeps who wants no bulks, and calls back what waits for them.
type optOuts struct {
	*store.Store

	bulks *bulk.Service
}

// OptOut implements gateway.OptOuts.
func (o optOuts) OptOut(ctx context.Context, out messaging.OptOut) (messaging.OptOut, error) {
	noted, err := o.Store.OptOut(ctx, out)
	if err == nil {
		w := messaging.World{WorkspaceID: out.WorkspaceID, Environment: out.Environment}
		o.bulks.OptedOut(w, out.InstanceID, messaging.Person(out.To.WAID))
	}
	return noted, err
}

// wake tells those who send through an instance that it may take messages again,
// or that its settings have changed.
func (a *app) wake(instanceID string) {
	a.outbox.Wake(instanceID)
	a.bulks.Wake(instanceID)
}
