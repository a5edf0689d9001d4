package webhooks

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"portaria/internal/fault"
	"portaria/internal/seal"
	"portaria/messaging"
)

// sideBySide is how many deliveries of one endpoint are tried at once, and
// failuresToDoubt how many failures in a row make it one at a time, until a
// success: a dead endpoint must cost little.
const (
	sideBySide      = 10
	failuresToDoubt = 5
)

// maxReads bounds the lanes that read the database at once: what reads long must
// not keep others from it.
const maxReads = 2

// Dispatcher delivers what is queued. It is safe for concurrent use.
type Dispatcher struct {
	queue   Queue
	nodes   Nodes
	box     *seal.Box
	clock   func(messaging.World) messaging.Clock
	log     *slog.Logger
	alone   bool
	timings Timings
	poster  poster
	bodies  *bodies
	reads   *semaphore.Weighted

	node  string
	lease atomic.Pointer[time.Time] // when the node's claims end; nil: it has none

	renewing sync.Mutex // held while the claims are renewed

	loads atomic.Int64  // how many reads of all endpoints have begun
	looks chan struct{} // holds a token when the endpoints should be looked at

	// ctx ends when nothing new may begin, posting when tries in hand are cut
	// short, recording when results that the store does not take are given up.
	ctx, posting, recording    context.Context
	stop, cutPosts, cutRecords context.CancelFunc
	work                       sync.WaitGroup

	mu       sync.Mutex
	started  bool
	stopped  bool
	settled  bool             // what an earlier process left has been looked at
	lanes    map[string]*lane // by webhook
	changes  int64            // counts Changed
	stale    map[string]int64 // webhooks that were changed, or were not there when they had something to deliver: by which of the changes
	active   map[string]int   // running lanes by workspace, of test worlds
	watchers int              // how many wait for rested
	rested   chan struct{}    // closed, and made anew, when a lane has come to rest
}

var _ messaging.Sink = (*Dispatcher)(nil)

// NewDispatcher returns a dispatcher that has begun nothing. It fails when a
// part is missing.
func NewDispatcher(o DispatcherOptions) (*Dispatcher, error) {
	if o.Queue == nil || o.Nodes == nil || o.Box == nil || o.Guard == nil || o.Clock == nil || o.Render == nil {
		return nil, errors.New("webhooks: a dispatcher needs a queue, nodes, a box, a guard, a clock and a renderer")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Dispatcher{
		queue: o.Queue, nodes: o.Nodes, box: o.Box, clock: o.Clock, log: o.Logger, alone: o.Alone, timings: o.Timings.orUsual(),
		bodies: newBodies(o.Queue, o.Render, o.Logger), reads: semaphore.NewWeighted(maxReads),
		node: messaging.NewID(nodePrefix, time.Now()), looks: make(chan struct{}, 1),
		lanes: make(map[string]*lane), stale: make(map[string]int64), active: make(map[string]int), rested: make(chan struct{}),
	}
	d.poster = poster{
		transport: newTransport(o.Guard, d.timings.Dial), patience: d.timings.Post, allowHTTP: o.AllowHTTP,
		userAgent: "Portaria-Webhooks/" + o.Version,
	}
	d.ctx, d.stop = context.WithCancel(context.Background())
	d.posting, d.cutPosts = context.WithCancel(context.Background())
	d.recording, d.cutRecords = context.WithCancel(context.Background())
	return d, nil
}

// Node returns the name that this process has drawn for itself: the store must
// be told it before the first event is written.
func (d *Dispatcher) Node() string { return d.node }

// Tell implements messaging.Sink. What is to be delivered comes by Queued.
func (*Dispatcher) Tell([]messaging.Event) {}

// Queued hears for which webhooks deliveries have been committed. It does not
// block.
func (d *Dispatcher) Queued(webhookIDs []string) {
	for _, id := range webhookIDs {
		d.mu.Lock()
		l, ok := d.lanes[id]
		d.mu.Unlock()
		if ok {
			l.wake()
		} else {
			d.Changed(id)
		}
	}
}

// Changed hears that a webhook was changed by this process, so that it counts
// at once, and before Idle returns. It does not block.
func (d *Dispatcher) Changed(webhookID string) {
	d.mu.Lock()
	if !d.stopped {
		d.changes++
		d.stale[webhookID] = d.changes
	}
	d.mu.Unlock()
	d.lookSoon()
}

func (d *Dispatcher) lookSoon() {
	select {
	case d.looks <- struct{}{}:
	default:
	}
}

// Run implements messaging.Sink. It delivers until ctx ends, lets what is in
// hand finish for a moment, and gives up the node's claims. It may be called
// once.
func (d *Dispatcher) Run(ctx context.Context) error {
	d.mu.Lock()
	again := d.started
	d.started = true
	d.mu.Unlock()
	if again {
		return errors.New("webhooks: the dispatcher has run already")
	}
	var renewals sync.WaitGroup
	renewals.Go(func() { d.renewals(ctx) })
	d.watch(ctx)
	d.end()
	renewals.Wait()
	return d.leave(context.WithoutCancel(ctx))
}

// end lets what is in hand finish, but not for long.
func (d *Dispatcher) end() {
	d.mu.Lock()
	d.stopped = true
	d.mu.Unlock()
	d.stop()
	cut := time.AfterFunc(d.timings.Grace, d.cutPosts)
	defer cut.Stop()
	give := time.AfterFunc(2*d.timings.Grace, d.cutRecords)
	defer give.Stop()
	for _, l := range d.allLanes() {
		l.ring()
	}
	d.work.Wait()
	d.cutPosts()
	d.cutRecords()
	for _, l := range d.allLanes() {
		l.disarm()
	}
	d.poster.transport.CloseIdleConnections()
}

// Idle implements messaging.Sink: it waits until nothing of a workspace's test
// world is in hand, or due by its clock. Fault: fault.ErrShuttingDown.
func (d *Dispatcher) Idle(ctx context.Context, workspace string) error {
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
		if d.idle(workspace) {
			return nil
		}
		select {
		case <-rested:
		case <-ctx.Done():
			return ctx.Err()
		case <-d.ctx.Done():
			return fault.ErrShuttingDown
		}
	}
}

