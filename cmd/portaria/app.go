package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"portaria/auth"
	"portaria/events"
	"portaria/gateway"
	"portaria/instances"
	"portaria/instances/pairlink"
	"portaria/instances/proxy"
	"portaria/media"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/outbox/bulk"
	"portaria/sandbox"
	"portaria/sandbox/runs"
	"portaria/store"
)

// app is the whole gateway, wired. The order of its life is: new (nothing
// runs), recover (what an earlier process left is taken up), serve, close.
type app struct {
	log       *slog.Logger
	store     *store.Store
	journal   *events.Journal
	clocks    *sandbox.Clocks
	sandbox   *sandbox.Driver
	manager   *instances.Manager
	outbox    *outbox.Dispatcher
	bulks     *bulk.Service
	runs      *runs.Service
	directory *auth.Directory
	keys      *auth.Keys
	logs      *store.LogBook
	media     *media.Library
	proxies   *proxy.Book
	whatsapp  *sessions // nil: live instances never connect
	sinks     sinks
	server    *gateway.Server
	pulse     pulse
	pings     singleflight.Group // questions of Ready
}

// appOptions are what an app is made of beyond its store.
type appOptions struct {
	log            *slog.Logger
	bcryptCost     int
	trustedProxies []netip.Prefix
	publicURL      string // empty: the address that is listened on
	mediaDir       string
	spoolDir       string         // where the rows of bulks lie while they are accepted; empty: the system's
	mediaAllow     []netip.Prefix // addresses that files may be fetched from though they are not public
	secretKey      []byte         // what secrets in the database are sealed with
	proxyAllow     []netip.Prefix // addresses where these may stand though they are not public
	whatsapp       *sessions      // nil: live instances never connect
	sinks          sinkOptions
}

// newApp wires the rooms. This is the only place that knows all of them.
func newApp(s *store.Store, o appOptions) (*app, error) {
	a := &app{log: o.log, store: s, journal: events.NewJournal(s), logs: s.LogBook(), whatsapp: o.whatsapp}
	var err error
	if a.media, err = media.New(media.Options{Store: s, Dir: o.mediaDir, Allow: o.mediaAllow}); err != nil {
		return nil, err
	}
	if a.proxies, err = proxy.New(proxy.Options{Key: o.secretKey, Allow: o.proxyAllow}); err != nil {
		return nil, err
	}
	if a.clocks, err = sandbox.NewClocks(sandbox.ClocksOptions{Store: s, Logger: o.log, Idle: a.idle}); err != nil {
		return nil, err
	}
	if a.sandbox, err = sandbox.New(sandbox.Options{Store: s, Pairings: s, Reporter: s, Clocks: a.clocks, Logger: o.log}); err != nil {
		return nil, err
	}
	live, err := a.liveDriver(o)
	if err != nil {
		return nil, err
	}
	a.manager = instances.NewManager(instances.Options{
		Store: s, Pairings: s, Reporter: s, Live: live, Test: a.sandbox, Proxies: a.proxies, Logger: o.log,
		Connected: a.wake,
		Drain: func(ctx context.Context, i messaging.Instance) error {
			return a.outbox.Drain(ctx, laneOf(i))
		},
		Relinked: func(ctx context.Context, i messaging.Instance) error {
			return a.outbox.Fail(ctx, laneOf(i), i.RelinkedPlace, outbox.ErrOtherNumber())
		},
		Now: func(t messaging.Tenancy, id string) time.Time {
			return a.instanceClock(t.Workspace(), t.Environment(), id).Now()
		},
	})
	a.newOutbox(o)
	a.newBulks(o)
	a.newRuns(o)
	if err := a.newSinks(o); err != nil {
		return nil, err
	}
	s.Tell(a.tell)
	s.TestNow(a.clocks.Peek)
	s.MediaGone(a.removeFiles)
	s.TellInstances(a.observe)
	if a.directory, err = auth.New(auth.Options{Store: s, Logger: o.log}); err != nil {
		return nil, err
	}
	if a.keys, err = auth.NewKeys(auth.KeysOptions{Store: s, Directory: a.directory, BcryptCost: o.bcryptCost}); err != nil {
		return nil, err
	}
	a.server, err = gateway.New(gateway.Options{
		Auth: a.directory, Sender: a.outbox, Acts: a.messageActs(), Instances: a.manager, Reader: s, Media: a.media, Awaiter: a.journal, Clocks: a.clocks,
		Connections: a.manager, Numbers: a.manager, Proxies: a.proxies, Pacer: a.outbox, Links: pairlink.New(s, nil), PublicURL: o.publicURL,
		Bulks: a.bulks, Steering: a.bulks, OptOuts: optOuts{s, a.bulks},
		Controls: a.sandbox, Contacts: a.sandbox, Runs: a.runs, World: testWorlds{s, a},
		Streams: a.sinks.hub, Webhooks: a.sinks.endpoints, Deliveries: a.sinks.endpoints,
		Idempotency: s, Logs: a.logs, Ready: a, Logger: o.log, ClockOf: a.clockOf,
		TrustedProxies: o.trustedProxies, Version: version(), Secret: o.secretKey, SpoolDir: o.spoolDir,
	})
	return a, err
}

// removeFiles deletes the bytes of files that nothing names any more.
func (a *app) removeFiles(ids []string) {
	if err := a.media.Remove(ids); err != nil {
		a.log.Error("files not deleted", "error", err)
	}
}

