package main

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"portaria/instances"
	"portaria/instances/whatsapp"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/sandbox"
	"portaria/store"
	"portaria/wasim"
)

// childLive is the mode in which bench weighs live instances: the gateway
// without its door, in a process of its own.
const childLive = "weigh-live-instances"

// liveHouse is the real parts of the live world, wired as cmd/portaria does.
type liveHouse struct {
	ctx     context.Context
	phones  int
	store   *store.Store
	session io.Closer
	manager *instances.Manager
	outbox  *outbox.Dispatcher
	tenancy messaging.Tenancy
	all     []messaging.Instance
	stop    context.CancelFunc // of the manager's watch
	watch   sync.WaitGroup
}

// serveLiveHouse is the child's main.
func serveLiveHouse(ctx context.Context, args []string, stdout io.Writer) (err error) {
	if len(args) != 4 {
		return errors.New(childLive + " wants the network's address, a folder, a database or -, and how many phones there are")
	}
	phones, err := positive(args[3])
	if err != nil {
		return err
	}
	o := store.Options{DataDir: args[1], DatabaseURL: strings.TrimPrefix(args[2], "-")}
	s, err := store.Open(ctx, o)
	if err != nil {
		return err
	}
	h := &liveHouse{ctx: ctx, phones: phones, store: s}
	if err := h.wire(ctx, o, args[0]); err != nil {
		return errors.Join(err, s.Close())
	}
	defer func() { err = errors.Join(err, h.close()) }()
	return obey(h, os.Stdin, stdout)
}

func (h *liveHouse) wire(ctx context.Context, o store.Options, addr string) error {
	s := h.store
	err := s.Migrate(ctx)
	if err != nil {
		return err
	}
	if h.tenancy, err = newTenancy(ctx, s, messaging.Live); err != nil {
		return err
	}
	driver, err := h.driver(ctx, o, addr)
	if err != nil {
		return err
	}
	h.manager = instances.NewManager(instances.Options{
		Store: s, Pairings: s, Reporter: s, Live: driver, Connected: func(id string) { h.outbox.Wake(id) },
		Now: func(messaging.Tenancy, string) time.Time { return time.Now().UTC() },
	})
	h.outbox = outbox.New(outbox.Options{
		Store: s, Reporter: s, Channels: h.manager, Refuses: sandbox.RefusesAtOnce,
		Clocks: func(outbox.LaneRef) messaging.Clock { return wallClock{} },
		Instance: func(ctx context.Context, ref outbox.LaneRef) (messaging.Instance, error) {
			return h.manager.Resolve(ctx, h.tenancy, ref.InstanceID)
		},
	})
	s.TellInstances(h.manager.Observe)
	if err := h.manager.Load(ctx); err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	h.stop = stop
	h.watch.Go(func() { _ = h.manager.Run(watching) })
	return nil
}

func (h *liveHouse) driver(ctx context.Context, o store.Options, addr string) (*whatsapp.Driver, error) {
	db, dialect, err := store.OpenWhatsApp(ctx, o)
	if err != nil {
		return nil, err
	}
	h.session = db
	sessions, err := whatsapp.OpenSessions(ctx, db, dialect, nil)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	key := wasim.RootKey()
	whatsapp.Prepare(whatsapp.Process{RootKey: &key})
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(wasim.CAPEM())
	return whatsapp.New(whatsapp.Options{
		Sessions: sessions, Reporter: h.store, Pairings: h.store, Index: h.store, TempDir: filepath.Join(o.DataDir, "tmp"),
		Endpoint: &whatsapp.Endpoint{Addr: addr, CA: trusted},
	})
}

// wallClock is the clock of the live world.
type wallClock struct{}

// Now implements messaging.Clock.
func (wallClock) Now() time.Time { return time.Now().UTC() }

// At implements messaging.Clock.
func (wallClock) At(t time.Time, do func()) (forget func()) {
	timer := time.AfterFunc(time.Until(t), do)
	return func() { timer.Stop() }
}

// Deadline implements messaging.Clock.
func (c wallClock) Deadline(t time.Time, do func()) (forget func()) { return c.At(t, do) }

// Link makes instances and returns their codes.
func (h *liveHouse) Link(n int, codes *[]string) error {
	*codes = make([]string, n)
	made := make([]messaging.Instance, n)
	group, ctx := errgroup.WithContext(h.ctx)
	for i := range n {
		draft := instances.Draft{Name: liveName(len(h.all) + i), Settings: []byte(`{"pace":{"enabled":false}}`)}
		group.Go(func() (err error) {
			if made[i], err = h.manager.Create(ctx, h.tenancy, draft); err == nil {
				(*codes)[i], err = h.code(ctx, made[i].ID)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	h.all = append(h.all, made...)
	return nil
}

func (h *liveHouse) code(ctx context.Context, id string) (code string, err error) {
	if _, err := h.manager.Connect(ctx, h.tenancy, id, ""); err != nil {
		return "", err
	}
	err = eventually(ctx, "a code is shown", func() (bool, error) {
		p, err := h.manager.Pairing(ctx, h.tenancy, id)
		code = p.QR
		return err == nil, nil
	})
	return code, err
}

// Linked waits until every instance is connected.
func (h *liveHouse) Linked(struct{}, *struct{}) error {
	return eventually(h.ctx, "the instances are connected", func() (bool, error) {
		for i := range h.all {
			if _, ok := h.manager.Channel(h.all[i].ID); !ok {
				return false, nil
			}
		}
		return true, nil
	})
}

// Greet sends a message from every instance to each of its contacts, and waits
// until all have been read and nobody has work in hand.
func (h *liveHouse) Greet(struct{}, *struct{}) error {
	before, err := h.lastEvent()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(h.ctx)
	group.SetLimit(together)
	for i := range h.all {
		for k := range contactsEach {
			to := contactNumber(k*h.phones + i)
			group.Go(func() error {
				_, err := h.outbox.Accept(ctx, outbox.Draft{
					Tenancy: h.tenancy, Instance: h.all[i], To: "+" + to, Priority: messaging.Normal,
					Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: messageText()}},
				})
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	goal := before + int64(len(h.all)*contactsEach*eventsOfAMessage)
	return eventually(h.ctx, "the messages are read", func() (bool, error) {
		last, err := h.lastEvent()
		return last >= goal, err
	})
}

// lastEvent returns the number of the newest event.
func (h *liveHouse) lastEvent() (int64, error) {
	last, err := h.store.Events(h.ctx, h.tenancy, messaging.EventFilter{}, messaging.Page{Limit: 1})
	if err != nil || len(last) == 0 {
		return 0, err
	}
	return last[0].Sequence, nil
}

// Weigh returns what the process keeps in memory.
func (h *liveHouse) Weigh(_ struct{}, bytes *int64) error { //nolint:unparam // net/rpc wants an error of every method
	*bytes = kept()
	return nil
}

func (h *liveHouse) close() error {
	h.stop()
	h.watch.Wait()
	h.outbox.Stop()
	return errors.Join(h.manager.Close(), h.session.Close(), h.store.Close())
}
