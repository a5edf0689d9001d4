package instances_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"portaria/instances"
	"portaria/messaging"
	"portaria/store/storetest"
)

// phones is a driver of live instances. It does what is asked only as far as
// its test says, and notes what was.
type phones struct {
	mu     sync.Mutex
	opened []messaging.Instance
	open   map[string]int
	down   bool
	slow   map[string]<-chan struct{} // closing the channel of an instance waits for this
	obey   func(i messaging.Instance) // called when a channel is opened, on a goroutine of its own
	obeyed sync.WaitGroup

	forgotten []string // sessions that were deleted
	forgets   error    // what deleting them fails with
}

func newPhones() *phones {
	return &phones{open: make(map[string]int), slow: make(map[string]<-chan struct{})}
}

func (*phones) Name() messaging.DriverName { return messaging.DriverWhatsApp }

func (p *phones) Open(_ context.Context, instance messaging.LiveInstance) (messaging.Channel, error) {
	i := instance.Instance()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return nil, errDown
	}
	p.opened = append(p.opened, i)
	p.open[i.ID]++
	if p.obey != nil {
		p.obeyed.Go(func() { p.obey(i) })
	}
	return &call{phones: p, instance: i.ID}, nil
}

// Forget deletes a session, which must not be in use.
func (p *phones) Forget(_ context.Context, instance messaging.LiveInstance) error {
	i := instance.Instance()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[i.ID] > 0 {
		return errInUse
	}
	if p.forgets == nil {
		p.forgotten = append(p.forgotten, i.LinkedID)
	}
	return p.forgets
}

var errInUse = errors.New("the session is in use")

func (p *phones) failForgets(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgets = err
}

func (p *phones) sessionsForgotten() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.forgotten)
}

// asks are what the channels of an instance were opened for, in order.
func (p *phones) asks(id string) (asks []messaging.Ask) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range p.opened {
		if i.ID == id {
			asks = append(asks, i.Ask)
		}
	}
	return asks
}

// last is the instance as its newest channel was opened for it.
func (p *phones) last() messaging.Instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.opened) == 0 {
		return messaging.Instance{}
	}
	return p.opened[len(p.opened)-1]
}

func (p *phones) count(id string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open[id]
}

// call is a channel to a phone.
type call struct {
	phones   *phones
	instance string
}

func (*call) Window() int { return 1 }

func (*call) Send(_ context.Context, batch []messaging.Outgoing) []messaging.Outcome {
	return make([]messaging.Outcome, len(batch))
}

func (*call) CheckNumbers(_ context.Context, numbers []messaging.Address) ([]messaging.NumberCheck, error) {
	checks := make([]messaging.NumberCheck, len(numbers))
	for n, number := range numbers {
		checks[n] = messaging.NumberCheck{Input: number.Input, WAID: number.WAID, Exists: true}
	}
	return checks, nil
}

func (c *call) Close() error {
	c.phones.mu.Lock()
	slow := c.phones.slow[c.instance]
	c.phones.mu.Unlock()
	if slow != nil {
		<-slow
	}
	c.phones.mu.Lock()
	defer c.phones.mu.Unlock()
	c.phones.open[c.instance]--
	return nil
}

// liveWorld is a world with a driver of live instances; its tenancy is live.
type liveWorld struct {
	*world
	phones   *phones
	relinked *drains
}

func newLiveWorld(t *testing.T, engine string) *liveWorld {
	t.Helper()
	w := &liveWorld{world: newWorld(t, engine, lateness{}), phones: newPhones(), relinked: newDrains()}
	w.tenancy = live(w.tenancy)
	w.restart()
	return w
}

// eachLive runs f on both engines.
func eachLive(t *testing.T, f func(w *liveWorld)) {
	t.Helper()
	for _, engine := range storetest.Used {
		t.Run(engine, func(t *testing.T) { f(newLiveWorld(t, engine)) })
	}
}

// restart replaces the manager, as another process would.
func (w *liveWorld) restart() {
	w.t.Helper()
	if err := w.manager.Close(); err != nil {
		w.t.Errorf("close: %v", err)
	}
	o := w.managerOptions(lateness{})
	o.Live, o.Relinked = w.phones, w.relinked.drain
	w.manager = instances.NewManager(o)
	w.store.TellInstances(w.manager.Observe)
	w.t.Cleanup(w.phones.obeyed.Wait)
}

// begin loads and runs the manager.
func (w *liveWorld) begin() (stop func()) {
	w.t.Helper()
	w.load()
	return w.run()
}

// linked stores an instance with a phone that its owner wants connected.
func (w *liveWorld) linked(name string, state messaging.InstanceState) messaging.Instance {
	w.t.Helper()
	i := storetest.NewInstance(w.tenancy, name)
	i.Driver, i.State = messaging.DriverWhatsApp, state
	if err := w.store.InsertInstance(w.t.Context(), i, nil); err != nil {
		w.t.Fatal(err)
	}
	return i
}

// tell reports what a driver has seen.
func (w *liveWorld) tell(i messaging.Instance, state messaging.InstanceState, alter func(*messaging.InstanceChange)) {
	w.t.Helper()
	c := messaging.InstanceChange{
		WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID,
		Type: messaging.InstanceEvent(state), State: state, At: time.Now(),
	}
	if alter != nil {
		alter(&c)
	}
	if err := w.store.Report(context.Background(), c); err != nil {
		w.t.Errorf("report: %v", err)
	}
}

// until waits until an instance is as holds says, in the memory.
func (w *liveWorld) until(id, what string, holds func(messaging.Instance) bool) messaging.Instance {
	w.t.Helper()
	var i messaging.Instance
	eventually(w.t, fmt.Sprintf("%s %s", id, what), func() bool {
		i = w.resolve(id)
		return holds(i)
	})
	return i
}

// testTenancy is the test world of the world's workspace.
func (w *world) testTenancy() messaging.Tenancy {
	return messaging.NewTenancy(w.tenancy.Workspace(), messaging.Test, messaging.AllInstances())
}

func (w *liveWorld) carries(id string) bool {
	_, ok := w.manager.Channel(id)
	return ok
}
