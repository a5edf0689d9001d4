package instances

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"portaria/instances/proxy"
	"portaria/messaging"
)

// epochInterval is how often the manager looks for what other processes
// changed.
const epochInterval = 250 * time.Millisecond

// Store is what the manager needs of a database.
type Store interface {
	AllInstances(ctx context.Context) ([]messaging.Instance, error)
	// FindInstance finds an instance by id or name; ErrNotFound.
	FindInstance(ctx context.Context, workspace string, env messaging.Environment, ref string) (messaging.Instance, error)
	// InsertInstance stores an instance, its event and its claim; NAME_TAKEN.
	InsertInstance(ctx context.Context, i messaging.Instance, claim *messaging.Claim) error
	// ChangeInstance reads an instance, lets change alter what its owner decides
	// (metadata, settings, desire, ask, Relinked), and stores it, with nobody
	// writing in between; ErrNotFound. An error of change is returned, and
	// nothing is stored.
	ChangeInstance(ctx context.Context, workspace string, env messaging.Environment, id string, change func(*messaging.Instance) error) (messaging.Instance, error)
	DeleteInstance(ctx context.Context, i messaging.Instance) error
	InstanceEpoch(ctx context.Context) (int64, error)
	// ForgetLinks has forget called for every deleted live instance that still
	// names a session which no other names; those for which it succeeds name none
	// any more.
	ForgetLinks(ctx context.Context, forget func(context.Context, messaging.Instance) error) error
}

// Pairings is where drivers show the codes of pairings.
type Pairings interface {
	// FindPairing returns the code of an instance, expired or not; ErrNotPairing.
	FindPairing(ctx context.Context, workspace string, env messaging.Environment, instanceID string) (messaging.Pairing, error)
}

// Options are what a manager needs.
type Options struct {
	Store Store
	// Pairings and Reporter are needed where there are drivers: a command beside
	// a server does without.
	Pairings Pairings
	Reporter messaging.Reporter
	// Live and Test are the drivers of the two worlds. Without Live, live
	// instances can be created but never connect.
	Live messaging.Driver[messaging.LiveInstance]
	Test messaging.Driver[messaging.TestInstance]
	// Proxies keeps the proxies of live instances; nil: none is taken.
	Proxies *proxy.Book
	// Connected is told when an instance's channel can take messages (again),
	// and when its settings have changed: it may send at another pace now.
	Connected func(instanceID string)
	// Relinked fails what waits for the number that was linked to an instance
	// before the one that is linked now. It may be called again for the same
	// instance, which sends nothing until it has succeeded.
	Relinked func(ctx context.Context, i messaging.Instance) error
	// Drain cancels what waits for an instance that goes away. It may be called
	// again for the same instance.
	Drain  func(ctx context.Context, i messaging.Instance) error
	Now    func(t messaging.Tenancy, instanceID string) time.Time
	Logger *slog.Logger
}

// Manager keeps the instances. It is safe for concurrent use.
//
// It hears of them from three sides at once: from what this process writes
// (Create, Update, Delete), from what the journal has committed (Observe), and
// from what Load reads. What is read is a little old by the time it is here. So
// a generation grows with everything that is told; what was read says nothing
// about an instance that was told of since the reading began, neither its state
// nor that it is gone, and Run reads again.
type Manager struct {
	o Options

	refreshing sync.Mutex // Load and the taking in of news take turns
	patching   sync.Mutex // what owners write reaches the memory in the order of its commits

	mu         sync.RWMutex
	byID       map[string]*entry
	byName     map[nameKey]*entry
	closing    map[string]int    // those that were dropped and whose channel is not closed yet
	dropped    map[string]uint64 // when it was dropped, until a reading has begun since
	generation uint64
	loaded     uint64 // the generation at which the last reading began
	epoch      int64  // what the last reading knew
	seen       []messaging.Instance
	undrained  []messaging.Instance
	unfit      []*entry       // live instances whose channels Run is to open or close at once
	starts     []*entry       // the same, a few at a time
	mending    map[string]int // test instances among unfit and starts, or at work: by workspace, and by instance
	watchers   map[string]map[chan struct{}]bool
	started    bool // the first reading is over
	closed     bool

	news  chan struct{} // holds one token when there is something in seen
	quiet chan struct{} // closed, and made anew, when seen has been emptied, or an instance was mended
	gone  chan struct{} // holds one token when there is something new in undrained
	work  chan struct{} // holds one token when there is something new in unfit or starts
}

type nameKey struct {
	workspace   string
	environment messaging.Environment
	name        string
}

