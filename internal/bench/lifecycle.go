package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// eventsOfAMessage are queued, sent, delivered and read.
const eventsOfAMessage = 4

// lifecycleLimit bounds how long the messages may take to be read.
const lifecycleLimit = 2 * time.Minute

// lifecycle measures messages from the first POST until all are read, on the
// instant clock: what is left is the gateway's own work.
func (b *bench) lifecycle(ctx context.Context, engine string, instances int) (sample, error) {
	p, err := b.serve(ctx, engine, false)
	if err != nil {
		return nil, err
	}
	defer p.end()
	names, err := p.moreInstances(ctx, instances)
	if err != nil {
		return nil, err
	}
	if err := p.call(http.MethodPut, "/v1/sandbox/clock", map[string]string{"mode": "instant"}, nil); err != nil {
		return nil, err
	}
	t, warm := p.target(names...), max(b.o.messages/10, instances)
	if _, err := p.untilRead(ctx, b.o.conns, t, 0, warm); err != nil {
		return nil, fmt.Errorf("warm-up: %w", err)
	}
	name := lifecycleOn(engine)
	if instances > 1 {
		name = thousandOn(engine)
	}
	s, err := b.readAll(ctx, name, p, t, warm)
	return s, errors.Join(err, p.allRead())
}

// readAll measures the messages that come after the warm-up's.
func (b *bench) readAll(ctx context.Context, variant string, p *product, t *target, warm int) (_ sample, err error) {
	stop, err := b.profile(ctx, p.pid, variant)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	before, err := p.meter.read()
	if err != nil {
		return nil, err
	}
	took, err := p.untilRead(ctx, b.o.conns, t, warm, b.o.messages)
	if err != nil {
		return nil, err
	}
	after, err := p.meter.read()
	n := float64(b.o.messages)
	return sample{rate: n / took.Seconds(), cpu: float64(after-before) / float64(time.Microsecond) / n}, err
}

// moreInstances makes test instances until there are n, and returns the names
// of all.
func (p *product) moreInstances(ctx context.Context, n int) ([]string, error) {
	names := make([]string, n)
	names[0] = theInstance
	group, _ := errgroup.WithContext(ctx)
	group.SetLimit(32)
	for i := 1; i < n; i++ {
		names[i] = fmt.Sprintf("%s-%04d", theInstance, i)
		group.Go(func() error {
			return p.call(http.MethodPost, "/v1/instances", map[string]string{"name": names[i]}, nil)
		})
	}
	return names, group.Wait()
}

// untilRead posts n messages and returns how long it took until the last of
// them was read. It asks for the newest event's number only, which costs the
// server next to nothing.
func (p *product) untilRead(ctx context.Context, conns int, t *target, from, n int) (time.Duration, error) {
	base, err := p.lastEvent()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := send(ctx, t, conns, from, n); err != nil {
		return 0, err
	}
	err = p.untilEvent(ctx, base+int64(n)*eventsOfAMessage)
	return time.Since(began), err
}

// untilEvent waits until the event of this number has happened.
func (p *product) untilEvent(ctx context.Context, goal int64) error {
	var last int64
	err := within(ctx, lifecycleLimit, "the messages are read", func() (_ bool, err error) {
		last, err = p.lastEvent()
		return last >= goal, err
	})
	if err != nil {
		return fmt.Errorf("%w: %d events are missing", err, goal-last)
	}
	return nil
}

// lastEvent returns the number of the newest event; events are numbered
// without gaps.
func (p *product) lastEvent() (int64, error) {
	var events []struct{ Sequence int64 }
	if err := p.call(http.MethodGet, "/v1/events?limit=1", nil, &events); err != nil || len(events) == 0 {
		return 0, err
	}
	return events[0].Sequence, nil
}

// allRead checks that no message stands elsewhere: counting events alone would
// take failures for successes.
func (p *product) allRead() error {
	for _, status := range []string{"queued", "sending", "held", "sent", "delivered", "failed", "expired"} {
		var messages []struct{ ID string }
		if err := p.call(http.MethodGet, "/v1/messages?limit=1&status="+status, nil, &messages); err != nil {
			return err
		}
		if len(messages) > 0 {
			return fmt.Errorf("message %s is %s, not read", messages[0].ID, status)
		}
	}
	return nil
}
