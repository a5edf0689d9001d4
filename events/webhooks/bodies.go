package webhooks

import (
	"container/list"
	"context"
	"fmt"
	"log/slog"
	"sync"

	"portaria/messaging"
)

// maxBodies is how many bytes of bodies are kept, and bodyCost what one costs
// beyond its text. loadAhead is how many events are read at once.
const (
	maxBodies = 8 << 20
	bodyCost  = 256
	loadAhead = 64
)

// body is an event as it is posted.
type body struct {
	key           bodyKey
	text          []byte   // nil: it could not be rendered, or gone
	gone          bool     // the journal does not have the event any more
	direct, group bool     // the chats that admit it
	instances     []string // of a bulk over several
}

type bodyKey struct {
	messaging.World

	sequence int64
}

// admittedBy reports whether a webhook's filter of chats lets the event pass.
func (b *body) admittedBy(c messaging.Chats) bool {
	switch c {
	case messaging.DirectChats:
		return b.direct
	case messaging.GroupChats:
		return b.group
	case messaging.AllChats:
		return true
	default:
		return true
	}
}

// bodies keeps the bodies that were used last: an event is read and rendered
// once, however many endpoints are told of it.
type bodies struct {
	queue  Queue
	render func(messaging.Event) ([]byte, error)
	log    *slog.Logger

	mu      sync.Mutex
	known   map[bodyKey]*list.Element
	order   *list.List // of *body, the one used last in front
	size    int
	loading map[messaging.World]chan struct{} // closed when the read of a world's events has ended
}

func newBodies(q Queue, render func(messaging.Event) ([]byte, error), log *slog.Logger) *bodies {
	return &bodies{
		queue: q, render: render, log: log,
		known: make(map[bodyKey]*list.Element), order: list.New(), loading: make(map[messaging.World]chan struct{}),
	}
}

// find returns the body of an event. When it has to be read, those of next,
// which will be wanted soon, are read with it. Lanes of one world do not read
// side by side: they want the same events.
func (b *bodies) find(ctx context.Context, w messaging.World, sequence int64, next func() []int64) (*body, error) {
	key := bodyKey{w, sequence}
	for {
		b.mu.Lock()
		if found := b.get(key); found != nil {
			b.mu.Unlock()
			return found, nil
		}
		others, busy := b.loading[w]
		if !busy {
			b.loading[w] = make(chan struct{})
		}
		b.mu.Unlock()
		if !busy {
			return b.load(ctx, key, next())
		}
		select {
		case <-others:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// get returns a body that is known; nil when it is not. b.mu is held.
func (b *bodies) get(key bodyKey) *body {
	e, ok := b.known[key]
	if !ok {
		return nil
	}
	b.order.MoveToFront(e)
	return e.Value.(*body)
}

// load reads and renders the event of key and those of next.
func (b *bodies) load(ctx context.Context, key bodyKey, next []int64) (*body, error) {
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		close(b.loading[key.World])
		delete(b.loading, key.World)
	}()
	sequences := b.missing(key, next)
	events, err := b.queue.EventsAt(ctx, key.World, sequences)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	made := make(map[int64]*body, len(sequences))
	for i := range events {
		e := &events[i]
		made[e.Sequence] = b.make(bodyKey{key.World, e.Sequence}, e)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, sequence := range sequences {
		if made[sequence] == nil {
			made[sequence] = &body{key: bodyKey{key.World, sequence}, gone: true}
		}
		b.keep(made[sequence])
	}
	return made[key.sequence], nil
}

// missing returns the sequences that have to be read: that of key, and those of
// next that are not known.
func (b *bodies) missing(key bodyKey, next []int64) []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := append(make([]int64, 0, 1+len(next)), key.sequence)
	for _, sequence := range next {
		if _, known := b.known[bodyKey{key.World, sequence}]; !known && sequence != key.sequence {
			out = append(out, sequence)
		}
	}
	return out
}

func (b *bodies) make(key bodyKey, e *messaging.Event) *body {
	made := &body{key: key, direct: messaging.DirectChats.Admit(e), group: messaging.GroupChats.Admit(e)}
	if e.Bulk != nil {
		made.instances = e.Bulk.InstanceIDs
	}
	text, err := b.render(*e)
	if err != nil {
		b.log.Error("event cannot be rendered for webhooks", "event", e.ID, "error", err)
		return made
	}
	made.text = text
	return made
}

// keep remembers a body and forgets those that were used longest ago. b.mu is
// held.
func (b *bodies) keep(one *body) {
	if _, known := b.known[one.key]; known || len(one.text)+bodyCost > maxBodies {
		return
	}
	b.known[one.key] = b.order.PushFront(one)
	b.size += len(one.text) + bodyCost
	for b.size > maxBodies {
		last := b.order.Remove(b.order.Back()).(*body)
		delete(b.known, last.key)
		b.size -= len(last.text) + bodyCost
	}
}