func nameOf(i messaging.Instance) nameKey { return nameKey{i.WorkspaceID, i.Environment, i.Name} }

// NewManager returns a manager that knows no instance until Load.
func NewManager(o Options) *Manager {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Proxies == nil {
		o.Proxies = new(proxy.Book)
	}
	if o.Connected == nil {
		o.Connected = func(string) {}
	}
	return &Manager{
		o: o, byID: make(map[string]*entry), byName: make(map[nameKey]*entry), dropped: make(map[string]uint64),
		closing: make(map[string]int), mending: make(map[string]int),
		watchers: make(map[string]map[chan struct{}]bool),
		news:     make(chan struct{}, 1), quiet: make(chan struct{}), gone: make(chan struct{}, 1), work: make(chan struct{}, 1),
	}
}

// Load reads all instances, gives those that are new or have changed the
// channels that they need, and drops those that are gone; what waits for these
// is for Run to cancel. The channels of live instances are for Run to open:
// after the first reading a few at a time, for a thousand phones that connect
// in one moment look like an attack.
func (m *Manager) Load(ctx context.Context) error {
	m.refreshing.Lock()
	defer m.refreshing.Unlock()
	m.takeSeen(ctx)
	began := m.now()
	epoch, err := m.o.Store.InstanceEpoch(ctx)
	if err != nil {
		return err
	}
	all, err := m.o.Store.AllInstances(ctx)
	if err != nil {
		return err
	}
	if err := m.forgetConnections(ctx, all); err != nil {
		return err
	}
	listed := make(map[string]bool, len(all))
	for _, i := range all {
		listed[i.ID] = true
		m.refresh(ctx, i, began)
	}
	if err := m.dropAbsent(ctx, listed, began); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch, m.loaded, m.started = epoch, began, true
	maps.DeleteFunc(m.dropped, func(_ string, at uint64) bool { return at <= began })
	return nil
}

// dropAbsent drops the instances that the reading should have found and did
// not. The database is asked for each once more: to cancel a living instance's
// messages could not be undone.
func (m *Manager) dropAbsent(ctx context.Context, listed map[string]bool, began uint64) error {
	m.mu.RLock()
	var absent []messaging.Instance
	for id, e := range m.byID {
		if !listed[id] && e.told <= began {
			absent = append(absent, e.instance)
		}
	}
	m.mu.RUnlock()
	var failed error
	for _, i := range absent {
		_, err := m.o.Store.FindInstance(ctx, i.WorkspaceID, i.Environment, i.ID)
		switch {
		case errors.Is(err, ErrNotFound):
			if m.drop(ctx, i) {
				m.drainLater(i)
			}
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("is %s gone: %w", i.ID, err))
		}
	}
	return failed
}

// Run follows what other processes change until ctx ends. It returns when all
// that it started has ended.
func (m *Manager) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	// Canceling a long queue takes its time, and reconnections must not wait for it.
	work.Go(func() { m.runDrains(ctx) })
	work.Go(func() { m.runFits(ctx) })
	work.Go(func() { m.forgetSessions(ctx) })
	tick := time.NewTicker(epochInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.news:
			m.takeNews(ctx)
			continue
		case <-tick.C:
		}
		if err := m.refreshMoved(ctx); err != nil && ctx.Err() == nil {
			m.o.Logger.Error("instances not refreshed", "error", err)
		}
	}
}

// refreshMoved reads the instances if anything was changed or told since the
// last reading began.
func (m *Manager) refreshMoved(ctx context.Context) error {
	epoch, err := m.o.Store.InstanceEpoch(ctx)
	if err != nil {
		return err
	}
	m.mu.RLock()
	moved := epoch != m.epoch || m.generation != m.loaded
	m.mu.RUnlock()
	if !moved {
		return nil
	}
	return m.Load(ctx)
}

// now returns the present generation.
func (m *Manager) now() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.generation
}

// Close ends all channels. None is opened after it. Those of live instances say
// goodbye to a network, and do so side by side.
func (m *Manager) Close() error {
	m.mu.Lock()
	m.closed = true
	entries := make([]*entry, 0, len(m.byID))
	for _, e := range m.byID {
		entries = append(entries, e)
	}
	m.mu.Unlock()
	var closing sync.WaitGroup
	var guard sync.Mutex
	var failed error
	note := func(err error) {
		guard.Lock()
		defer guard.Unlock()
		failed = errors.Join(failed, err)
	}
	for _, e := range entries {
		if e.live {
			closing.Go(func() { note(m.closeChannel(e)) })
			continue
		}
		note(m.closeChannel(e))
	}
	closing.Wait()
	return failed
}
