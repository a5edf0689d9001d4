package outbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"portaria/messaging"
)

// ackTimeout is how long a message that the network has, but did not
// acknowledge, waits before it is sent again under its id.
const ackTimeout = 90 * time.Second

// expireChunk is how many messages expire in one commit.
const expireChunk = 500

// readLater reads, once after a start, what is due later: it blocks its
// recipients, and its times must be watched.
func (l *lane) readLater(ctx context.Context) error {
	now := l.clock.Now()
	waiters, err := l.d.store.Later(ctx, l.ref, now)
	if err != nil {
		return err
	}
	_, next, err := l.d.store.Expired(ctx, l.ref, now, 0)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unread, l.overdue = false, true
	for _, w := range waiters {
		if list := l.waiting[recipient{w.Priority, w.WAID}]; !slices.ContainsFunc(list, func(o Waiter) bool { return o.Position == w.Position }) {
			l.wait(w)
		}
	}
	l.armDue()
	l.armDeadline(next)
	return nil
}

// expire ends what has run out of time.
func (l *lane) expire(ctx context.Context) error {
	l.mu.Lock()
	l.overdue = false
	l.mu.Unlock()
	now := l.clock.Now()
	ids, next, err := l.d.store.Expired(ctx, l.ref, now, expireChunk)
	if err != nil {
		l.mu.Lock()
		l.overdue = true
		l.mu.Unlock()
		return err
	}
	var records []messaging.Record
	for _, id := range ids {
		if _, ok := l.withdraw(id); ok {
			records = append(records, l.change(id, messaging.StatusChange{Status: messaging.StatusExpired, At: now, Error: errExpired()}))
		}
	}
	l.d.report(ctx, records)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		if l.known[id] == withdrawn {
			delete(l.known, id)
		}
	}
	l.overdue = l.overdue || len(ids) == expireChunk
	l.armDeadline(next)
	return nil
}

func errExpired() *messaging.SendError {
	return &messaging.SendError{Code: "EXPIRED_IN_QUEUE", Message: "The message could not be sent before it expired."}
}

// change fills in which message a record is about.
func (l *lane) change(id string, c messaging.StatusChange) messaging.StatusChange {
	c.WorkspaceID, c.Environment, c.MessageID = l.ref.WorkspaceID, l.ref.Environment, id
	return c
}

// readDue reads due rows of a priority that are not in memory, when there is
// room for a good number of them.
func (l *lane) readDue(ctx context.Context, p messaging.Priority) error {
	l.mu.Lock()
	wanted := l.spilled[p] && len(l.queues[p]) <= laneWindow/2
	spills, limit, now := l.spills[p], laneWindow+len(l.known), l.clock.Now()
	if l.horizon.After(now) {
		now = l.horizon
	}
	l.mu.Unlock()
	if !wanted {
		return nil
	}
	rows, err := l.d.store.Due(ctx, l.ref, p, now, limit)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, row := range rows {
		if _, ok := l.known[row.MessageID]; !ok {
			l.queues[p] = append(l.queues[p], row)
			l.remember(row.MessageID, queued)
		}
	}
	slices.SortFunc(l.queues[p], func(a, b Parcel) int { return int(min(max(a.Position-b.Position, -1), 1)) })
	if len(rows) < limit && l.spills[p] == spills {
		l.spilled[p] = false
	}
	return nil
}

// load is what a lane takes out of its queues at once.
type load struct {
	batch   []Parcel
	records []messaging.Record // about messages that are not sent now
	aside   []string           // the messages of these records
}

// take picks the next batch: high priority first, in order, passing over what
// must wait for another message to the same recipient.
func (l *lane) take(window int) (out load) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	for p := range l.queues {
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
		l.unwait(p.key(), p.Position)
	case blocked:
		out.aside = append(out.aside, p.MessageID)
		out.records = append(out.records, l.change(p.MessageID, messaging.StatusChange{Status: messaging.StatusQueued, At: now, Due: blocker.Due, Parked: true}))
		l.dues.push(blocker.Due)
	default:
		l.unwait(p.key(), p.Position)
		out.batch = append(out.batch, *p)
	}
}

// send gives the channel one batch and records what became of it.
func (l *lane) send(ctx context.Context) error {
	l.mu.Lock()
	wakes := l.wakes
	l.mu.Unlock()
	channel, ok := l.d.channels.Channel(l.ref.InstanceID)
	if !ok {
		l.pause(wakes)
		return nil
	}
	taken := l.take(channel.Window())
	if n := int64(len(taken.batch)); n > 0 {
		if err := l.d.inFlight.Acquire(ctx, n); err != nil {
			return fmt.Errorf("in flight: %w", err) // only when stopping: the rows are still in the outbox
		}
		defer l.d.inFlight.Release(n)
		outgoing := make([]messaging.Outgoing, n)
		for i := range taken.batch {
			outgoing[i] = taken.batch[i].Outgoing
		}
		outcomes := channel.Send(ctx, outgoing)
		l.settle(&taken, outcomes, wakes)
	}
	l.d.report(ctx, taken.records)
	l.forget(&taken)
	return nil
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
	kept := taken.batch[:0]
	for i := range taken.batch {
		p := taken.batch[i]
		o := &outcomes[i]
		if o.Verdict == messaging.Deferred && o.Due.IsZero() {
			l.putBack(p)
			if l.wakes == wakes {
				l.paused = true
			}
			continue
		}
		kept = append(kept, p)
		taken.records = append(taken.records, l.judge(&p, o))
	}
	taken.batch = kept
	l.armDue()
}

// putBack returns a message to the head of its queue. l.mu is held.
func (l *lane) putBack(p Parcel) {
	q := l.queues[p.Priority]
	i, _ := slices.BinarySearchFunc(q, p.Position, func(a Parcel, position int64) int {
		return int(min(max(a.Position-position, -1), 1))
	})
	l.queues[p.Priority] = slices.Insert(q, i, p)
	l.known[p.MessageID] = queued
}

// judge makes the record of one outcome. l.mu is held.
func (l *lane) judge(p *Parcel, o *messaging.Outcome) messaging.Record {
	c := messaging.StatusChange{At: o.At, Attempts: p.Attempt, Error: o.Error, Due: o.Due}
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
	case messaging.Deferred:
		c.Status = messaging.StatusQueued
		l.wait(p.waiter(c.Due))
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
func (l *lane) forget(taken *load) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range taken.batch {
		delete(l.known, taken.batch[i].MessageID)
	}
	for _, id := range taken.aside {
		delete(l.known, id)
	}
	l.armDue()
}
