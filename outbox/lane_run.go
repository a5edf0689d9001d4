package outbox

import (
	"context"
	"time"

	"portaria/messaging"
)

// start runs the lane's goroutine if there may be work. l.mu is held.
func (l *lane) start() {
	if l.running || !l.hasWork() {
		return
	}
	l.running = l.d.goRun(l)
}

func (l *lane) hasWork() bool {
	if l.amending > 0 {
		return false
	}
	if l.overdue || l.unread || l.failing != nil {
		return true
	}
	if l.rests() && !l.gone {
		return false
	}
	for p := range l.queues {
		if l.spilled[p] || len(l.queues[p]) > 0 {
			return true
		}
	}
	return false
}

// rests reports whether nothing can be sent now, whatever waits. l.mu is held.
func (l *lane) rests() bool { return l.paused || l.held() }

// run works until nothing is left.
func (l *lane) run(ctx context.Context) {
	for l.goOn(ctx) {
		if err := l.step(ctx); err != nil {
			l.d.setback(ctx, l, err)
		}
	}
}

func (l *lane) goOn(ctx context.Context) bool {
	for {
		goes, rests := l.rest(ctx)
		if goes || rests {
			return goes
		}
		l.recorded() // which may bring work
	}
}

// rest ends the goroutine if it has nothing to do and nothing to wait for.
func (l *lane) rest(ctx context.Context) (goes, rests bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() == nil && l.hasWork() {
		return true, false
	}
	if l.recording != nil {
		return false, false
	}
	l.running = false
	if l.pace != nil {
		l.pace.reached = time.Time{} // what was waited for is not there any more
	}
	if l.spilled == [messaging.Priorities]bool{} {
		l.horizon = time.Time{} // what the clock skipped to has been read
	}
	if len(l.waiting) == 0 && l.amending == 0 {
		l.followed = nil // nobody waits behind nobody
	}
	if len(l.known) == 0 {
		l.known, l.queues = nil, [messaging.Priorities][]Parcel{} // an idle lane keeps no memory of its rush hour
	}
	l.d.laneDone(l)
	return false, true
}

// recorded waits until what became of the last batch is durable, or the
// dispatcher stops. Only a send may come before that: whatever reads the database
// must find there what the lane knows.
func (l *lane) recorded() {
	if l.recording != nil {
		<-l.recording
		l.recording = nil
	}
}

// step does one thing: what is overdue first, then reading, then sending.
func (l *lane) step(ctx context.Context) error {
	l.mu.Lock()
	unread, overdue, gone, rests, failing := l.unread, l.overdue, l.gone, l.rests(), l.failing
	l.mu.Unlock()
	if gone || unread || overdue || failing != nil {
		l.recorded()
	}
	switch {
	case gone:
		return l.cancelAll(ctx)
	case unread:
		return l.readLater(ctx)
	case failing != nil:
		return l.failAll(ctx, failing)
	case overdue:
		return l.expire(ctx)
	case rests:
		return nil
	}
	for p := range messaging.Priority(messaging.Priorities) {
		if err := l.readDue(ctx, p); err != nil {
			return err
		}
	}
	return l.send(ctx)
}
