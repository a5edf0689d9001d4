package instances

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"portaria/messaging"
)

// epochInterval is how often the manager looks for what other processes
// changed.
const epochInterval = 250 * time.Millisecond

// Store is what the manager needs of a database.
type Store interface {
	AllInstances(ctx context.Context) ([]messaging.Instance, error)
	FindInstance(ctx context.Context, workspace string, env messaging.Environment, ref string) (messaging.Instance, error)
	// InsertInstance stores an instance, its event and its claim; NAME_TAKEN.
	InsertInstance(ctx context.Context, i messaging.Instance, claim *messaging.Claim) error
	UpdateInstance(ctx context.Context, i messaging.Instance) error
	DeleteInstance(ctx context.Context, i messaging.Instance) error
	InstanceEpoch(ctx context.Context) (int64, error)
}

// Options are what a manager needs.
type Options struct {
	Store Store
	// Live and Test are the drivers of the two worlds. Without Live, live
	// instances can be created but never connect.
	Live messaging.Driver[messaging.LiveInstance]
	Test messaging.Driver[messaging.TestInstance]
	// Connected is told when an instance's channel can take messages (again).
	Connected func(instanceID string)
	// Drain cancels what waits for an instance that goes away.
	Drain  func(ctx context.Context, i messaging.Instance) error
	Now    func(messaging.Tenancy) time.Time
	Logger *slog.Logger
}

// Manager keeps the instances. It is safe for concurrent use.
type Manager struct {
	o Options

	mu     sync.RWMutex
	byID   map[string]*entry
	byName map[nameKey]*entry
	epoch  int64
	seen   []messaging.Instance // observed, not yet taken in

	news  chan struct{} // holds one token when there is something in seen
	quiet chan struct{} // closed, and made anew, when seen has been emptied
}

type nameKey struct {
	workspace   string
	environment messaging.Environment
	name        string
}

// entry is an instance in memory and its channel, if it has one.
type entry struct {
	instance messaging.Instance
	channel  messaging.Channel
}

// NewManager returns a manager that knows no instance until Load.
func NewManager(o Options) *Manager {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Manager{o: o, byID: make(map[string]*entry), byName: make(map[nameKey]*entry), news: make(chan struct{}, 1), quiet: make(chan struct{})}
}

// Load reads all instances and opens the channels of those that are connected.
func (m *Manager) Load(ctx context.Context) error {
	epoch, err := m.o.Store.InstanceEpoch(ctx)
	if err != nil {
		return err
	}
	all, err := m.o.Store.AllInstances(ctx)
	if err != nil {
		return err
	}
	seen := make(map[string]bool, len(all))
	for _, i := range all {
		seen[i.ID] = true
		m.put(ctx, i)
	}
	m.mu.Lock()
	m.epoch = epoch
	var gone []*entry
	for id, e := range m.byID {
		if !seen[id] {
			gone = append(gone, e)
		}
	}
	m.mu.Unlock()
	for _, e := range gone {
		m.drop(e.instance)
		if err := m.drain(ctx, e.instance); err != nil {
			return err
		}
	}
	return nil
}

// drain cancels what waits for an instance that is gone.
func (m *Manager) drain(ctx context.Context, i messaging.Instance) error {
	if m.o.Drain == nil {
		return nil
	}
	if err := m.o.Drain(ctx, i); err != nil {
		return fmt.Errorf("cancel what waits for %s: %w", i.ID, err)
	}
	return nil
}

// Run follows what other processes change until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
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
		epoch, err := m.o.Store.InstanceEpoch(ctx)
		if err == nil && epoch != m.seenEpoch() {
			err = m.Load(ctx)
		}
		if err != nil && ctx.Err() == nil {
			m.o.Logger.Error("instances not refreshed", "error", err)
		}
	}
}

func (m *Manager) seenEpoch() int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.epoch
}

// Close ends all channels.
func (m *Manager) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var err error
	for _, e := range m.byID {
		if e.channel != nil {
			err = joinClose(err, e.channel)
			e.channel = nil
		}
	}
	return err
}

