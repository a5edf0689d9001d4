package natssink

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"portaria/messaging"
)

// cursorName is whose cursors these are in the store.
const cursorName = "nats"

// pageSize is how many events are read, and published, at once.
const pageSize = 256

// The usual names and timings.
const (
	usualStream   = "PORTARIA"
	usualSubjects = "portaria"

	usualPoll       = 5 * time.Second
	usualGather     = 50 * time.Millisecond
	usualRetryFirst = time.Second
	usualRetryMost  = 30 * time.Second
	usualAckWait    = 10 * time.Second
)

// Options are the parts of a Sink.
type Options struct {
	Store Store
	// URL is nats://[user:password@]host[:port] or tls://…, or several of them
	// with commas between. It is never logged.
	URL      string
	Stream   string // empty: PORTARIA
	Subjects string // what all subjects begin with; empty: portaria
	// Render writes an event as it is published. What it refuses, it refuses for
	// ever: such an event is left out.
	Render func(messaging.Event) ([]byte, error)
	Logger *slog.Logger // nil: slog.Default

	// Poll is how often the store is looked at without news: other processes
	// write too. Zero: 5 s.
	Poll time.Duration
	// Gather is how long a world rests after a page that was not full, so that a
	// busy one costs few reads and cursor moves. Zero: 50 ms.
	Gather time.Duration
	// RetryFirst and RetryMost bound the wait after a failure, which doubles.
	// Zero: 1 s and 30 s.
	RetryFirst, RetryMost time.Duration
	// AckWait is how long the server may be silent. Zero: 10 s.
	AckWait time.Duration
}

// Sink publishes events. It is safe for concurrent use.
type Sink struct {
	options Options
	address address
	log     *slog.Logger
	skipped atomic.Int64

	wake chan struct{} // of one place: there is something new in told, or a stranger

	mu       sync.Mutex
	worlds   map[messaging.World]*world
	told     []*world      // those with news that Run has not taken yet
	stranger bool          // there was news of a world that is not in worlds
	phase    phase         // of the connection
	changed  chan struct{} // closed at the next change; nil: nobody waits for one
}

// phase is what is known of the server.
type phase uint8

const (
	down     phase = iota // it cannot be used, or Run does not run
	starting              // the first try has not ended
	up
)

var _ messaging.Sink = (*Sink)(nil)

// New returns a sink that does nothing before Run. Errors: ErrURL, ErrNames.
func New(o Options) (*Sink, error) {
	if o.Store == nil || o.Render == nil {
		return nil, errors.New("natssink: Options.Store or Options.Render is missing")
	}
	o.Stream, o.Subjects = cmp.Or(o.Stream, usualStream), cmp.Or(o.Subjects, usualSubjects)
	o.Poll, o.Gather = cmp.Or(o.Poll, usualPoll), cmp.Or(o.Gather, usualGather)
	o.RetryFirst, o.RetryMost = cmp.Or(o.RetryFirst, usualRetryFirst), cmp.Or(o.RetryMost, usualRetryMost)
	o.AckWait = cmp.Or(o.AckWait, usualAckWait)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if err := checkNames(o.Stream, o.Subjects); err != nil {
		return nil, err
	}
	at, err := parseAddress(o.URL)
	if err != nil {
		return nil, err
	}
	return &Sink{
		options: o, address: at, log: o.Logger.With("sink", "nats"),
		wake: make(chan struct{}, 1), worlds: make(map[messaging.World]*world),
	}, nil
}

// Tell implements messaging.Sink: it notes which worlds have news.
func (s *Sink) Tell(events []messaging.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range events {
		s.note(messaging.World{WorkspaceID: events[i].WorkspaceID, Environment: events[i].Environment})
	}
}

// note puts a world among those with news, and wakes Run unless it knows already.
// s.mu is held.
func (s *Sink) note(name messaging.World) {
	w, ok := s.worlds[name]
	switch {
	case !ok:
		s.stranger = true
	case w.queued:
		w.news = true
		return
	default:
		w.news, w.queued = true, true
		s.told = append(s.told, w)
	}
	select {
	case s.wake <- struct{}{}:
	default: // Run has not come round to the news before this
	}
}

// Skipped returns how many events were left out since the start because the
// server takes none of their size, or because they could not be rendered.
func (s *Sink) Skipped() int64 { return s.skipped.Load() }

// Idle implements messaging.Sink: it waits until what has happened in a
// workspace's test world is in the stream. It does not wait for a server that
// cannot be reached, or that has just refused these events. A context that has
// ended asks whether there is anything to wait for.
func (s *Sink) Idle(ctx context.Context, workspace string) error {
	name := messaging.World{WorkspaceID: workspace, Environment: messaging.Test}
	head, err := s.options.Store.EventHead(context.WithoutCancel(ctx), name)
	if err != nil || head == 0 {
		return err
	}
	for {
		changed, done := s.reached(name, head)
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// reached reports whether there is nothing to wait for, or else returns what is
// closed at the next change.
func (s *Sink) reached(name messaging.World, head int64) (changed <-chan struct{}, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, ok := s.worlds[name]
	if s.phase == down || ok && (w.cursor >= head || w.failing) {
		return nil, true
	}
	s.note(name)
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed, false
}

// change alters what mu guards, and tells who waits.
func (s *Sink) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}
