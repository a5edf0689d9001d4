package outbox

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"portaria/messaging"
)

// maxInFlight bounds the messages that channels hold at once, over all lanes:
// with many more, what was sent first is recorded late.
const maxInFlight = 4096

// Channels finds the channel of an instance; false while it cannot take
// messages. The owner calls Dispatcher.Wake when that changes.
type Channels interface {
	Channel(instanceID string) (messaging.Channel, bool)
}

// Options are what a dispatcher needs. All fields but Logger, Refuses and
// Instance must be set.
type Options struct {
	Store    Store
	Reporter messaging.Reporter
	Channels Channels
	// Clocks returns the clock of a lane's world.
	Clocks func(LaneRef) messaging.Clock
	// Refuses says which test recipients are refused at once; nil: none.
	Refuses func(messaging.Address) bool
	// Instance finds the instance of a lane, whose settings are its pace. It is
	// asked before each batch. The owner calls Dispatcher.Wake when the settings
	// have changed. nil: no lane has a pace.
	Instance func(context.Context, LaneRef) (messaging.Instance, error)
	Logger   *slog.Logger
}

// Dispatcher accepts messages and drives the lanes.
type Dispatcher struct {
	store    Store
	reporter messaging.Reporter
	channels Channels
	clocks   func(LaneRef) messaging.Clock
	refuses  func(messaging.Address) bool
	instance func(context.Context, LaneRef) (messaging.Instance, error)
	log      *slog.Logger
	inFlight *semaphore.Weighted
	ids      messaging.IDSource // by the machine's time: a sandbox clock may stand still

	ctx    context.Context // ends when lanes must stop
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu       sync.Mutex
	lanes    map[string]*lane
	stopped  bool
	known    bool           // Recover has said which lanes an earlier process left
	active   map[string]int // running lanes by workspace, of test worlds
	watchers int            // how many wait for rested
	rested   chan struct{}  // closed, and made anew, when a lane has come to rest
}

// New returns a dispatcher whose lanes may run at once.
func New(o Options) *Dispatcher {
	d := &Dispatcher{
		store: o.Store, reporter: o.Reporter, channels: o.Channels, clocks: o.Clocks, refuses: o.Refuses, instance: o.Instance, log: o.Logger,
		inFlight: semaphore.NewWeighted(maxInFlight),
		lanes:    make(map[string]*lane), active: make(map[string]int), rested: make(chan struct{}),
	}
	if d.refuses == nil {
		d.refuses = func(messaging.Address) bool { return false }
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// Recover takes up the lanes that an earlier process left. It must be called
// before the first Accept. What is taken (Take) or amended before it is called
// finds its place among what was left.
func (d *Dispatcher) Recover(ctx context.Context) error {
	refs, err := d.store.Lanes(ctx)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		l := d.lane(ref)
		l.mu.Lock()
		l.readAnew()
		l.readFirst()
		l.start()
		l.mu.Unlock()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = true
	return nil
}

// Stop lets the batches in hand finish and ends all lanes. What waits stays in
// the database.
func (d *Dispatcher) Stop() {
	d.mu.Lock()
	d.stopped = true
	d.mu.Unlock()
	d.cancel()
	d.work.Wait()
}

// Wake tells the lane of an instance that its channel can take messages, or
// that its settings have changed.
func (d *Dispatcher) Wake(instanceID string) {
	d.mu.Lock()
	l := d.lanes[instanceID]
	d.mu.Unlock()
	if l != nil {
		l.wake()
	}
}

// Idle waits until no lane of a workspace's test world has work in hand.
func (d *Dispatcher) Idle(ctx context.Context, workspace string) error {
	return d.await(ctx, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.active[workspace] == 0
	})
}

// IdleLane waits until the lane of an instance has no work in hand.
func (d *Dispatcher) IdleLane(ctx context.Context, instanceID string) error {
	d.mu.Lock()
	l := d.lanes[instanceID]
	d.mu.Unlock()
	if l == nil {
		return nil
	}
	return d.await(ctx, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return !l.running
	})
}

