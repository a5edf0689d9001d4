package natssink

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"portaria/messaging"
)

// world is how far the sink has got in one world.
type world struct {
	name messaging.World

	cursor  int64 // guarded by Sink.mu; the last event that the server has acknowledged
	news    bool  // guarded by Sink.mu; there may be events that were not read yet
	queued  bool  // guarded by Sink.mu; it is among those with news
	failing bool  // guarded by Sink.mu; the last try failed

	due     time.Time // not before; for Run's goroutine alone, as is retries
	retries backoff
}

// begun is the world of no workspace. Its cursor says that the sink has begun in
// this database, and that worlds without a cursor are younger than that.
var begun = messaging.World{}

// startLimit is how many worlds are given their first cursor at once.
const startLimit = 32

// look learns how far the sink has got, also by other processes' work, and which
// worlds are behind.
func (w *worker) look(ctx context.Context) {
	if err := w.lookAround(ctx); err != nil {
		wait := w.looking.next()
		w.lookAt = time.Now().Add(wait)
		if ctx.Err() == nil {
			w.log.Warn("the journal cannot be read", "error", err, "retry_in", wait)
		}
		return
	}
	w.looking.reset()
	w.lookAt = time.Now().Add(w.options.Poll)
}

func (w *worker) lookAround(ctx context.Context) error {
	store := w.options.Store
	cursors, err := store.SinkCursors(ctx, cursorName)
	if err != nil {
		return fmt.Errorf("cursors: %w", err)
	}
	names, err := store.Worlds(ctx)
	if err != nil {
		return fmt.Errorf("worlds: %w", err)
	}
	if err := w.start(ctx, cursors, names); err != nil {
		return err
	}
	for _, name := range names {
		head, err := store.EventHead(ctx, name)
		if err != nil {
			return fmt.Errorf("head: %w", err)
		}
		w.meet(name, cursors[name], head)
	}
	return nil
}

// start gives every world without a cursor its first one, and adds it to
// cursors. A sink that is new to the database begins with what happens from now
// on; in a world that has appeared since, with its first event. That it has begun
// is noted last: a start that was cut short is made again.
func (w *worker) start(ctx context.Context, cursors map[messaging.World]int64, names []messaging.World) error {
	if _, ok := cursors[begun]; ok {
		w.known = true
	}
	heads := make([]int64, len(names))
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(startLimit)
	for i, name := range names {
		if _, ok := cursors[name]; ok {
			continue
		}
		group.Go(func() (err error) {
			if !w.known {
				if heads[i], err = w.options.Store.EventHead(each, name); err != nil {
					return err
				}
			}
			return w.moveCursor(each, name, heads[i])
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("first cursors: %w", err)
	}
	for i, name := range names {
		if _, ok := cursors[name]; !ok {
			cursors[name] = heads[i]
		}
	}
	if w.known {
		return nil
	}
	if err := w.moveCursor(ctx, begun, 0); err != nil {
		return fmt.Errorf("first cursors: %w", err)
	}
	w.known = true
	return nil
}

// meet brings what is known of a world up to date.
func (w *worker) meet(name messaging.World, cursor, head int64) {
	w.change(func() {
		of, ok := w.worlds[name]
		if !ok {
			of = &world{name: name, retries: w.backoff()}
			w.worlds[name] = of
		}
		of.cursor = max(of.cursor, cursor)
		if head > of.cursor {
			w.note(name)
		}
	})
}
