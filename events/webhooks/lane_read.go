package webhooks

import (
	"context"
	"fmt"
	"time"

	"portaria/messaging"
)

// maxReach bounds the rows of an ordered endpoint that are looked at: what
// comes behind so many that wait for others is not seen until these are gone.
const (
	maxReach  = 64 * laneWindow
	reachStep = 4
)

// After a read that found nothing, none is made for restAfterRead times as long
// as it took, but at most maxRest: to look in vain behind thousands that wait
// for others must not keep the database busy.
const (
	restAfterRead = 20
	maxRest       = 3 * time.Second
)

// reading is one read of the database.
type reading struct {
	turn    int
	limit   int
	ordered bool
	now     time.Time
}

// read takes in due rows.
func (l *lane) read() {
	r := l.beginRead()
	rows, took, err := l.rows(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.endRead()
	switch {
	case err != nil:
		l.setback("webhook queue not read, trying again", err)
		l.unread = true
		return
	case l.turn != r.turn:
		l.unread = true // it may be another's by now
		return
	}
	fresh := 0
	if r.ordered {
		fresh = l.takeOrdered(rows, r)
	} else {
		fresh = l.takeDue(rows)
	}
	switch full := len(rows) >= r.limit; {
	case full && fresh > 0 || fresh >= laneWindow:
		l.unread = true
	case full && r.ordered && l.reach < maxReach:
		l.reach *= reachStep // nothing but what waits for others: look behind it
		l.unread = true
	default:
		l.readable = time.Now().Add(l.pauseAfter(fresh, took))
		// A test world's events may be ahead of its clock, and so be due later than others of their commit.
		l.ahead = !r.ordered && (l.ahead || fresh == 0 || l.world.Environment == messaging.Test ||
			l.target != nil && l.target.policy.FirstWait() > 0)
		if len(rows) < l.reach/reachStep {
			l.reach = max(l.reach/reachStep, laneWindow)
		}
	}
	l.pump()
}

// pauseAfter returns for how long nothing is read after a read that took so
// long.
func (l *lane) pauseAfter(fresh int, took time.Duration) time.Duration {
	if fresh > 0 {
		return l.d.timings.Read
	}
	return max(l.d.timings.Read, min(restAfterRead*took, maxRest))
}

func (l *lane) beginRead() reading {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unread, l.reading = false, true
	r := reading{turn: l.turn, limit: laneWindow + len(l.known), ordered: l.target != nil && l.target.Ordered, now: l.now()}
	if r.ordered {
		r.limit = l.reach + len(l.known)
	}
	return r
}

func (l *lane) rows(r reading) (rows []Delivery, took time.Duration, err error) {
	err = l.ask(func(ctx context.Context) error {
		begun := time.Now()
		defer func() { took = time.Since(begun) }()
		if r.ordered {
			rows, err = l.d.queue.Waiting(ctx, l.d.node, l.id, r.limit)
			return err
		}
		rows, err = l.d.queue.Due(ctx, l.d.node, l.id, r.now, r.limit)
		return err
	})
	return rows, took, err
}

// ask asks the database in turn with other lanes.
func (l *lane) ask(question func(context.Context) error) error {
	if err := l.d.reads.Acquire(l.d.ctx, 1); err != nil {
		return fmt.Errorf("turn to read: %w", err)
	}
	defer l.d.reads.Release(1)
	return question(l.d.ctx)
}

// endRead forgets what was recorded while rows were being read: the rows may
// still have shown it as pending. l.mu is held.
func (l *lane) endRead() {
	l.reading = false
	for _, id := range l.late {
		delete(l.known, id)
	}
	l.late = nil
}

// takeDue queues rows that are due, and returns how many of them are news. l.mu
// is held.
func (l *lane) takeDue(rows []Delivery) (fresh int) {
	for i := range rows {
		if l.enqueue(&rows[i]) {
			fresh++
		}
	}
	return fresh
}

func (l *lane) enqueue(row *Delivery) bool {
	if _, known := l.known[row.ID]; known {
		return false
	}
	l.known[row.ID] = struct{}{}
	l.stuck = false
	l.queue = append(l.queue, *row)
	return true
}

// takeOrdered queues the rows that may be tried when their turn comes. The
// first of an instance that is not due yet keeps back all behind it. l.mu is
// held.
func (l *lane) takeOrdered(rows []Delivery, r reading) (fresh int) {
	seen := make(map[string]bool, len(l.blocked)) // instances whose blocker is still there
	for i := range rows {
		row := &rows[i]
		blocker, blocked := l.blocked[row.InstanceID]
		if blocked && row.ID == blocker {
			seen[row.InstanceID] = true
		}
		if _, known := l.known[row.ID]; known || blocked && row.ID > blocker {
			continue
		}
		if row.Due.After(r.now) {
			l.blocked[row.InstanceID] = row.ID
			seen[row.InstanceID] = true
			l.arm(row.Due)
			continue
		}
		if fresh == laneWindow {
			return fresh // the others are read again
		}
		if l.enqueue(row) {
			fresh++
		}
	}
	if len(rows) < r.limit {
		l.unblock(seen)
	}
	return fresh
}

// unblock frees the instances whose blockers have left the queue by another way
// than by being tried: all rows were read, and they were not among them. l.mu is
// held.
func (l *lane) unblock(seen map[string]bool) {
	for instance, id := range l.blocked {
		if _, known := l.known[id]; !known && !seen[instance] {
			delete(l.blocked, instance)
			l.unread = true
		}
	}
}

// readNextDue asks when the next row is due, and the clock to tell it.
func (l *lane) readNextDue() {
	l.mu.Lock()
	turn := l.turn
	l.ahead = false
	l.mu.Unlock()
	var next time.Time
	err := l.ask(func(ctx context.Context) (err error) {
		next, err = l.d.queue.NextDue(ctx, l.d.node, l.id)
		return err
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || l.turn != turn {
		l.ahead = true
	}
	if err != nil {
		l.setback("next webhook delivery not found, trying again", err)
		return
	}
	l.arm(next)
}

// setback logs what kept the lane from reading and lets it wait a little. l.mu
// is held.
func (l *lane) setback(what string, err error) {
	if l.d.ctx.Err() == nil {
		l.d.log.Error(what, "webhook", l.id, "error", err)
	}
	l.readable = time.Now().Add(l.d.timings.Retry)
}