// await waits until met is true. It looks again whenever a lane has come to
// rest.
func (d *Dispatcher) await(ctx context.Context, met func() bool) error {
	d.mu.Lock()
	d.watchers++
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.watchers--
		d.mu.Unlock()
	}()
	for {
		d.mu.Lock()
		rested := d.rested
		d.mu.Unlock()
		if met() {
			return nil
		}
		select {
		case <-rested:
		case <-ctx.Done():
			return ctx.Err()
		case <-d.ctx.Done():
			return d.ctx.Err()
		}
	}
}

// Drain cancels everything that waits in the lane of an instance that was
// deleted, and whatever still comes to it: a message that was being accepted,
// or comes back from the channel. It returns when the lane is empty.
func (d *Dispatcher) Drain(ctx context.Context, ref LaneRef) error {
	l := d.lane(ref)
	l.mu.Lock()
	l.gone = true
	l.spillAll()
	l.start()
	l.mu.Unlock()
	return d.await(ctx, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return !l.running && l.amending == 0
	})
}

// Forget drops the empty lane of an instance that was deleted (Drain), and that
// nobody sends through any more: another instance may have its id later. What
// comes nevertheless is canceled by the next process.
func (d *Dispatcher) Forget(instanceID string) {
	d.mu.Lock()
	l := d.lanes[instanceID]
	d.mu.Unlock()
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.gone || l.running || len(l.known)+len(l.waiting) > 0 || l.amending > 0 {
		return
	}
	for _, a := range []*alarm{&l.dueAlarm, &l.deadline} {
		if a.forget != nil {
			a.forget()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.lanes, instanceID)
}

// farFuture is later than anything is due.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Take hands a message that was just committed, at its place in the outbox, to
// its lane. It must be called in the order of the commits. It does not block.
func (d *Dispatcher) Take(m *messaging.Message, position int64) {
	p := NewParcel(m, position, 0)
	d.lane(p.lane()).add(p, m.SendAt)
}

func (d *Dispatcher) lane(ref LaneRef) *lane {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, ok := d.lanes[ref.InstanceID]
	if !ok {
		l = &lane{d: d, ref: ref, clock: d.clocks(ref)}
		if !d.known {
			l.readAnew()
			l.readFirst()
		}
		d.lanes[ref.InstanceID] = l
	}
	return l
}

// goRun starts a lane's goroutine; false when the dispatcher is stopping.
func (d *Dispatcher) goRun(l *lane) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return false
	}
	if l.ref.Environment == messaging.Test {
		d.active[l.ref.WorkspaceID]++
	}
	d.work.Go(func() { l.run(d.ctx) })
	return true
}

func (d *Dispatcher) laneDone(l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.ref.Environment == messaging.Test {
		if d.active[l.ref.WorkspaceID]--; d.active[l.ref.WorkspaceID] == 0 {
			delete(d.active, l.ref.WorkspaceID)
		}
	}
	d.tellRested()
}

// tellRested has those look again who wait for lanes to rest. d.mu is held.
func (d *Dispatcher) tellRested() {
	if d.watchers > 0 {
		close(d.rested)
		d.rested = make(chan struct{})
	}
}

// reportBackoff is the wait between tries to record what happened.
const reportBackoff = 200 * time.Millisecond

// report records until it succeeds. When the dispatcher stops first, the rows
// are still in the outbox, and the next process sends them again under their
// ids.
func (d *Dispatcher) report(ctx context.Context, records []messaging.Record) {
	for len(records) > 0 {
		err := d.reporter.Report(context.WithoutCancel(ctx), records...)
		if err == nil || ctx.Err() != nil {
			return
		}
		d.log.Error("outcomes not recorded, trying again", "records", len(records), "error", err)
		pause(ctx, reportBackoff)
	}
}

// setback logs what kept a lane from working and waits a little.
func (d *Dispatcher) setback(ctx context.Context, l *lane, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	d.log.Error("lane set back, trying again", "instance", l.ref.InstanceID, "error", err)
	pause(ctx, reportBackoff)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
