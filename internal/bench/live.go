package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// together50 is how many instances send at the same time.
const together50 = 50

// linkedTogether is how many phones are linked, and weighed, at the same time.
const linkedTogether = 100

// liveVariants compares live instances with whatsmeow alone. Those that are
// compared stand next to each other.
func (b *bench) liveVariants(engine string) []variant {
	var all []variant
	for _, n := range []int{1, together50} {
		all = append(
			all,
			variant{name: bareOn(engine, n), run: func(ctx context.Context) (sample, error) { return b.bareSends(ctx, engine, n) }},
			variant{name: liveOn(engine, n), run: func(ctx context.Context) (sample, error) { return b.liveSends(ctx, engine, n) }},
		)
	}
	return append(
		all,
		variant{name: bareLinksOn(engine), run: func(ctx context.Context) (sample, error) { return b.bareLinks(ctx, engine) }, once: true},
		variant{name: linksOn(engine), run: func(ctx context.Context) (sample, error) { return b.liveLinks(ctx, engine) }, once: true},
		variant{name: weighOn(engine), run: func(ctx context.Context) (sample, error) { return b.liveWeight(ctx, engine) }, once: true},
	)
}

// withBare runs something with a network of phones and a process of whatsmeow.
func (b *bench) withBare(ctx context.Context, engine string, phones int, f func(*network, *servant) (sample, error)) (s sample, err error) {
	return b.withServant(ctx, childBare, engine, phones, f)
}

// withServant runs something with a network and a servant on a fresh database.
func (b *bench) withServant(ctx context.Context, mode, engine string, phones int, f func(*network, *servant) (sample, error)) (_ sample, err error) {
	n, err := b.newNetwork(phones)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.sim.Close()) }()
	dir, err := b.freshDir()
	if err != nil {
		return nil, err
	}
	database, postmaster := "-", 0
	if engine == postgres {
		address, drop, err := b.database.server.NewDatabase(ctx)
		if err != nil {
			return nil, err
		}
		defer drop()
		database, postmaster = address, b.database.postmaster
	}
	s, err := b.hire(ctx, mode, n.sim.Addr(), dir, database, fmt.Sprint(phones))
	if err != nil {
		return nil, err
	}
	defer s.dismiss()
	s.meter.postmaster = postmaster
	return f(n, s)
}

// link has a servant make more clients, and scans their codes.
func (n *network) link(ctx context.Context, s *servant, first, more int) error {
	var codes []string
	if err := s.do(ctx, "Link", more, &codes); err != nil {
		return err
	}
	if err := n.scan(ctx, first, codes); err != nil {
		return err
	}
	return s.tell(ctx, "Linked")
}

// bareSends measures the ceiling: SendMessage in a loop, or in several.
func (b *bench) bareSends(ctx context.Context, engine string, phones int) (sample, error) {
	return b.withBare(ctx, engine, phones, func(n *network, s *servant) (sample, error) {
		if err := n.link(ctx, s, 0, phones); err != nil {
			return nil, err
		}
		if err := s.tell(ctx, "Greet", "Start"); err != nil {
			return nil, err
		}
		stop, err := b.profile(ctx, s.meter.pid, bareOn(engine, phones))
		if err != nil {
			return nil, err
		}
		got, err := b.nearAndFar(ctx, n, s.meter)
		return got, errors.Join(err, stop(), s.tell(ctx, "Stop"))
	})
}

// bareLinks measures how long whatsmeow takes to link phones and to come back,
// and what it keeps in memory.
func (b *bench) bareLinks(ctx context.Context, engine string) (sample, error) {
	return b.withBare(ctx, engine, warming+linkedTogether, func(n *network, s *servant) (sample, error) {
		return n.linksAndWeighs(ctx, s)
	})
}

// liveWeight measures what live instances keep in memory.
func (b *bench) liveWeight(ctx context.Context, engine string) (sample, error) {
	return b.withServant(ctx, childLive, engine, warming+linkedTogether, func(n *network, s *servant) (sample, error) {
		return n.linksAndWeighs(ctx, s)
	})
}

