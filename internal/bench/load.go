package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// result is what a load measured.
type result struct {
	latencies []time.Duration
	elapsed   time.Duration
	cpu       time.Duration
	answered  int // for the CPU time: also those that no window was open for
}

// sample turns it into figures.
func (r result) sample() (sample, error) {
	n := float64(len(r.latencies))
	if n == 0 {
		return nil, errors.New("not one request was answered while it was measured")
	}
	slices.Sort(r.latencies)
	return sample{
		rate: n / r.elapsed.Seconds(), p50: milliseconds(percentile(r.latencies, 0.50)),
		p99: milliseconds(percentile(r.latencies, 0.99)), cpu: float64(r.cpu) / float64(time.Microsecond) / float64(r.answered),
	}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// window is the time in which answers count.
type window struct{ from, until time.Time }

// window begins after the warm-up.
func (b *bench) window() window { return windowFrom(time.Now().Add(b.o.warm), b.o.measure) }

func windowFrom(from time.Time, length time.Duration) window {
	return window{from: from, until: from.Add(length)}
}

// during reads a meter when the window opens and when it closes.
func (m meter) during(ctx context.Context, w window) (time.Duration, error) {
	if err := sleepUntil(ctx, w.from); err != nil {
		return 0, err
	}
	before, err := m.read()
	if err != nil {
		return 0, err
	}
	if err := sleepUntil(ctx, w.until); err != nil {
		return 0, err
	}
	after, err := m.read()
	return after - before, err
}

// hammer sends requests on conns connections until the window closes, and
// returns the latencies of those that began and ended inside it, sorted.
func hammer(ctx context.Context, t *target, conns int, w window, pace time.Duration) ([]time.Duration, error) {
	c := newCrew(&process{}, t, conns)
	defer c.leave()
	all, err := c.hammer(ctx, w, pace)
	slices.Sort(all)
	return all, err
}

// until sends requests until the window closes.
func (w *worker) until(ctx context.Context, open window, pace time.Duration) ([]time.Duration, error) {
	latencies := make([]time.Duration, 0, 1<<14)
	for next := time.Now(); ctx.Err() == nil; {
		if pace > 0 {
			next = next.Add(pace)
			if err := sleepUntil(ctx, next); err != nil {
				return nil, err
			}
		}
		began := time.Now()
		if !began.Before(open.until) {
			break
		}
		if err := w.shoot(); err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
		ended := time.Now()
		if !began.Before(open.from) && !ended.After(open.until) {
			latencies = append(latencies, ended.Sub(began))
		}
	}
	return latencies, ctx.Err()
}

// send posts n messages on conns connections and returns when the last has
// been answered. The first of them is number from.
func send(ctx context.Context, t *target, conns, from, n int) error {
	client := t.client(conns)
	defer client.CloseIdleConnections()
	var taken atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(conns, n) {
		w := t.worker(client, 0, 1)
		group.Go(func() error {
			for ctx.Err() == nil {
				turn := int(taken.Add(1)) - 1
				if turn >= n {
					return nil
				}
				w.turn = from + turn
				if err := w.shoot(); err != nil {
					return fmt.Errorf("load: %w", err)
				}
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

// sleepUntil waits for a time of day, or for the context.
func sleepUntil(ctx context.Context, t time.Time) error {
	d := time.Until(t)
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
