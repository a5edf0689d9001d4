package instances_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portaria/instances"
	"portaria/instances/proxy"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

var errDown = errors.New("it is down")

// patience bounds every wait of a test.
const patience = 20 * time.Second

// world is a manager on a real store, with a network and drains that the test
// watches. Nothing runs until run.
type world struct {
	t       *testing.T
	options store.Options
	store   *store.Store
	tenancy messaging.Tenancy
	network *network
	drains  *drains
	manager *instances.Manager
	asked   atomic.Int64 // how often the manager asked for the time
}

// each runs f on both engines.
func each(t *testing.T, f func(w *world)) {
	t.Helper()
	for _, engine := range storetest.Used {
		t.Run(engine, func(t *testing.T) { f(newWorld(t, engine, lateness{})) })
	}
}

// newWorld makes a world without live instances.
func newWorld(t *testing.T, engine string, late lateness) *world {
	t.Helper()
	o := storetest.Options(t, engine)
	w := &world{t: t, options: o, store: storetest.Open(t, o), network: newNetwork(), drains: newDrains()}
	w.manager = instances.NewManager(w.managerOptions(late))
	w.store.TellInstances(w.manager.Observe)
	w.tenancy = storetest.Workspace(t, w.store, "w")
	t.Cleanup(func() {
		if err := w.manager.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if open := w.network.openChannels(); open != 0 {
			t.Errorf("%d channels are open after Close", open)
		}
	})
	return w
}

func (w *world) managerOptions(late lateness) instances.Options {
	return instances.Options{
		Store: slowStore{w, w.store, late}, Pairings: w.store, Reporter: w.store, Test: w.network, Proxies: w.proxies(),
		Connected: w.network.hear, Drain: w.drains.drain, Now: w.now,
	}
}

// proxies is the book of proxies of every process of the world.
func (w *world) proxies() *proxy.Book {
	w.t.Helper()
	book, err := proxy.New(proxy.Options{Key: make([]byte, 32), Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		w.t.Fatal(err)
	}
	return book
}

// now moves on whenever it is asked, so that ids sort by their creation.
func (w *world) now(messaging.Tenancy, string) time.Time {
	return time.Now().Add(time.Duration(w.asked.Add(1)) * time.Millisecond)
}

// lateness is what happens while an answer of the store is on its way: it is
// old when it arrives.
type lateness struct {
	list, patch func(w *world)
}

type slowStore struct {
	w *world
	*store.Store
	late lateness
}

func (s slowStore) AllInstances(ctx context.Context) ([]messaging.Instance, error) {
	all, err := s.Store.AllInstances(ctx)
	if s.late.list != nil {
		s.late.list(s.w)
	}
	return all, err
}

func (s slowStore) ChangeInstance(ctx context.Context, workspace string, env messaging.Environment, id string, change func(*messaging.Instance) error) (messaging.Instance, error) {
	i, err := s.Store.ChangeInstance(ctx, workspace, env, id, change)
	if s.late.patch != nil {
		s.late.patch(s.w)
	}
	return i, err
}

// run runs the manager until the test ends, or until the returned function is
// called, which waits for Run.
func (w *world) run() (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.manager.Run(ctx); err != nil {
			w.t.Errorf("run: %v", err)
		}
	}()
	stop = func() { cancel(); <-done }
	w.t.Cleanup(stop)
	return stop
}

func (w *world) load() {
	w.t.Helper()
	if err := w.manager.Load(w.t.Context()); err != nil {
		w.t.Fatalf("load: %v", err)
	}
}

// beside opens the database as another process does.
func (w *world) beside() *store.Store {
	w.t.Helper()
	return storetest.Open(w.t, w.options)
}

func (w *world) create(name string) messaging.Instance {
	w.t.Helper()
	i, err := w.manager.Create(w.t.Context(), w.tenancy, instances.Draft{Name: name})
	if err != nil {
		w.t.Fatalf("create %s: %v", name, err)
	}
	return i
}

