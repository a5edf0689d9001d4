package webhooks

import (
	"slices"
	"time"
)

// step is what the lane's goroutine does next.
type step uint8

const (
	stepEnd step = iota
	stepWait
	stepRead
	stepLookAhead
)

func (l *lane) run() {
	for {
		next, wait := l.next()
		switch next {
		case stepEnd:
			return
		case stepWait:
			l.wait(wait)
		case stepRead:
			l.read()
		case stepLookAhead:
			l.readNextDue()
		}
	}
}

// next decides what the lane's goroutine does, and for how long it waits at
// most if that is to wait; 0 is until the bell.
func (l *lane) next() (next step, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pump()
	inHand := l.trying > 0 || l.recording > 0 || l.health.noting
	if !l.active() {
		if len(l.queue) > 0 {
			l.forgotten()
		}
		if inHand {
			return stepWait, 0
		}
		return l.rest(), 0
	}
	switch now := time.Now(); {
	case (l.unread && len(l.queue) <= laneWindow/2 || l.ahead && l.drained()) && now.Before(l.readable):
		return stepWait, l.readable.Sub(now)
	case l.unread && len(l.queue) <= laneWindow/2:
		return stepRead, 0
	case l.ahead && l.drained():
		return stepLookAhead, 0
	case inHand || len(l.queue) > 0:
		return stepWait, 0
	}
	return l.rest(), 0
}

// drained reports whether nothing is in memory, so that what the database calls
// due next is not in hand already. l.mu is held.
func (l *lane) drained() bool { return !l.unread && len(l.known) == 0 }

// rest ends the lane's goroutine. l.mu is held.
func (l *lane) rest() step {
	l.running = false
	if !l.unread {
		l.horizon = time.Time{} // what the clock skipped to has been read
	}
	l.queue = nil // an idle lane keeps no memory of its rush hour
	l.d.laneDone(l)
	return stepEnd
}

func (l *lane) wait(d time.Duration) {
	stopping := l.d.ctx.Done()
	if l.d.ctx.Err() != nil {
		stopping = nil // known already: wait for what is in hand
	}
	var timeout <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-l.bell:
	case <-timeout:
	case <-stopping:
	}
}

// pump begins as many tries as there may be. l.mu is held.
func (l *lane) pump() {
	for l.running {
		row, t, ok := l.pick()
		if !ok {
			return
		}
		l.d.work.Go(func() { l.work(row, t) })
	}
}

// pick takes the next delivery that may be tried out of the queue. l.mu is held.
func (l *lane) pick() (row Delivery, t *target, ok bool) {
	if len(l.queue) == 0 || l.trying >= l.health.sideBySide() || l.recording >= maxUnrecorded || !l.active() {
		return Delivery{}, nil, false
	}
	i := 0
	if l.target.Ordered {
		if i = l.first(); i < 0 {
			return Delivery{}, nil, false
		}
	}
	row = l.queue[i]
	if i == 0 {
		l.queue = l.queue[1:]
	} else {
		l.queue = slices.Delete(l.queue, i, i+1)
	}
	l.trying++
	l.busy[row.InstanceID]++
	if l.unread && len(l.queue) == laneWindow/2 {
		l.ring()
	}
	return row, l.target, true
}

// first returns the place of the first delivery of an ordered endpoint that may
// be tried: none of its instance is in hand, nor does one before it wait. -1:
// there is none, and there will be none until something has been let go. l.mu is
// held.
func (l *lane) first() int {
	if l.stuck {
		return -1
	}
	for i := range l.queue {
		row := &l.queue[i]
		blocker, blocked := l.blocked[row.InstanceID]
		if l.busy[row.InstanceID] == 0 && (!blocked || row.ID <= blocker) {
			return i
		}
	}
	l.stuck = true
	return -1
}
