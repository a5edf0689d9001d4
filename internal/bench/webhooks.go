package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	// tenEndpoints hear everything at the same time.
	tenEndpoints = 10
	// connectionsEach is how many deliveries of one endpoint the gateway tries at
	// once (docs/webhooks.md), and how many the bare client posts.
	connectionsEach = 10
	// holdLimit bounds how long deliveries are held: the gateway would soon give
	// them up and try them again.
	holdLimit = 12 * time.Second
	// toldLimit bounds how long deliveries may take to arrive.
	toldLimit = 2 * time.Minute
)

// webhookVariants are what is measured of webhooks on one database, beside the
// life cycle. Those that are compared stand next to each other.
func (b *bench) webhookVariants(engine string) []variant {
	var all []variant
	for _, n := range []int{1, tenEndpoints} {
		all = append(
			all,
			variant{name: toldOn(engine, n), run: func(ctx context.Context) (sample, error) { return b.deliveries(ctx, engine, n) }},
			variant{name: barePostsOn(engine, n), run: func(ctx context.Context) (sample, error) { return b.barePosts(ctx, engine, n) }},
		)
	}
	for _, dead := range []bool{false, true} {
		all = append(all, variant{
			name: steadyOn(engine, dead), once: true,
			run: func(ctx context.Context) (sample, error) { return b.steady(ctx, engine, dead) },
		})
	}
	return all
}

// receiverChild is a receiver in a process of its own.
type receiverChild struct {
	*servant

	addresses []string
}

func (b *bench) hireReceiver(ctx context.Context, doors int) (*receiverChild, error) {
	s, err := b.hire(ctx, childReceiver)
	if err != nil {
		return nil, err
	}
	r := &receiverChild{servant: s}
	if err := r.do(ctx, "Open", doors, &r.addresses); err != nil {
		r.dismiss()
		return nil, err
	}
	return r, nil
}

// count returns what has been received. A delivery that is not what was signed
// is an error.
func (r *receiverChild) count(ctx context.Context) (Tally, error) {
	var t Tally
	if err := r.do(ctx, "Count", struct{}{}, &t); err != nil {
		return t, err
	}
	if t.Wrong > 0 {
		return t, fmt.Errorf("%d deliveries are not what was signed, or tell no time", t.Wrong)
	}
	return t, nil
}

func (t Tally) total() (sum int64) {
	for _, n := range t.Each {
		sum += n
	}
	return sum
}

// told is a gateway with webhooks that lead to a receiver.
type told struct {
	*product

	receiver *receiverChild
	base     int64 // the newest event that no webhook has heard of
}

// withWebhooks runs something with a fresh gateway, whose clock runs as told,
// and webhooks that hear everything.
func (b *bench) withWebhooks(ctx context.Context, engine, clock string, endpoints int, f func(*told) (sample, error)) (sample, error) {
	r, err := b.hireReceiver(ctx, endpoints)
	if err != nil {
		return nil, err
	}
	defer r.dismiss()
	h, err := b.homeOn(ctx, engine, false)
	if err != nil {
		return nil, err
	}
	h.env = append(h.env, "PORTARIA_WEBHOOK_ALLOW_HTTP=true", "PORTARIA_WEBHOOK_ALLOW_CIDRS=127.0.0.0/8")
	p, err := b.serveHome(ctx, h)
	if err != nil {
		return nil, err
	}
	defer p.end()
	if err := p.call(http.MethodPut, "/v1/sandbox/clock", map[string]string{"mode": clock}, nil); err != nil {
		return nil, err
	}
	t := &told{product: p, receiver: r}
	if err := t.listen(ctx); err != nil {
		return nil, err
	}
	return f(t)
}

// listen makes the webhooks, once the instance has come to rest.
func (t *told) listen(ctx context.Context) error {
	if _, err := t.untilRead(ctx, 1, t.target(theInstance), 0, 1); err != nil {
		return fmt.Errorf("first message: %w", err)
	}
	var err error
	if t.base, err = t.lastEvent(); err != nil {
		return err
	}
	var secrets []string
	for _, address := range t.receiver.addresses {
		var made struct{ Secret string }
		if err := t.call(http.MethodPost, "/v1/webhooks", map[string]string{"url": "http://" + address}, &made); err != nil {
			return err
		}
		secrets = append(secrets, made.Secret)
	}
	return t.receiver.do(ctx, "Trust", secrets, new(struct{}))
}

