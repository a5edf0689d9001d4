package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"portaria/events/natssink"
	"portaria/events/stream"
	"portaria/events/webhooks"
	"portaria/gateway"
	"portaria/internal/fault"
	"portaria/internal/guard"
	"portaria/internal/seal"
	"portaria/messaging"
	"portaria/store"
)

// sinkOptions say where events go, besides those who follow a stream.
type sinkOptions struct {
	allow     []netip.Prefix // addresses that webhooks may lead to though they are not public
	allowHTTP bool           // webhooks may be posted to http URLs
	natsURL   string         // empty: no broker
	alone     bool           // no other server can be on this database
}

// sinks are where committed events go. A new one is a room below events/ and a
// line in newSinks.
type sinks struct {
	all        []messaging.Sink
	hub        *stream.Hub
	endpoints  *webhooks.Endpoints
	dispatcher *webhooks.Dispatcher
}

// newSinks makes the sinks, before the store writes its first event.
func (a *app) newSinks(o appOptions) error {
	render := gateway.NewRenderer(a.proxies).RenderEvent
	box, err := seal.New(o.secretKey)
	if err != nil {
		return fmt.Errorf("webhooks: %w", err)
	}
	if err := a.newWebhooks(o, box, render); err != nil {
		return err
	}
	if a.sinks.hub, err = stream.New(stream.Options{Store: a.store, Render: render, Logger: o.log}); err != nil {
		return err
	}
	a.sinks.all = []messaging.Sink{a.sinks.dispatcher, a.sinks.hub}
	if o.sinks.natsURL == "" {
		return nil
	}
	nats, err := natssink.New(natssink.Options{Store: a.store, URL: o.sinks.natsURL, Render: render, Logger: o.log})
	if errors.Is(err, natssink.ErrURL) {
		return fault.Fields{{Field: "PORTARIA_NATS_URL", Rule: "format", Message: "must be like nats://host:4222 or tls://user:password@host:4222"}}.Err()
	}
	if err != nil {
		return err
	}
	a.sinks.all = append(a.sinks.all, nats)
	return nil
}

// newWebhooks makes the room that keeps endpoints and the one that delivers.
func (a *app) newWebhooks(o appOptions, box *seal.Box, render func(messaging.Event) ([]byte, error)) (err error) {
	wall := guard.New(o.sinks.allow)
	a.sinks.dispatcher, err = webhooks.NewDispatcher(webhooks.DispatcherOptions{
		Queue: a.store.DeliveryQueue(), Nodes: a.store, Box: box, Guard: wall, AllowHTTP: o.sinks.allowHTTP, Render: render,
		Clock: func(w messaging.World) messaging.Clock { return a.clock(w.WorkspaceID, w.Environment) },
		Alone: o.sinks.alone, Version: version(), Logger: o.log,
	})
	if err != nil {
		return err
	}
	a.store.DeliverAs(a.sinks.dispatcher.Node())
	a.store.TellQueued(a.sinks.dispatcher.Queued)
	a.sinks.endpoints, err = webhooks.New(webhooks.Options{
		Store: a.store, Box: box, Guard: wall, AllowHTTP: o.sinks.allowHTTP, Logger: o.log,
		Now:     func(t messaging.Tenancy) time.Time { return a.clockOf(t).Now() },
		Changed: a.sinks.dispatcher.Changed,
	})
	return err
}

// tell passes committed events on. It runs on the committer's goroutine. What a
// clock counts (idle) is counted last, when whoever has work by it has that, but for
// webhooks, which are looked at last.
func (a *app) tell(committed store.Committed) {
	a.journal.Tell(committed)
	a.bulks.Tell(committed)
	for _, sink := range a.sinks.all {
		sink.Tell(committed)
	}
	a.runs.Tell(committed)
	a.pulse.tell(committed)
}

// observe passes on what an instance is after a commit, as tell does with events.
func (a *app) observe(i messaging.Instance) {
	a.manager.Observe(i)
	a.runs.Observe(i)
	a.pulse.observe(i)
}

// idleSinks are the rooms that a test clock waits for when it is moved.
func (a *app) idleSinks() (idle []room) {
	for _, sink := range a.sinks.all {
		idle = append(idle, sink.Idle)
	}
	return idle
}
