package bulk

import (
	"context"
	"time"

	"portaria/messaging"
	"portaria/outbox/pace"
)

// How far apart messages go while nothing is known of an instance without a pace,
// and what all of them together do at best on one database.
const (
	nominalLive = 200 * time.Millisecond
	nominalTest = time.Millisecond
	nominalAll  = 500 * time.Microsecond
)

// Estimate tells when the last message of a bulk will probably have gone: what its
// own pace and that of each instance allow, their quiet hours, and what waits
// there already. It is zero when that is unknown: the bulk is paused or has ended,
// or no instance of it is connected.
func (s *Service) Estimate(ctx context.Context, b messaging.Bulk) time.Time {
	if b.State != messaging.BulkRunning && b.State != messaging.BulkScheduled {
		return time.Time{}
	}
	f := s.forecast(ctx, &b, s.run(b.ID))
	f.left = b.Counts.Queued
	return f.run()
}

// forecast sets out what is known about a bulk's instances. r is nil for a bulk
// that is not there yet.
func (s *Service) forecast(ctx context.Context, b *messaging.Bulk, r *run) *forecast {
	now := s.clocks(worldOf(b)).Now()
	f := &forecast{start: pace.Later(now, b.Options.SendAt), stop: ctx.Done()}
	var left []string // out of it
	var why error
	for _, id := range b.InstanceIDs {
		if _, connected := s.channels.Channel(id); !connected {
			continue
		}
		x, err := s.sender(ctx, b, id, r, f.start)
		if ctx.Err() != nil {
			return &forecast{start: f.start} // nobody waits for it any more
		}
		if err != nil {
			left, why = append(left, id), err
			continue
		}
		f.senders = append(f.senders, x)
	}
	if why != nil {
		s.log.Warn("instances are left out of an estimate", "bulk", b.ID, "instances", left, "error", why)
	}
	s.assume(b, r, f)
	return f
}

// sender sets out one instance.
func (s *Service) sender(ctx context.Context, b *messaging.Bulk, id string, r *run, start time.Time) (*sender, error) {
	i, err := s.instance(ctx, worldOf(b), id)
	if err != nil {
		return nil, err
	}
	lane, err := s.outbox.Standing(ctx, i)
	if err != nil {
		return nil, err
	}
	x := &sender{}
	if lane.Rules != nil {
		own, gap := limited(lane.Rules, lane.Book, start)
		x.own, x.gap = []limit{own}, gap
	}
	rules := rulesOf(b)
	if rules == nil {
		rules = new(pace.Rules)
	}
	rules.Quiet = quietOf(b)
	waiting, book := 0, pace.NewLedger(nil, time.Time{})
	if r != nil {
		waiting, book = r.standing(id, book)
	}
	mine, gap := limited(rules, book, start)
	x.bulk, x.gap = []limit{mine}, max(x.gap, gap)
	if b.Options.Priority != messaging.High {
		x.before = int64(max(0, lane.Waiting-waiting))
	}
	return x, nil
}

// standing returns how many of the bulk's messages wait in a lane, and what it has
// used of its own pace there.
func (r *run) standing(instance string, fresh *pace.Ledger) (waiting int, book *pace.Ledger) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.feed(instance)
	if f.book != nil {
		fresh = f.book.Copy()
	}
	return len(f.waiting), fresh
}

// assume gives senders without a pace the gap that was seen so far, or one that is
// usual.
func (s *Service) assume(b *messaging.Bulk, r *run, f *forecast) {
	usual := nominalTest
	if b.Environment == messaging.Live {
		usual = nominalLive
	}
	usual = max(usual, nominalAll*time.Duration(len(f.senders)))
	if r != nil {
		r.mu.Lock()
		if seen, ok := r.meter.gap(); ok {
			usual = seen * time.Duration(len(f.senders)) // of all senders together
		}
		r.mu.Unlock()
	}
	for _, x := range f.senders {
		if x.gap == 0 {
			x.gap = usual
		}
	}
}