// untilTold waits until so many of the webhooks, the first ones, have been
// told of every event so far. Each event must have come exactly once.
func (t *told) untilTold(ctx context.Context, endpoints int, limit time.Duration) error {
	last, err := t.lastEvent()
	if err != nil {
		return err
	}
	want := last - t.base
	var came Tally
	err = within(ctx, limit, "the deliveries arrive", func() (bool, error) {
		if came, err = t.receiver.count(ctx); err != nil {
			return false, err
		}
		for _, n := range came.Each[:endpoints] {
			if n < want {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("%w: %d came, of %d each", err, came.Each, want)
	}
	for _, n := range came.Each[:endpoints] {
		if n != want {
			return fmt.Errorf("%d deliveries came, not %d each", came.Each, want)
		}
	}
	return nil
}

// post sends messages and waits until they are read and told.
func (t *told) post(ctx context.Context, conns, from, n int) error {
	if _, err := t.untilRead(ctx, conns, t.target(theInstance), from, n); err != nil {
		return err
	}
	return t.untilTold(ctx, len(t.receiver.addresses), toldLimit)
}

// measured runs something of a gateway and returns how long it took and what it
// cost, for each of n.
func (b *bench) measured(ctx context.Context, variant string, p *product, n int, f func() error) (_ sample, err error) {
	stop, err := b.profile(ctx, p.pid, variant)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	before, err := p.meter.read()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := f(); err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := p.meter.read()
	return sample{
		rate: float64(n) / took.Seconds(),
		cpu:  float64(after-before) / float64(time.Microsecond) / float64(n),
	}, err
}

// toldLifecycle measures a life cycle as lifecycle does, with a webhook that
// hears everything: until the last delivery has been received.
func (b *bench) toldLifecycle(ctx context.Context, engine string) (sample, error) {
	return b.withWebhooks(ctx, engine, "instant", 1, func(t *told) (sample, error) {
		warm := max(b.o.messages/10, 1)
		if err := t.post(ctx, b.o.conns, 0, warm); err != nil {
			return nil, fmt.Errorf("warm-up: %w", err)
		}
		s, err := b.measured(ctx, toldLifecycleOn(engine), t.product, b.o.messages, func() error {
			return t.post(ctx, b.o.conns, warm, b.o.messages)
		})
		return s, errors.Join(err, t.allRead())
	})
}

// deliveries measures how fast the gateway delivers what has queued up while
// the receiver answered nothing: there are as many deliveries as a life cycle
// has messages, however many endpoints share them.
func (b *bench) deliveries(ctx context.Context, engine string, endpoints int) (sample, error) {
	name := toldOn(engine, endpoints)
	delete(b.deliverySize, name)
	return b.withWebhooks(ctx, engine, "instant", endpoints, func(t *told) (sample, error) {
		messages := max(b.o.messages/eventsOfAMessage/endpoints, 1)
		warm := max(messages/10, 1)
		if err := t.post(ctx, b.o.conns, 0, warm); err != nil {
			return nil, fmt.Errorf("warm-up: %w", err)
		}
		held := time.Now()
		if err := t.receiver.do(ctx, "Hold", 0, new(struct{})); err != nil {
			return nil, err
		}
		if _, err := t.untilRead(ctx, b.o.conns, t.target(theInstance), warm, messages); err != nil {
			return nil, err
		}
		if took := time.Since(held); took > holdLimit {
			fmt.Fprintf(b.progress, "%s: left out, for the deliveries took %s to queue up: take fewer -messages\n", name, took)
			return nil, nil
		}
		s, err := b.measured(ctx, name, t.product, messages*eventsOfAMessage*endpoints, func() error {
			return errors.Join(t.receiver.tell(ctx, "Release"), t.untilTold(ctx, endpoints, toldLimit))
		})
		if err != nil {
			return nil, err
		}
		came, err := t.receiver.count(ctx)
		b.deliverySize[name] = int(came.Bytes / came.total())
		return s, err
	})
}
