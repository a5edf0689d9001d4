package stream

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"portaria/messaging"
)

// Options are the parts of a Hub.
type Options struct {
	Store Store
	// Render writes an event as listeners get it. It is called once an event for
	// all who listen live, and once for each who catches up.
	Render func(messaging.Event) ([]byte, error)
	Logger *slog.Logger // nil: slog.Default

	// Poll is how often a feed looks at the store without being told: other
	// processes write too. Zero: 1 s.
	Poll time.Duration
	// Still is how often a listener to whom nothing happens hears that. Zero:
	// 200 ms.
	Still time.Duration
	// Patience is how long a listener whose buffer has overflowed may take to
	// catch up. Zero: 5 s.
	Patience time.Duration
	// Buffer is how many events wait for a listener. Zero: 256.
	Buffer int
}

// The usual timings and sizes.
const (
	usualPoll     = time.Second
	usualStill    = 200 * time.Millisecond
	usualPatience = 5 * time.Second
	usualBuffer   = 256
	// pageSize is how many events are read at once.
	pageSize = 256
)

// Faults of this room. They are told to listeners, not to callers of routes.
var (
	// ErrSlow ends the subscription of a listener that cannot keep up.
	ErrSlow = errors.New("stream: the listener is too slow")
	// ErrStopped ends every subscription when Run ends.
	ErrStopped = errors.New("stream: the hub has stopped")
)

// Hub follows the worlds that somebody listens to. It is safe for concurrent
// use.
type Hub struct {
	options Options

	unborn  chan struct{} // says that there are feeds to start
	stopped chan struct{} // closed when Run ends

	mu    sync.Mutex
	feeds map[messaging.World]*feed // guarded by mu; those that have users
	birth []*feed                   // guarded by mu; those that Run has to start
}

var _ messaging.Sink = (*Hub)(nil)

// New returns a hub that follows nothing before Run.
func New(o Options) (*Hub, error) {
	if o.Store == nil || o.Render == nil {
		return nil, errors.New("stream: Options.Store or Options.Render is missing")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	for _, timing := range []struct {
		value *time.Duration
		usual time.Duration
	}{{&o.Poll, usualPoll}, {&o.Still, usualStill}, {&o.Patience, usualPatience}} {
		if *timing.value <= 0 {
			*timing.value = timing.usual
		}
	}
	if o.Buffer <= 0 {
		o.Buffer = usualBuffer
	}
	return &Hub{
		options: o, unborn: make(chan struct{}, 1), stopped: make(chan struct{}), feeds: make(map[messaging.World]*feed),
	}, nil
}

// Tell implements messaging.Sink: it wakes the feeds that have news.
func (h *Hub) Tell(events []messaging.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.feeds) == 0 {
		return
	}
	var told messaging.World
	for i := range events {
		w := messaging.World{WorkspaceID: events[i].WorkspaceID, Environment: events[i].Environment}
		if w == told {
			continue
		}
		told = w
		if f := h.feeds[w]; f != nil {
			nudge(f.news)
		}
	}
}

// nudge leaves word in a channel of one place, where it may lie already.
func nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run implements messaging.Sink: it feeds listeners until ctx ends. A Hub runs
// once.
func (h *Hub) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	defer close(h.stopped)
	for {
		select {
		case <-h.unborn:
			for _, f := range h.takeUnborn() {
				work.Go(func() { f.run(ctx) })
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (h *Hub) takeUnborn() []*feed {
	h.mu.Lock()
	defer h.mu.Unlock()
	birth := h.birth
	h.birth = nil
	return birth
}

// Idle implements messaging.Sink. Listening is not work that a clock has to wait
// for.
func (h *Hub) Idle(context.Context, string) error { return nil }

// use finds the feed of a world, or has one started that begins behind a
// sequence. Who uses a feed leaves it.
func (h *Hub) use(w messaging.World, after int64) *feed {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feeds[w]
	if f == nil {
		f = newFeed(&h.options, w, after)
		h.feeds[w] = f
		h.birth = append(h.birth, f)
		nudge(h.unborn)
	}
	f.users++
	return f
}

// leave ends a use of a feed; the feed ends with its last one.
func (h *Hub) leave(f *feed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.users--; f.users == 0 {
		delete(h.feeds, f.world)
		close(f.deserted)
	}
}