// newOutbox makes the queue behind every send.
func (a *app) newOutbox(o appOptions) {
	a.outbox = outbox.New(outbox.Options{
		Store: a.store, Reporter: a.store, Channels: a.manager, Logger: o.log, Refuses: sandbox.RefusesAtOnce,
		Clocks: func(ref outbox.LaneRef) messaging.Clock {
			return a.instanceClock(ref.WorkspaceID, ref.Environment, ref.InstanceID)
		},
		Instance: func(ctx context.Context, ref outbox.LaneRef) (messaging.Instance, error) {
			return a.manager.Resolve(ctx, messaging.NewTenancy(ref.WorkspaceID, ref.Environment, messaging.AllInstances()), ref.InstanceID)
		},
	})
}

// messageActs makes what does with messages what is no sending.
func (a *app) messageActs() *instances.MessageActs {
	return instances.NewMessageActs(instances.MessageActsOptions{
		Channels: a.manager, Messages: a.store, Reporter: a.store,
		Now: func(m *messaging.Message) time.Time {
			return a.instanceClock(m.WorkspaceID, m.Environment, m.InstanceID).Now()
		},
	})
}

func laneOf(i messaging.Instance) outbox.LaneRef {
	return outbox.LaneRef{WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID}
}

func (a *app) clockOf(t messaging.Tenancy) messaging.Clock {
	return a.clock(t.Workspace(), t.Environment())
}

// clock returns a world's clock: the machine's, or a test world's own.
func (a *app) clock(workspace string, env messaging.Environment) messaging.Clock {
	if env == messaging.Test {
		return a.clocks.For(workspace)
	}
	return machineClock{}
}

// instanceClock returns an instance's clock: its world's, but for a test instance
// that is in a run.
func (a *app) instanceClock(workspace string, env messaging.Environment, instance string) messaging.Clock {
	if env == messaging.Test {
		return a.clocks.Of(workspace, instance)
	}
	return machineClock{}
}

// readyPatience bounds the question whether the database answers: who asks
// for readiness gives up after a few seconds, and takes silence for death.
const readyPatience = 1500 * time.Millisecond

// Ready implements gateway.Readiness. Behind a broken network, a question to the
// database can outlast its context, until its connection is given up. It is left
// to itself then; the pool bounds how many of them there can be.
func (a *app) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	answer := a.pings.DoChan(pingKey, a.ping)
	select {
	case got := <-answer:
		return got.Err
	case <-ctx.Done():
		a.pings.Forget(pingKey) // whoever asks next must not wait for what hangs
		return store.ErrDatabaseUnreachable.Because(ctx.Err())
	}
}

// pingKey names the one question that callers of Ready share.
const pingKey = "database"

// ping outlives the request that asks first, because others wait for it too.
func (a *app) ping() (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), readyPatience)
	defer cancel()
	return nil, a.store.Ping(ctx)
}

// recover takes up what an earlier process left, before the first request.
func (a *app) recover(ctx context.Context) error {
	if err := a.directory.Load(ctx); err != nil {
		return fmt.Errorf("load keys: %w", err)
	}
	if err := a.manager.Load(ctx); err != nil {
		return fmt.Errorf("load instances: %w", err)
	}
	if err := a.media.Clean(); err != nil {
		return err
	}
	if err := a.runs.Recover(ctx); err != nil {
		return fmt.Errorf("recover runs: %w", err)
	}
	if err := a.sandbox.Recover(ctx); err != nil {
		return err
	}
	if err := a.cancelOrphans(ctx); err != nil {
		return err
	}
	if err := a.bulks.Recover(ctx); err != nil { // so that no lane sends what was canceled
		return fmt.Errorf("recover bulks: %w", err)
	}
	if err := a.outbox.Recover(ctx); err != nil {
		return fmt.Errorf("recover outbox: %w", err)
	}
	a.bulks.Start()
	return nil
}

// serve answers requests until ctx ends, then lets what is in hand finish.
func (a *app) serve(ctx context.Context, listener net.Listener) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var work sync.WaitGroup
	for name, run := range a.background() {
		work.Go(func() {
			if err := run(background); err != nil {
				a.log.Error("background work ended", "work", name, "error", err)
			}
		})
	}
	err := a.server.Serve(ctx, listener)
	stop()
	work.Wait()
	return err
}

// background is what runs beside the requests, by its name in the log.
func (a *app) background() map[string]func(context.Context) error {
	all := map[string]func(context.Context) error{
		"keys": a.directory.Run, "instances": a.manager.Run, "logs": a.logs.Run, "sweeps": a.store.RunSweeps,
	}
	for _, sink := range a.sinks.all {
		all[fmt.Sprintf("%T", sink)] = sink.Run
	}
	return all
}

// close ends what runs, from the outside in.
func (a *app) close() error {
	a.bulks.Stop()
	a.outbox.Stop()
	return errors.Join(a.manager.Close(), a.whatsapp.Close(), a.sandbox.Close(), a.clocks.Close(), a.store.Close())
}

// machineClock is the clock of the live world.
type machineClock struct{}

// Now implements messaging.Clock.
func (machineClock) Now() time.Time { return time.Now().UTC() }

// At implements messaging.Clock.
func (machineClock) At(due time.Time, f func()) func() {
	t := time.AfterFunc(time.Until(due), f)
	return func() { t.Stop() }
}

// Deadline implements messaging.Clock.
func (c machineClock) Deadline(due time.Time, f func()) func() { return c.At(due, f) }
