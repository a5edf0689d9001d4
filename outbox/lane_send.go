package outbox

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"portaria/messaging"
)

// ackTimeout is how long a message that the network has, but did not
// acknowledge, waits before it is sent again under its id.
const ackTimeout = 90 * time.Second

// change fills in which message a record is about.
func (l *lane) change(id string, c messaging.StatusChange) messaging.StatusChange {
	c.WorkspaceID, c.Environment, c.MessageID = l.ref.WorkspaceID, l.ref.Environment, id
	return c
}

// load is what a lane takes out of its queues at once.
type load struct {
	batch   []Parcel
	records []messaging.Record // about messages that are not sent now
	aside   []string           // the messages of these records
	parked  []parking
	expired []Waiter // what others may have waited for
	back    []Parcel // what the channel has returned, and that waits now
	applied map[string]recall
}

// parking is a message that was set aside behind another one.
type parking struct {
	parcel  Parcel
	blocker string
	due     time.Time // the blocker's, and so its own
}

// take picks the next batch: high priority first, in order, passing over what
// must wait for another message to the same recipient.
func (l *lane) take(window int) (out load) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.amending > 0 || l.unread {
		return out
	}
	now := l.clock.Now()
	for p := range l.queues {
		if l.eager[p] && l.spilled[p] {
			return out // something that comes first was passed over by the last read
		}
		n := 0
		for ; n < len(l.queues[p]) && len(out.batch) < window; n++ {
			l.pick(&l.queues[p][n], now, &out)
		}
		l.queues[p] = l.queues[p][n:]
	}
	return out
}

func (l *lane) pick(p *Parcel, now time.Time, out *load) {
	l.known[p.MessageID] = inHand
	blocker, blocked := l.blocker(p)
	switch {
	case !now.Before(p.ExpiresAt):
		out.aside = append(out.aside, p.MessageID)
		out.records = append(out.records, l.change(p.MessageID, messaging.StatusChange{Status: messaging.StatusExpired, At: now, Error: errExpired()}))
		out.expired = append(out.expired, p.waiter(now))
	case blocked:
		out.aside = append(out.aside, p.MessageID)
		out.parked = append(out.parked, parking{*p, blocker.MessageID, blocker.Due})
		out.records = append(out.records, l.change(p.MessageID, messaging.StatusChange{Status: messaging.StatusQueued, At: now, Due: blocker.Due, Parked: true}))
		l.watch(blocker.Due)
		l.setAside(p.key())
	default:
		out.batch = append(out.batch, *p)
	}
}

// send gives the channel one batch and has recorded what became of it.
func (l *lane) send(ctx context.Context) error {
	l.mu.Lock()
	wakes := l.wakes
	l.mu.Unlock()
	channel, ok := l.d.channels.Channel(l.ref.InstanceID)
	if !ok {
		l.pause(wakes)
		return nil
	}
	if err := l.follow(ctx); err != nil {
		return err
	}
	window := l.allowance(channel.Window(), wakes)
	if window == 0 {
		return nil
	}
	taken := l.take(window)
	n := int64(len(taken.batch))
	if n > 0 {
		if err := l.d.inFlight.Acquire(ctx, n); err != nil {
			return fmt.Errorf("in flight: %w", err) // only when stopping: the rows are still in the outbox
		}
		outgoing := make([]messaging.Outgoing, n)
		for i := range taken.batch {
			outgoing[i] = taken.batch[i].Outgoing
		}
		outcomes := channel.Send(ctx, outgoing)
		l.settle(&taken, outcomes, wakes)
	}
	l.record(ctx, &taken, n)
	return nil
}

// record makes durable what became of a batch that has n messages in flight. The
// channel may have the next one meanwhile, but no more than that: what a crash
// leaves unrecorded is sent again.
func (l *lane) record(ctx context.Context, taken *load, n int64) {
	l.recorded()
	done := make(chan struct{})
	l.recording = done
	l.d.work.Go(func() {
		defer close(done)
		defer l.d.inFlight.Release(n)
		for records := taken.records; ; {
			l.d.report(ctx, records)
			var free []Waiter
			if records, free = l.forget(taken); len(records) > 0 {
				continue
			}
			if len(free) > 0 {
				l.unpark(ctx, free)
				l.thaw()
			}
			return
		}
	})
}

