package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// Subscription says what a listener wants to hear.
type Subscription struct {
	World      messaging.World
	Allow      messaging.Allowlist // of instances; what concerns none is for those who may see all
	Types      []string            // types, families as message.*, or *; none: all
	InstanceID string              // empty: every instance
	After      string              // an event's id: what came behind it is told first; empty: begin now
}

// Admits reports whether an event is part of what a subscription wants.
func (s *Subscription) Admits(e *messaging.Event) bool {
	if !e.OpenTo(s.Allow) || s.InstanceID != "" && s.InstanceID != e.InstanceID {
		return false
	}
	if len(s.Types) == 0 {
		return e.Type != messaging.EventWebhookTest // which is for its webhook alone, unless somebody asks for it
	}
	return slices.ContainsFunc(s.Types, func(pattern string) bool {
		return pattern == string(e.Type) || e.Type.Matches(pattern) // a test is no part of a pattern
	})
}

// Listener hears what a subscription brings, one call after the other. An error
// ends the subscription.
type Listener interface {
	Tell(item *Item) error
	// Gap says that events behind after are not kept any more. first is the first
	// one that is; empty when there is none or the listener may not see it.
	Gap(after, first string) error
	// Flush says that nothing more is at hand: what was told has to get out.
	Flush() error
	// Still comes every Options.Still or so, whether something was told or not.
	Still() error
}

// Follow tells a listener of events, in their order and each once, until ctx
// ends, the hub stops or the listener fails. Faults: fault.ErrBadRequest for an
// After that is no event's id, and before anything is told; ErrSlow; ErrStopped.
func (h *Hub) Follow(ctx context.Context, s Subscription, l Listener) error {
	head, err := h.options.Store.EventHead(ctx, s.World)
	if err != nil {
		return fmt.Errorf("head of a stream: %w", err)
	}
	f := follower{hub: h, subscription: s, listener: l, cursor: head, head: head, last: s.After, stilled: time.Now()}
	if s.After != "" {
		after, ok := messaging.EventSequence(s.After)
		if !ok {
			return fault.ErrBadRequest.Saying("This is not the id of an event.")
		}
		f.cursor = min(after, head)
		if after > head { // the journal was set back, as by a backup
			if err := l.Gap(s.After, ""); err != nil {
				return err
			}
		}
	}
	return f.run(ctx)
}

// follower is one subscription. Its life:
//
//	read the store until its end → join the feed, read what it is ahead → live
//	     ▲                                                                  │
//	     └──────────────────────── the buffer overflowed ───────────────────┘
type follower struct {
	hub          *Hub
	subscription Subscription
	listener     Listener

	cursor  int64     // what is up to it has been told, or is not wanted
	head    int64     // of the world when the subscription began
	last    string    // the last event that was told, or asked for
	behind  time.Time // when the buffer overflowed, until the listener has caught up; zero: it keeps up
	stilled time.Time // when Still was called last
}

// errBehind ends a time in which a listener could keep up.
var errBehind = errors.New("stream: the buffer has overflowed")

func (f *follower) run(ctx context.Context) error {
	for {
		if err := f.catchUp(ctx); err != nil {
			return err
		}
		f.behind = time.Time{}
		if err := f.live(ctx); !errors.Is(err, errBehind) {
			return err
		}
	}
}

// catchUp tells what the store has behind the cursor.
func (f *follower) catchUp(ctx context.Context) error {
	for {
		events, err := f.hub.options.Store.EventsAfter(ctx, f.subscription.World, f.cursor, pageSize)
		if err != nil {
			return f.ended(ctx, fmt.Errorf("events of a stream: %w", err))
		}
		for i := range events {
			if err := f.pass(ctx, &events[i]); err != nil {
				return err
			}
		}
		if len(events) < pageSize {
			break
		}
		if err := f.pause(ctx); err != nil {
			return err
		}
	}
	if f.cursor < f.head { // not even the last one of then is kept
		if err := f.listener.Gap(f.last, ""); err != nil {
			return err
		}
		f.cursor = f.head
	}
	return f.listener.Flush()
}

// pause lets a listener that is told nothing for long look to itself.
func (f *follower) pause(ctx context.Context) error {
	if time.Since(f.stilled) < f.hub.options.Still {
		return f.ended(ctx, nil)
	}
	f.stilled = time.Now()
	return f.listener.Still()
}

// pass tells an event that was read from the store, if it is wanted.
func (f *follower) pass(ctx context.Context, e *messaging.Event) error {
	if e.Sequence > f.cursor+1 {
		first := ""
		if e.OpenTo(f.subscription.Allow) {
			first = e.ID
		}
		if err := f.listener.Gap(f.last, first); err != nil {
			return err
		}
	}
	if f.subscription.Admits(e) {
		if item := f.hub.options.item(e); item != nil {
			if err := f.tell(ctx, item); err != nil {
				return err
			}
		}
	}
	f.cursor = e.Sequence
	return nil
}

// tell hands an item to the listener, unless it is too late for it.
func (f *follower) tell(ctx context.Context, item *Item) error {
	if err := f.ended(ctx, nil); err != nil {
		return err
	}
	if err := f.listener.Tell(item); err != nil {
		return err
	}
	f.cursor, f.last = item.Sequence, item.ID
	return nil
}

// ended returns why the subscription has to end now, or else err.
func (f *follower) ended(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-f.hub.stopped:
		return ErrStopped
	default:
	}
	if err == nil && !f.behind.IsZero() && time.Since(f.behind) > f.hub.options.Patience {
		return ErrSlow
	}
	return err
}

// live tells what the feed hands out, until the buffer overflows: errBehind.
func (f *follower) live(ctx context.Context) error {
	feed := f.hub.use(f.subscription.World, f.cursor)
	defer f.hub.leave(feed)
	out, ahead := feed.join(f.subscription.Admits)
	defer feed.part(out)
	if ahead > f.cursor {
		if err := f.catchUp(ctx); err != nil {
			return err
		}
	}
	still := time.NewTicker(f.hub.options.Still)
	defer still.Stop()
	for {
		select {
		case item, ok := <-out.items:
			if !ok {
				return errBehind
			}
			if err := f.take(ctx, out, item); err != nil {
				return err
			}
		case <-still.C:
			f.stilled = time.Now()
			if err := f.listener.Still(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-f.hub.stopped:
			return ErrStopped
		}
	}
}

// take tells an item of the feed, and notes when the listener fell behind.
func (f *follower) take(ctx context.Context, out *outlet, item *Item) error {
	if at := out.overflow.Load(); at != nil {
		f.behind = *at
	}
	if item.Sequence > f.cursor { // otherwise it was read from the store meanwhile
		if err := f.tell(ctx, item); err != nil {
			return err
		}
	}
	if len(out.items) > 0 {
		return nil
	}
	return f.listener.Flush()
}
