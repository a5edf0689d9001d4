package stream_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portaria/events/stream"
	"portaria/messaging"
)

var here = messaging.World{WorkspaceID: "wsp_here", Environment: messaging.Test}

// journal is a store in memory.
type journal struct {
	mu     sync.Mutex
	events map[messaging.World][]messaging.Event // guarded by mu; all that ever were
	kept   int64                                 // guarded by mu; what lies before this sequence is gone
	broken error                                 // guarded by mu; what reading fails with
	reads  int                                   // guarded by mu
	heads  map[messaging.World]int64             // guarded by mu; where another head was set
	onRead func()                                // guarded by mu; called behind each read
}

func newJournal() *journal {
	return &journal{events: make(map[messaging.World][]messaging.Event), heads: make(map[messaging.World]int64)}
}

// commit writes an event, of a bulk if it is over several instances, and returns
// it.
func (j *journal) commit(w messaging.World, instance string, t messaging.EventType, several ...string) messaging.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	sequence := int64(len(j.events[w]) + 1)
	e := messaging.Event{
		ID: messaging.NewEventID(sequence, time.Now()), Sequence: sequence, Type: t, WorkspaceID: w.WorkspaceID, Environment: w.Environment,
		InstanceID: instance,
	}
	if several != nil {
		e.Bulk = &messaging.Bulk{InstanceIDs: several}
	}
	j.events[w] = append(j.events[w], e)
	return e
}

func (j *journal) EventHead(_ context.Context, w messaging.World) (int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if head, set := j.heads[w]; set {
		return head, nil
	}
	return int64(len(j.events[w])), j.broken
}

func (j *journal) EventsAfter(_ context.Context, w messaging.World, after int64, limit int) ([]messaging.Event, error) {
	j.mu.Lock()
	if j.onRead != nil {
		defer j.onRead()
	}
	defer j.mu.Unlock()
	j.reads++
	if j.broken != nil {
		return nil, j.broken
	}
	list := j.events[w]
	list = list[min(max(after, j.kept-1), int64(len(list))):]
	return slices.Clone(list[:min(limit, len(list))]), nil
}

// asked returns how often the store was read.
func (j *journal) asked() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.reads
}

// behindRead sets what is called behind each read.
func (j *journal) behindRead(f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.onRead = f
}

func (j *journal) breakWith(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = err
}

// ear is a listener that remembers what it heard.
type ear struct {
	delay time.Duration // of each event
	deaf  chan struct{} // Tell waits for it; nil: it does not

	mu      sync.Mutex
	heard   []string // guarded by mu; ids, and gaps as "gap after first"
	flushed int      // guarded by mu; how many had been heard at the last flush
	stills  int      // guarded by mu
}

func (e *ear) Tell(item *stream.Item) error {
	if e.deaf != nil {
		<-e.deaf
	}
	if e.delay > 0 {
		time.Sleep(e.delay)
	}
	e.note(item.ID)
	return nil
}

func (e *ear) Gap(after, first string) error {
	e.note("gap " + after + " " + first)
	return nil
}

func (e *ear) note(s string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, s)
}

func (e *ear) Flush() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.flushed = len(e.heard)
	return nil
}

func (e *ear) Still() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stills++
	return nil
}

// moments returns how often Still was called.
func (e *ear) moments() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stills
}

// all returns what was heard, and fails when some of it is not flushed.
func (e *ear) all(t *testing.T) []string {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.flushed != len(e.heard) {
		t.Errorf("%d of %d are not flushed", len(e.heard)-e.flushed, len(e.heard))
	}
	return slices.Clone(e.heard)
}

// show renders an event for tests: its id is enough.
func show(e messaging.Event) ([]byte, error) {
	if e.Type == "message.unshowable" {
		return nil, errors.New("cannot be shown")
	}
	return []byte(e.ID), nil
}

// hub is a hub that runs.
type hub struct {
	*stream.Hub
	logged *strings.Builder // to be read after stop
	stop   func()
}

// run starts a hub; it is stopped at the latest with the test.
func run(t *testing.T, j stream.Store, change ...func(*stream.Options)) *hub {
	t.Helper()
	logged := new(strings.Builder)
	o := stream.Options{Store: j, Render: show, Logger: slog.New(slog.NewTextHandler(logged, nil))}
	for _, f := range change {
		f(&o)
	}
	made, err := stream.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- made.Run(ctx) }()
	h := &hub{Hub: made, logged: logged}
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	t.Cleanup(h.stop)
	return h
}

// follow starts a subscription and returns what ends it, and how it ended.
func (h *hub) follow(s stream.Subscription, l stream.Listener) (cancel func(), ended <-chan error) {
	if s.World == (messaging.World{}) {
		s.World = here
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Follow(ctx, s, l) }()
	return cancel, done
}

// tell commits an event and tells the hub.
func (h *hub) tell(j *journal, instance string, t messaging.EventType, several ...string) (id string) {
	e := j.commit(here, instance, t, several...)
	h.Tell([]messaging.Event{e})
	return e.ID
}
