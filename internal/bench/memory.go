package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"portaria/auth"
	"portaria/instances"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/sandbox"
	"portaria/store"
)

// childMemory is the mode in which bench weighs instances. They are weighed in
// a process of their own, for only there can garbage be told from what is kept.
const childMemory = "weigh-instances"

// weighed is how many test instances are weighed together.
const weighed = 10_000

// warming is how many are made before, for what only the first ones bring along.
const warming = 16

// weight is what the child answers, in bytes of heap and stacks an instance.
type weight struct {
	Idle float64 // made and left alone
	Used float64 // after each has sent a message that was read
}

// memory measures what an instance keeps in memory.
func (b *bench) memory(ctx context.Context) (sample, error) {
	dir, err := b.freshDir()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, b.self, childMemory, dir, strconv.Itoa(weighed))
	cmd.SysProcAttr = leash()
	said := new(logTail)
	cmd.Stderr = said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, said)
	}
	var w weight
	if err := json.Unmarshal(out, &w); err != nil {
		return nil, err
	}
	return sample{bytesIdle: w.Idle, bytesUsed: w.Used}, nil
}

// weighInstances is the child's main.
func weighInstances(ctx context.Context, args []string, stdout io.Writer) (err error) {
	if len(args) != 2 {
		return errors.New(childMemory + " wants a folder and a number")
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	h, err := newHouse(ctx, args[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	h.all = make([]messaging.Instance, 0, warming+n)
	if err := h.fill(ctx, "warm", warming); err != nil {
		return err
	}
	var w weight
	before := kept()
	if err := h.fill(ctx, "idle", n); err != nil {
		return err
	}
	w.Idle = float64(kept()-before) / float64(n)
	if err := h.sendFromAll(ctx); err != nil {
		return err
	}
	w.Used = float64(kept()-before) / float64(n)
	runtime.KeepAlive(h)
	return json.NewEncoder(stdout).Encode(w)
}

// kept returns the bytes of heap and stacks that are in use after the garbage
// has been collected. Twice, for finalizers and pools keep things for a cycle.
func kept() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// house is the gateway without its door: the real parts, wired as
// cmd/portaria does.
type house struct {
	store   *store.Store
	clocks  *sandbox.Clocks
	sandbox *sandbox.Driver
	manager *instances.Manager
	outbox  *outbox.Dispatcher
	tenancy messaging.Tenancy
	all     []messaging.Instance
}

func newHouse(ctx context.Context, dir string) (*house, error) {
	s, err := store.Open(ctx, store.Options{DataDir: dir})
	if err != nil {
		return nil, err
	}
	h := &house{store: s}
	if err := h.wire(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := h.open(ctx); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (h *house) wire() (err error) {
	s := h.store
	if h.clocks, err = sandbox.NewClocks(sandbox.ClocksOptions{Store: s}); err != nil {
		return err
	}
	if h.sandbox, err = sandbox.New(sandbox.Options{Store: s, Reporter: s, Clocks: h.clocks}); err != nil {
		return err
	}
	h.manager = instances.NewManager(instances.Options{
		Store: s, Test: h.sandbox, Connected: func(id string) { h.outbox.Wake(id) },
		Now: func(t messaging.Tenancy, _ string) time.Time { return h.clocks.For(t.Workspace()).Now() },
	})
	h.outbox = outbox.New(outbox.Options{
		Store: s, Reporter: s, Channels: h.manager, Refuses: sandbox.RefusesAtOnce,
		Clocks: func(ref outbox.LaneRef) messaging.Clock { return h.clocks.For(ref.WorkspaceID) },
	})
	return nil
}

// open makes a workspace and takes its test world from a key, as a request
// would.
func (h *house) open(ctx context.Context) error {
	if err := h.store.Migrate(ctx); err != nil {
		return err
	}
	t, err := newTenancy(ctx, h.store, messaging.Test)
	if err != nil {
		return err
	}
	h.tenancy = t
	_, err = h.clocks.SetMode(ctx, t.Workspace(), sandbox.Instant)
	return err
}

// newTenancy makes a workspace and takes one of its worlds from a key.
func newTenancy(ctx context.Context, s *store.Store, env messaging.Environment) (messaging.Tenancy, error) {
	now := time.Now()
	w := store.Workspace{ID: messaging.NewID(messaging.WorkspacePrefix, now), Name: "default", CreatedAt: now}
	if err := s.InsertWorkspace(ctx, w); err != nil {
		return messaging.Tenancy{}, err
	}
	directory, err := auth.New(auth.Options{Store: s})
	if err != nil {
		return messaging.Tenancy{}, err
	}
	keys, err := auth.NewKeys(auth.KeysOptions{Store: s, Directory: directory, BcryptCost: auth.MinBcryptCost})
	if err != nil {
		return messaging.Tenancy{}, err
	}
	_, token, err := keys.Create(ctx, auth.NewKey{
		Workspace: w.ID, Environment: env, Name: "bench", Scopes: []string{"*"}, AllInstances: true,
	})
	if err != nil {
		return messaging.Tenancy{}, err
	}
	grant, err := directory.Authenticate(ctx, token.Reveal())
	if err != nil {
		return messaging.Tenancy{}, err
	}
	return grant.Tenancy(), nil
}

// together is how many calls run at once, so that they share commits.
const together = 64

// fill makes n more instances. The list of them is not part of the weight: it
// has had its room from the beginning.
func (h *house) fill(ctx context.Context, name string, n int) error {
	h.all = h.all[:len(h.all)+n]
	made := h.all[len(h.all)-n:]
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(together)
	for i := range made {
		group.Go(func() (err error) {
			made[i], err = h.manager.Create(ctx, h.tenancy, instances.Draft{Name: fmt.Sprintf("%s-%d", name, i)})
			return err
		})
	}
	return group.Wait()
}

// sendFromAll sends a message from each instance and waits until all is quiet.
func (h *house) sendFromAll(ctx context.Context) error {
	base, err := h.lastEvent(ctx)
	if err != nil {
		return err
	}
	group, sending := errgroup.WithContext(ctx)
	group.SetLimit(together)
	for i := range h.all {
		group.Go(func() error {
			_, err := h.outbox.Accept(sending, outbox.Draft{
				Tenancy: h.tenancy, Instance: h.all[i], To: "+15005550006", Priority: messaging.Normal,
				Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: "weighed"}},
			})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return h.quiet(ctx, base+int64(len(h.all))*eventsOfAMessage)
}

// lastEvent returns the number of the newest event.
func (h *house) lastEvent(ctx context.Context) (int64, error) {
	last, err := h.store.Events(ctx, h.tenancy, messaging.EventFilter{}, messaging.Page{Limit: 1})
	if err != nil || len(last) == 0 {
		return 0, err
	}
	return last[0].Sequence, nil
}

// quiet waits for the goal-th event, with which all that was sent has been
// read, and until nobody has work in hand.
func (h *house) quiet(ctx context.Context, goal int64) error {
	ctx, cancel := context.WithTimeout(ctx, lifecycleLimit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		last, err := h.lastEvent(ctx)
		if err != nil {
			return err
		}
		if last >= goal {
			return errors.Join(h.outbox.Idle(ctx, h.tenancy.Workspace()), h.sandbox.Idle(ctx, h.tenancy.Workspace()))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("messages are not read: %w", ctx.Err())
		}
	}
}

func (h *house) close() error {
	if h.outbox != nil {
		h.outbox.Stop()
	}
	return errors.Join(h.manager.Close(), h.sandbox.Close(), h.clocks.Close(), h.store.Close())
}
