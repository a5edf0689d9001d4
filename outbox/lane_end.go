package outbox

import (
	"context"

	"portaria/messaging"
)

// expireChunk is how many messages expire in one commit.
const expireChunk = 500

// expire ends what has run out of time, and watches for what will.
func (l *lane) expire(ctx context.Context) error {
	l.mu.Lock()
	l.overdue = false
	l.mu.Unlock()
	now := l.clock.Now()
	ids, next, err := l.d.store.Expired(ctx, l.ref, now, expireChunk)
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.overdue = true
		return err
	}
	l.end(ctx, ids, messaging.StatusChange{Status: messaging.StatusExpired, At: now, Error: errExpired()})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.overdue = l.overdue || len(ids) == expireChunk
	l.armDeadline(next)
	return nil
}

// end records the end of messages that are not in the channel's hands, and
// frees what waited for them. It returns how many it ended.
func (l *lane) end(ctx context.Context, ids []string, c messaging.StatusChange) (ended int) {
	var records []messaging.Record
	var withdrawn []string
	var waiters []Waiter
	for _, id := range ids {
		waiter, ok := l.withdraw(id)
		if !ok {
			continue
		}
		if waiter != nil {
			waiters = append(waiters, *waiter)
		}
		withdrawn = append(withdrawn, id)
		records = append(records, l.change(id, c))
	}
	l.d.report(ctx, records)
	for _, id := range withdrawn {
		l.release(id)
	}
	l.unpark(ctx, waiters)
	return len(records)
}

// unpark frees the messages that waited only for these.
func (l *lane) unpark(ctx context.Context, waiters []Waiter) {
	freed := make(map[recipient]bool, len(waiters))
	for _, w := range waiters {
		key := recipient{w.Priority, w.WAID}
		if freed[key] {
			continue
		}
		freed[key] = true
		for l.d.store.Unpark(ctx, l.ref, w.Priority, w.WAID) != nil && ctx.Err() == nil {
			pause(ctx, reportBackoff)
		}
	}
	if len(freed) > 0 {
		l.refill()
	}
}

// cancelAll cancels whatever waits in the lane of an instance that is gone.
func (l *lane) cancelAll(ctx context.Context) error {
	l.mu.Lock()
	l.unread, l.overdue = false, false
	spills := l.spills
	l.mu.Unlock()
	for p := range messaging.Priority(messaging.Priorities) {
		for {
			rows, err := l.d.store.Due(ctx, l.ref, p, farFuture, expireChunk)
			if err != nil {
				return err
			}
			ids := make([]string, len(rows))
			for i := range rows {
				ids[i] = rows[i].MessageID
			}
			if l.end(ctx, ids, messaging.StatusChange{Status: messaging.StatusCanceled, At: l.clock.Now(), Error: errDeleted()}) == 0 {
				break
			}
		}
	}
	l.failed() // canceled is as good an end
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.queues {
		l.queues[p] = nil
		l.spilled[p] = l.spills[p] != spills[p]
	}
	return nil
}

func errDeleted() *messaging.SendError {
	return &messaging.SendError{Code: "CANCELED", Message: "The instance was deleted."}
}

func errExpired() *messaging.SendError {
	return &messaging.SendError{Code: "EXPIRED_IN_QUEUE", Message: "The message could not be sent before it expired."}
}
