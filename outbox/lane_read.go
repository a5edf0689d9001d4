package outbox

import (
	"cmp"
	"context"
	"slices"
	"time"

	"portaria/messaging"
)

// readLater reads, once after a start, what is due later: it blocks its
// recipients, and its times must be watched.
func (l *lane) readLater(ctx context.Context) error {
	l.mu.Lock()
	unreads := l.unreads
	l.beginRead()
	l.mu.Unlock()
	waiters, err := l.d.store.Later(ctx, l.ref, l.clock.Now())
	l.unpark(ctx, l.takeLater(waiters, err, unreads))
	return err
}

// takeLater takes in what was read, and returns those that were set aside behind
// one that is not there any more: nothing else would free them.
func (l *lane) takeLater(waiters []Waiter, err error, unreads int64) (orphans []Waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.endRead()
	if err != nil {
		return nil
	}
	l.unread, l.overdue = l.unreads != unreads, true
	for _, w := range waiters {
		if l.known[w.MessageID] != withdrawn {
			l.learn(w)
		}
	}
	for _, w := range waiters {
		if !w.Blocks && !w.Unacked && !w.Due.Before(farFuture) && len(l.waiting[recipient{w.Priority, w.WAID}]) == 0 {
			orphans = append(orphans, w)
		}
	}
	l.armDue()
	return orphans
}

// learn takes in a message that is due later. l.mu is held.
func (l *lane) learn(w Waiter) {
	l.wait(w)
	switch {
	case w.Unacked:
		l.takenByNetwork(w.MessageID, w.Due)
	case !w.Blocks:
		l.setAside(recipient{w.Priority, w.WAID})
	}
}

// readDue reads due rows of a priority that are not in memory, when there is
// room for a good number of them.
func (l *lane) readDue(ctx context.Context, p messaging.Priority) error {
	if !l.wants(p) {
		return nil
	}
	l.recorded()
	l.mu.Lock()
	spills, limit, now := l.spills[p], laneWindow+len(l.known), l.clock.Now()
	if l.horizon.After(now) {
		now = l.horizon
	}
	l.beginRead()
	l.mu.Unlock()
	rows, err := l.d.store.Due(ctx, l.ref, p, now, limit)
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.endRead()
	if err != nil {
		return err
	}
	l.eager[p] = l.spills[p] != spills
	for _, row := range rows {
		if _, ok := l.known[row.MessageID]; ok {
			continue
		}
		delete(l.unacked, row.MessageID)
		l.unwait(row.MessageID) // its time has come: it stands before those behind it
		l.queues[p] = append(l.queues[p], row)
		l.remember(row.MessageID, queued)
	}
	slices.SortFunc(l.queues[p], func(a, b Parcel) int { return cmp.Compare(a.Position, b.Position) })
	if len(rows) == limit {
		l.leaveBehind(p, rows[limit-1].Position)
	} else if l.spills[p] == spills {
		l.spilled[p] = false
		l.dropPastWaiters(p, now)
	}
	return nil
}

// wants reports whether rows of a priority should be read.
func (l *lane) wants(p messaging.Priority) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.spilled[p] && (len(l.queues[p]) <= laneWindow/2 || l.eager[p])
}

// leaveBehind returns to the database what stands behind a position: between
// the two there are rows that did not fit, and they come first. l.mu is held.
func (l *lane) leaveBehind(p messaging.Priority, last int64) {
	l.queues[p] = slices.DeleteFunc(l.queues[p], func(q Parcel) bool {
		if q.Position <= last {
			return false
		}
		delete(l.known, q.MessageID)
		return true
	})
}

// dropPastWaiters forgets waiters of a priority whose time had come at now:
// everything due was read, so what was not among it has left the outbox by
// another way. l.mu is held.
func (l *lane) dropPastWaiters(p messaging.Priority, now time.Time) {
	for key, list := range l.waiting {
		if key.priority != p {
			continue
		}
		for _, w := range slices.Clone(list) {
			if !w.Due.After(now) {
				l.unwait(w.MessageID)
			}
		}
	}
}