// linksAndWeighs links some clients for what only the first ones bring along,
// and then those that count. All have sent to all their contacts when they are
// weighed.
func (n *network) linksAndWeighs(ctx context.Context, s *servant) (sample, error) {
	if err := n.link(ctx, s, 0, warming); err != nil {
		return nil, err
	}
	var before, after int64
	if err := errors.Join(s.tell(ctx, "Greet"), s.do(ctx, "Weigh", struct{}{}, &before)); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := n.link(ctx, s, warming, linkedTogether); err != nil {
		return nil, err
	}
	took := time.Since(began)
	if err := errors.Join(s.tell(ctx, "Greet"), s.do(ctx, "Weigh", struct{}{}, &after)); err != nil {
		return nil, err
	}
	back, err := n.returned(ctx)
	return sample{
		linkSeconds: took.Seconds(), backSeconds: back.Seconds(),
		bytesLive: float64(after-before) / linkedTogether,
	}, err
}

// liveSends measures live instances: messages are posted, and counted where
// they arrive. Nothing may be lost or doubled.
func (b *bench) liveSends(ctx context.Context, engine string, phones int) (_ sample, err error) {
	n, err := b.newNetwork(phones)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.sim.Close()) }()
	p, err := b.serveLive(ctx, engine, n)
	if err != nil {
		return nil, err
	}
	defer p.end()
	if _, err := p.link(ctx, n, 0, phones); err != nil {
		return nil, err
	}
	t := p.target(p.names(0, phones)...)
	if err := send(ctx, t, b.o.conns, 0, contactsEach*phones); err != nil {
		return nil, err
	}
	if err := n.seen(ctx, int64(contactsEach*phones)); err != nil {
		return nil, err
	}
	s, err := b.fed(ctx, engine, n, p, t)
	if err != nil || phones > 1 {
		return s, err
	}
	return s, b.patientCallers(ctx, n, t, s)
}

// fed measures while feeders keep every instance busy.
func (b *bench) fed(ctx context.Context, engine string, n *network, p *product, t *target) (s sample, err error) {
	stop, err := b.profile(ctx, p.pid, liveOn(engine, n.phones))
	if err != nil {
		return nil, err
	}
	feeding, enough := context.WithCancel(ctx)
	defer enough()
	feed := n.feed(feeding, t)
	s, err = b.nearAndFar(ctx, n, p.meter)
	enough()
	posted, fault := feed()
	if err = errors.Join(err, stop(), fault); err != nil {
		return nil, err
	}
	return s, n.seen(ctx, int64(contactsEach*n.phones)+posted)
}

// feed posts messages of every instance until ctx ends, always some ahead of
// those that have arrived. The function that it returns waits for the feeders
// and tells how many messages were posted.
func (n *network) feed(ctx context.Context, t *target) func() (posted int64, err error) {
	each := max(1, 8/n.phones)
	client := t.client(each * n.phones)
	counts := make([]int64, each*n.phones)
	var group errgroup.Group
	for f := range counts {
		phone := f % n.phones
		w := t.worker(client, 0, 0)
		group.Go(func() error {
			for turn := f / n.phones; ; turn += each {
				select {
				case n.room[phone] <- struct{}{}:
				case <-ctx.Done():
					return nil
				}
				w.turn = turn%contactsEach*n.phones + phone
				if err := w.shoot(); err != nil {
					return fmt.Errorf("load: %w", err)
				}
				counts[f]++
			}
		})
	}
	return func() (posted int64, err error) {
		err = group.Wait()
		client.CloseIdleConnections()
		for _, c := range counts {
			posted += c
		}
		return posted, err
	}
}

// seen waits until exactly so many messages have arrived.
func (n *network) seen(ctx context.Context, want int64) error {
	err := eventually(ctx, "the messages arrive", func() (bool, error) { return n.total() >= want, nil })
	if got := n.total(); err != nil || got != want {
		return errors.Join(err, fmt.Errorf("%d messages arrived, not %d", got, want))
	}
	return nil
}

// The callers whose patience is measured: so many, each with a request every
// so often.
const (
	callers     = 20
	callersRest = 100 * time.Millisecond
)

// patientCallers measures what callers wait for a 202 while the network is near
// and while it is far.
func (b *bench) patientCallers(ctx context.Context, n *network, t *target, s sample) error {
	// The recipients are those that were written to before: strangers are
	// greeted by the instance, which is not what is compared.
	known := *t
	known.recipients = contactsEach
	for _, at := range []struct {
		roundTrip time.Duration
		what      quantity
	}{{0, p99}, {farAway, p99Far}} {
		n.sim.SetRoundTrip(at.roundTrip)
		latencies, err := hammer(ctx, &known, callers, b.window(), callersRest)
		if err != nil {
			return err
		}
		s[at.what] = milliseconds(percentile(latencies, 0.99))
	}
	n.sim.SetRoundTrip(0)
	return nil
}