func (w *world) report(i messaging.Instance, event messaging.EventType, state messaging.InstanceState) {
	w.t.Helper()
	err := w.store.Report(w.t.Context(), messaging.InstanceChange{
		WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, Type: event, State: state, At: time.Now(),
	})
	if err != nil {
		w.t.Fatalf("report: %v", err)
	}
}

// resolve returns what the manager knows of an instance.
func (w *world) resolve(ref string) messaging.Instance {
	w.t.Helper()
	i, err := w.manager.Resolve(w.t.Context(), w.tenancy, ref)
	if err != nil {
		w.t.Fatalf("resolve %s: %v", ref, err)
	}
	return i
}

func (w *world) idle() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := w.manager.Idle(ctx, w.tenancy.Workspace()); err != nil {
		w.t.Fatalf("the manager does not take in what it observed: %v", err)
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-limit.C:
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

// network is a driver that notes for which state each channel was opened.
type network struct {
	mu     sync.Mutex
	opened map[string][]messaging.InstanceState // by instance
	open   map[string]int
	heard  map[string]int // calls of Connected
	twice  bool           // an instance had two channels at once
	down   bool
	during func() // called once, while a channel is being opened
}

func newNetwork() *network {
	return &network{opened: make(map[string][]messaging.InstanceState), open: make(map[string]int), heard: make(map[string]int)}
}

func (n *network) Name() messaging.DriverName { return messaging.DriverSandbox }

func (n *network) Open(_ context.Context, instance messaging.TestInstance) (messaging.Channel, error) {
	i := instance.Instance()
	n.mu.Lock()
	during := n.during
	n.during = nil
	n.mu.Unlock()
	if during != nil {
		during()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return nil, errDown
	}
	n.opened[i.ID] = append(n.opened[i.ID], i.State)
	n.open[i.ID]++
	n.twice = n.twice || n.open[i.ID] > 1
	return &line{network: n, instance: i.ID}, nil
}

func (n *network) hear(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard[id]++
}

func (n *network) setDown(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
}

func (n *network) whileOpening(do func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.during = do
}

// states are those for which an instance got a channel, in order.
func (n *network) states(id string) []messaging.InstanceState {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]messaging.InstanceState(nil), n.opened[id]...)
}

func (n *network) timesConnected(id string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.heard[id]
}

func (n *network) openChannels() (open int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, of := range n.open {
		open += of
	}
	return open
}

func (n *network) hadTwo() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.twice
}

// line is a channel that only counts.
type line struct {
	network  *network
	instance string
}

func (*line) Window() int { return 1 }

func (*line) Send(_ context.Context, batch []messaging.Outgoing) []messaging.Outcome {
	return make([]messaging.Outcome, len(batch))
}

func (l *line) Close() error {
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	l.network.open[l.instance]--
	return nil
}

// drains notes whose queues were canceled.
type drains struct {
	mu       sync.Mutex
	tried    map[string]int
	done     map[string]int
	failures map[string]int             // how often the next drains of an instance fail
	blocked  map[string]<-chan struct{} // a drain waits for this or its context
}

func newDrains() *drains {
	return &drains{tried: make(map[string]int), done: make(map[string]int), failures: make(map[string]int), blocked: make(map[string]<-chan struct{})}
}

func (d *drains) drain(ctx context.Context, i messaging.Instance) error {
	d.mu.Lock()
	d.tried[i.ID]++
	blocked := d.blocked[i.ID]
	d.mu.Unlock()
	if blocked != nil {
		select {
		case <-blocked:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failures[i.ID] > 0 {
		d.failures[i.ID]--
		return errDown
	}
	d.done[i.ID]++
	return nil
}

func (d *drains) fail(id string, times int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failures[id] = times
}

func (d *drains) block(id string) (release func()) {
	blocked := make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.blocked[id] = blocked
	return sync.OnceFunc(func() { close(blocked) })
}

func (d *drains) counts(id string) (tried, done int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tried[id], d.done[id]
}

// total is how many drains were begun, of any instance.
func (d *drains) total() (all int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.tried {
		all += n
	}
	return all
}
