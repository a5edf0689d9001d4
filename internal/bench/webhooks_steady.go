package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// steadyRate is how many messages are posted a second: a thousand events.
	steadyRate = 250
	// steadyConns post them, so that one slow answer delays few.
	steadyConns = 50
	// keepsUp is how many seconds after the load should have ended the nine must
	// have been told of everything to be said to keep up. The network's simulated
	// receipts take 0.3 s of them.
	keepsUp = 1.0
)

// The spans of time in which a dead endpoint is watched: in a run of all
// sections, and in one of some.
const (
	steadyFull  = time.Minute
	steadyShort = 5 * time.Second
)

// steadyFor returns how long events happen steadily.
func (o *options) steadyFor() time.Duration {
	switch {
	case o.deadend > 0:
		return o.deadend
	case len(o.only) == len(sections()):
		return steadyFull
	default:
		return steadyShort
	}
}

// steady measures ten endpoints that hear a thousand events a second, of which
// the last one may be dead: it takes connections and answers nothing. The clock
// is real, so that an event's timestamp is when it happened.
func (b *bench) steady(ctx context.Context, engine string, dead bool) (sample, error) {
	return b.withWebhooks(ctx, engine, "real", tenEndpoints, func(t *told) (sample, error) {
		if err := t.post(ctx, b.o.conns, 0, steadyRate); err != nil {
			return nil, fmt.Errorf("warm-up: %w", err)
		}
		if dead {
			if err := t.receiver.do(ctx, "Hold", tenEndpoints-1, new(struct{})); err != nil {
				return nil, err
			}
		}
		if err := t.receiver.tell(ctx, "Time"); err != nil {
			return nil, err
		}
		lasts := b.o.steadyFor()
		messages := int(lasts.Seconds() * steadyRate)
		var behind time.Duration
		s, err := b.measured(ctx, steadyOn(engine, dead), t.product, messages*eventsOfAMessage, func() (err error) {
			behind, err = b.keepUp(ctx, t, messages, max(toldLimit, 5*lasts))
			return err
		})
		if err != nil {
			return nil, err
		}
		var a Ages
		err = t.receiver.do(ctx, "Ages", tenEndpoints-1, &a)
		s[p50], s[p99], s[behindSeconds] = milliseconds(a.P50), milliseconds(a.P99), behind.Seconds()
		return s, err
	})
}

// keepUp posts messages steadily and returns how long after the time at which
// the load should have ended the last of nine endpoints was told of everything.
// A gateway that takes the messages too slowly is behind as well.
func (b *bench) keepUp(ctx context.Context, t *told, messages int, limit time.Duration) (time.Duration, error) {
	base, err := t.lastEvent()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := steadily(ctx, t.target(theInstance), steadyConns, steadyRate, messages); err != nil {
		return 0, err
	}
	ends := began.Add(time.Duration(messages) * time.Second / steadyRate)
	if late := time.Since(ends); late > time.Second {
		fmt.Fprintf(b.progress, "the messages were accepted %s late: this machine takes no %d a second now\n", late.Round(time.Millisecond), steadyRate)
	}
	if err := t.untilEvent(ctx, base+int64(messages)*eventsOfAMessage); err != nil {
		return 0, err
	}
	err = t.untilTold(ctx, tenEndpoints-1, limit)
	behind := time.Since(ends)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil { // which is a figure, and no reason to lose the others
		fmt.Fprintln(b.progress, err)
		err = nil
	}
	return behind, err
}

// steadily posts n messages, so many a second, however long the answers take.
func steadily(ctx context.Context, t *target, conns, perSecond, n int) error {
	client := t.client(conns)
	defer client.CloseIdleConnections()
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for first := range min(conns, n) {
		group.Go(func() error {
			w := t.worker(client, first, conns)
			for i := first; i < n; i += conns {
				if err := sleepUntil(ctx, began.Add(time.Duration(i)*time.Second/time.Duration(perSecond))); err != nil {
					return err
				}
				if err := w.shoot(); err != nil {
					return fmt.Errorf("load: %w", err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// saysKeepUp is what is told of how far the nine are behind.
func saysKeepUp(seconds float64) string {
	if seconds > keepsUp {
		return "no target: THE NINE DO NOT KEEP UP"
	}
	return "no target: the nine keep up"
}