// pause stops the lane until wake, unless a wake has come since it looked.
func (l *lane) pause(wakes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wakes == wakes {
		l.paused = true
	}
}

// settle turns the channel's answers into records and into what waits.
func (l *lane) settle(taken *load, outcomes []messaging.Outcome, wakes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spend(taken, outcomes)
	kept := taken.batch[:0]
	for i := range taken.batch {
		p := taken.batch[i]
		o := &outcomes[i]
		_, recalled := l.recalled[p.MessageID]
		if o.Verdict == messaging.Deferred && o.Due.IsZero() && !recalled {
			if o.Try() {
				p.Attempt++ // in memory only: it is told with the next try
			}
			l.putBack(p)
			if l.wakes == wakes {
				l.paused = true
			}
			continue
		}
		kept = append(kept, p)
		taken.records = append(taken.records, l.judge(&p, o))
		if o.Verdict == messaging.Deferred || o.Verdict == messaging.Held {
			taken.back = append(taken.back, p)
		}
	}
	taken.batch = kept
	l.armDue()
}

// putBack returns a message to the head of its queue. l.mu is held.
func (l *lane) putBack(p Parcel) {
	q := l.queues[p.Priority]
	i, _ := slices.BinarySearchFunc(q, p.Position, func(a Parcel, position int64) int {
		return cmp.Compare(a.Position, position)
	})
	l.queues[p.Priority] = slices.Insert(q, i, p)
	l.known[p.MessageID] = queued
}

// judge makes the record of one outcome. l.mu is held.
func (l *lane) judge(p *Parcel, o *messaging.Outcome) messaging.Record {
	c := messaging.StatusChange{At: o.At, Attempts: p.Attempt, Error: o.Error, Due: o.Due}
	if !o.Try() {
		c.Attempts-- // it has only waited
	}
	if c.At.IsZero() {
		c.At = l.clock.Now()
	}
	switch o.Verdict {
	case messaging.Accepted:
		c.Status = messaging.StatusSent
	case messaging.Pending:
		c.Status = messaging.StatusSending
		if c.Due.IsZero() {
			c.Due = c.At.Add(ackTimeout)
		}
		l.armDeadline(c.Due)
		l.takenByNetwork(p.MessageID, c.Due)
	case messaging.Deferred:
		c.Status = messaging.StatusQueued
		l.wait(p.waiter(cmp.Or(c.Due, c.At)))
	case messaging.Held:
		c.Status = messaging.StatusHeld
		l.wait(p.waiter(c.Due))
	case messaging.Refused:
		c.Status = messaging.StatusFailed
	}
	return l.change(p.MessageID, c)
}

func (p *Parcel) waiter(due time.Time) Waiter {
	return Waiter{MessageID: p.MessageID, Priority: p.Priority, WAID: p.To.WAID, Position: p.Position, Due: due, Blocks: true}
}

// forget drops what has been recorded: the database knows better from now on.
// If something has come back meanwhile that is wanted otherwise, it returns the
// records of that instead, and must be called again. It returns the waiters whose
// followers must be freed: those that expired, were recalled, or were ended or
// let go while a message was being set aside behind them. If there are any, the
// lane takes nothing until thaw.
func (l *lane) forget(taken *load) (more []messaging.Record, free []Waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if more = l.recall(taken); len(more) > 0 {
		return more, nil
	}
	free = append(l.recalls(taken), taken.expired...)
	for i := range taken.batch {
		l.leave(taken.batch[i].MessageID)
	}
	for _, id := range taken.aside {
		l.leave(id)
	}
	for i := range taken.parked {
		p := &taken.parked[i]
		if w, waits := l.waiter(p.blocker); !waits || w.Due.Before(p.due) {
			free = append(free, p.parcel.waiter(time.Time{}))
		}
	}
	if len(free) > 0 {
		l.amending++ // until they are free
	}
	l.armDue()
	return nil, free
}
