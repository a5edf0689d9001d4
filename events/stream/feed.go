package stream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"portaria/messaging"
)

// Item is an event as listeners get it. They share Data and must not change it.
type Item struct {
	ID       string
	Type     messaging.EventType
	Sequence int64
	Data     []byte // as Options.Render has written it
}

// feed reads a world behind its cursor and hands what it finds to all who
// listen.
type feed struct {
	options *Options
	world   messaging.World

	users    int           // guarded by Hub.mu
	news     chan struct{} // says that there may be something to read
	deserted chan struct{} // closed when nobody uses the feed any more

	mu     sync.Mutex
	cursor int64                // guarded by mu; what is up to it has been handed out
	open   map[*outlet]struct{} // guarded by mu

	failing bool // the last read has failed; of run alone
}

// outlet is where a feed puts what one subscription admits. The feed closes it
// when it overflows.
type outlet struct {
	admits   func(*messaging.Event) bool
	items    chan *Item
	overflow atomic.Pointer[time.Time] // when that was; nil: not yet
}

// newFeed returns a feed that reads at once when it runs: of what was committed
// before there was one, nobody has told it.
func newFeed(o *Options, w messaging.World, after int64) *feed {
	f := &feed{
		options: o, world: w, cursor: after, news: make(chan struct{}, 1), deserted: make(chan struct{}),
		open: make(map[*outlet]struct{}),
	}
	nudge(f.news)
	return f
}

// join opens an outlet and returns what the feed has handed out already: that,
// the listener has to read by itself.
func (f *feed) join(admits func(*messaging.Event) bool) (out *outlet, cursor int64) {
	out = &outlet{admits: admits, items: make(chan *Item, f.options.Buffer)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open[out] = struct{}{}
	return out, f.cursor
}

func (f *feed) part(out *outlet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, out)
}

// run reads whenever there is news, and at every poll, until ctx ends or nobody
// listens any more. While the store fails it is asked at polls only.
func (f *feed) run(ctx context.Context) {
	poll := time.NewTicker(f.options.Poll)
	defer poll.Stop()
	for {
		news := f.news
		if f.failing {
			news = nil
		}
		select {
		case <-news:
		case <-poll.C:
		case <-f.deserted:
			return
		case <-ctx.Done():
			return
		}
		err := f.advance(ctx)
		if ctx.Err() != nil {
			return
		}
		f.report(ctx, err)
	}
}

// report logs the beginning and the end of a time in which the store fails.
func (f *feed) report(ctx context.Context, err error) {
	switch {
	case err != nil && !f.failing:
		f.options.Logger.ErrorContext(ctx, "events for streams cannot be read", "workspace", f.world.WorkspaceID, "error", err)
	case err == nil && f.failing:
		f.options.Logger.InfoContext(ctx, "events for streams are read again", "workspace", f.world.WorkspaceID)
	}
	f.failing = err != nil
}

// advance hands out what the store has behind the cursor.
func (f *feed) advance(ctx context.Context) error {
	for {
		events, err := f.options.Store.EventsAfter(ctx, f.world, f.position(), pageSize)
		if err != nil {
			return err
		}
		f.handOut(events)
		if len(events) < pageSize {
			return nil
		}
	}
}

func (f *feed) position() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cursor
}

// handOut gives each event to the outlets that admit it, rendered once.
func (f *feed) handOut(events []messaging.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range events {
		f.cursor = events[i].Sequence
		var item *Item
		for out := range f.open {
			if !out.admits(&events[i]) {
				continue
			}
			if item == nil {
				if item = f.options.item(&events[i]); item == nil {
					break
				}
			}
			f.put(out, item)
		}
	}
}

// put gives an item to an outlet, or closes one that has no room. f.mu is held.
func (f *feed) put(out *outlet, item *Item) {
	select {
	case out.items <- item:
	default:
		now := time.Now()
		out.overflow.Store(&now)
		delete(f.open, out)
		close(out.items)
	}
}

// item renders an event; nil for one that cannot be rendered. It must not keep
// those behind it from being told.
func (o *Options) item(e *messaging.Event) *Item {
	data, err := o.Render(*e)
	if err != nil {
		o.Logger.Error("an event cannot be shown to streams", "event", e.ID, "error", err)
		return nil
	}
	return &Item{ID: e.ID, Type: e.Type, Sequence: e.Sequence, Data: data}
}
