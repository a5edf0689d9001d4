package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"
)

// turn is how long a server is measured before R is, and the other way round.
// A neighbour on the same machine can halve its speed for seconds, and so it
// meets both.
const turn = 500 * time.Millisecond

// beside measures a server and R in turns, after a warm-up of each, while every
// connection asks for as much as it can get.
func (b *bench) beside(ctx context.Context, variant string, p *process, t *target) (_ sample, err error) {
	raw, err := b.startRaw(ctx)
	if err != nil {
		return nil, err
	}
	defer raw.stop()
	stop, err := b.profile(ctx, p.pid, variant)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	server, yardstick := newCrew(p, t, b.o.conns), newCrew(raw, rawTarget(raw.address), b.o.conns)
	defer server.leave()
	defer yardstick.leave()
	for _, c := range []*crew{server, yardstick} {
		if _, err := c.hammer(ctx, windowFrom(time.Now(), b.o.warm), 0); err != nil {
			return nil, err
		}
	}
	return measureBeside(ctx, server, yardstick, b.o.measure)
}

// measureBeside lets two crews take turns. A server's CPU time is that of all
// turns, so that what it puts off until it has a quiet moment is counted.
func measureBeside(ctx context.Context, server, yardstick *crew, measure time.Duration) (sample, error) {
	both := []*crew{server, yardstick}
	for _, c := range both {
		if err := c.begin(); err != nil {
			return nil, err
		}
	}
	for left := measure; left > 0; left -= turn {
		for _, c := range both {
			if err := c.take(ctx, windowFrom(time.Now(), min(turn, left))); err != nil {
				return nil, err
			}
		}
	}
	for _, c := range both {
		if err := c.end(); err != nil {
			return nil, err
		}
	}
	return sampleBeside(server.sum, yardstick.sum)
}

// sampleBeside are the figures of a server and those of R.
func sampleBeside(server, raw result) (sample, error) {
	s, err := server.sample()
	if err != nil {
		return nil, err
	}
	r, err := raw.sample()
	if err != nil {
		return nil, err
	}
	for what, ofRaw := range yardsticks() {
		s[ofRaw] = r[what]
	}
	return s, nil
}

// crew are the callers of one server, and what they have measured so far.
type crew struct {
	client  *fasthttp.HostClient
	workers []*worker
	meter   meter
	before  time.Duration // the meter when the account was opened
	sum     result
}

func newCrew(p *process, t *target, conns int) *crew {
	c := &crew{client: t.client(conns), meter: p.meter}
	for n := range conns {
		c.workers = append(c.workers, t.worker(c.client, n, conns))
	}
	return c
}

// leave closes the connections.
func (c *crew) leave() { c.client.CloseIdleConnections() }

// begin opens the account, end closes it.
func (c *crew) begin() (err error) {
	c.sum = result{answered: -c.answered()}
	c.before, err = c.meter.read()
	return err
}

func (c *crew) end() error {
	after, err := c.meter.read()
	c.sum.cpu = after - c.before
	c.sum.answered += c.answered()
	return err
}

func (c *crew) answered() (n int) {
	for _, w := range c.workers {
		n += w.answered
	}
	return n
}

// take adds what is measured while a window is open.
func (c *crew) take(ctx context.Context, w window) error {
	latencies, err := c.hammer(ctx, w, 0)
	c.sum.elapsed += w.until.Sub(w.from)
	c.sum.latencies = append(c.sum.latencies, latencies...)
	return err
}

// hammer sends requests until the window closes, and returns the latencies of
// those that began and ended inside it. A pace above zero is the time between
// the requests of one connection.
func (c *crew) hammer(ctx context.Context, w window, pace time.Duration) ([]time.Duration, error) {
	lists := make([][]time.Duration, len(c.workers))
	group, ctx := errgroup.WithContext(ctx)
	for n, caller := range c.workers {
		group.Go(func() (err error) {
			lists[n], err = caller.until(ctx, w, pace)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(lists...), nil
}