// Channel returns the channel of an instance; false while the instance is not
// connected.
func (m *Manager) Channel(instanceID string) (messaging.Channel, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	e, ok := m.byID[instanceID]
	if !ok || e.channel == nil || e.instance.State != messaging.InstanceConnected {
		return nil, false
	}
	return e.channel, true
}

// put takes in an instance as it stands in the database. A channel is opened
// for the state that its instance is in: another state is another channel.
func (m *Manager) put(ctx context.Context, i messaging.Instance) {
	key := nameKey{i.WorkspaceID, i.Environment, i.Name}
	m.mu.Lock()
	e, ok := m.byID[i.ID]
	if !ok {
		e = new(entry)
		m.byID[i.ID] = e
	}
	var closing messaging.Channel
	if i.State != e.instance.State {
		closing, e.channel = e.channel, nil
	}
	e.instance = i
	m.byName[key] = e
	open := e.channel == nil
	m.mu.Unlock()
	if closing != nil {
		m.logClose(i, closing.Close())
	}
	if open {
		m.open(ctx, i)
	}
}

// open gives an instance its channel.
func (m *Manager) open(ctx context.Context, i messaging.Instance) {
	channel, err := m.openChannel(ctx, i)
	if err != nil || channel == nil {
		m.logOpen(i, err)
		return
	}
	m.mu.Lock()
	e, ok := m.byID[i.ID]
	if !ok || e.channel != nil || e.instance.State != i.State {
		m.mu.Unlock()
		m.logClose(i, channel.Close()) // another change was quicker
		return
	}
	e.channel = channel
	m.mu.Unlock()
	if i.State == messaging.InstanceConnected {
		m.o.Connected(i.ID)
	}
}

// openChannel is the fork between the worlds.
func (m *Manager) openChannel(ctx context.Context, i messaging.Instance) (messaging.Channel, error) {
	if live, ok := i.Live(); ok && m.o.Live != nil {
		return m.o.Live.Open(ctx, live)
	}
	if test, ok := i.Test(); ok && m.o.Test != nil {
		return m.o.Test.Open(ctx, test)
	}
	return nil, nil
}

// drop forgets an instance that is gone.
func (m *Manager) drop(i messaging.Instance) {
	key := nameKey{i.WorkspaceID, i.Environment, i.Name}
	m.mu.Lock()
	e, ok := m.byID[i.ID]
	delete(m.byID, i.ID)
	if named := m.byName[key]; named == e {
		delete(m.byName, key)
	}
	m.mu.Unlock()
	if ok && e.channel != nil {
		m.logClose(i, e.channel.Close())
	}
}

func (m *Manager) logOpen(i messaging.Instance, err error) {
	if err != nil {
		m.o.Logger.Error("channel not opened", "instance", i.ID, "error", err)
	}
}

func (m *Manager) logClose(i messaging.Instance, err error) {
	if err != nil {
		m.o.Logger.Error("channel not closed well", "instance", i.ID, "error", err)
	}
}

func joinClose(err error, c messaging.Channel) error {
	if cerr := c.Close(); cerr != nil {
		return fmt.Errorf("%w; %w", err, cerr)
	}
	return err
}

// Observe hears of an instance's state after its commit. It does not block:
// Run opens and closes the channels.
func (m *Manager) Observe(i messaging.Instance) {
	m.mu.Lock()
	m.seen = append(m.seen, i)
	m.mu.Unlock()
	select {
	case m.news <- struct{}{}:
	default:
	}
}

func (m *Manager) takeNews(ctx context.Context) {
	m.mu.Lock()
	seen := m.seen
	m.mu.Unlock()
	for _, i := range seen {
		m.mu.RLock()
		_, known := m.byID[i.ID]
		m.mu.RUnlock()
		if known {
			m.put(ctx, i)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = m.seen[len(seen):]
	if len(m.seen) > 0 {
		return // more came meanwhile, and its token waits
	}
	m.seen = nil
	close(m.quiet)
	m.quiet = make(chan struct{})
}

// Idle waits until the manager has taken in all that it observed, of any
// workspace.
func (m *Manager) Idle(ctx context.Context, _ string) error {
	for {
		m.mu.RLock()
		busy, quiet := len(m.seen) > 0, m.quiet
		m.mu.RUnlock()
		if !busy {
			return nil
		}
		select {
		case <-quiet:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