// idle reports whether a test world is at rest in this moment. A lane that may not
// begin, because the node's lease has not come or has ended, is not: between two
// looks that find nothing in hand, none may have waited.
func (d *Dispatcher) idle(workspace string) bool {
	return d.quiet(workspace) && !d.waits(workspace) && d.quiet(workspace)
}

// quiet reports whether nothing of a test world is in hand.
func (d *Dispatcher) quiet(workspace string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return true
	}
	return (d.settled || !d.started) && len(d.stale) == 0 && d.active[workspace] == 0
}

// waits reports whether a test world has work that nobody may begin yet.
func (d *Dispatcher) waits(workspace string) bool {
	for _, l := range d.allLanes() {
		if l.world.WorkspaceID == workspace && l.world.Environment == messaging.Test && l.waits() {
			return true
		}
	}
	return false
}

func (d *Dispatcher) allLanes() []*lane {
	d.mu.Lock()
	defer d.mu.Unlock()
	lanes := make([]*lane, 0, len(d.lanes))
	for _, l := range d.lanes {
		lanes = append(lanes, l)
	}
	return lanes
}

// goRun starts a lane's goroutine; false when the dispatcher is stopping.
func (d *Dispatcher) goRun(l *lane) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return false
	}
	if l.world.Environment == messaging.Test {
		d.active[l.world.WorkspaceID]++
	}
	d.work.Go(l.run)
	return true
}

func (d *Dispatcher) laneDone(l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.world.Environment == messaging.Test {
		if d.active[l.world.WorkspaceID]--; d.active[l.world.WorkspaceID] == 0 {
			delete(d.active, l.world.WorkspaceID)
		}
	}
	d.tellRested()
}

// tellRested has those who wait for rest look again. d.mu is held.
func (d *Dispatcher) tellRested() {
	if d.watchers > 0 {
		close(d.rested)
		d.rested = make(chan struct{})
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// roundTripper is what posts: an *http.Transport, but for tests.
type roundTripper interface {
	http.RoundTripper
	CloseIdleConnections()
}
