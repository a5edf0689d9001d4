package outbox

import (
	"context"
	"slices"
	"sync"
	"time"

	"portaria/messaging"
)

// laneWindow is how many messages of one priority a lane keeps in memory.
const laneWindow = 512

// place is where a message that a lane knows about is.
type place uint8

const (
	queued    place = iota // in a queue of the lane
	inHand                 // given to the channel, or being recorded
	withdrawn              // being canceled
)

// lane is the queue of one instance.
//
//	Accept ──► queues (in order of position) ──take──► channel ──► journal
//	             ▲ refill                        │ temporary fault, lock
//	             └── database ◄──────────────────┘ (due later)
//
// Its goroutine exists only while there is work. The lock guards memory alone;
// nothing waits for I/O under it.
type lane struct {
	d     *Dispatcher
	ref   LaneRef
	clock messaging.Clock

	mu      sync.Mutex
	queues  [messaging.Priorities][]Parcel
	known   map[string]place
	waiting map[recipient][]Waiter // in order of position; what blocks its recipient
	dues    dueTimes

	// spilled says that the database may hold due rows of a priority that are
	// not in memory; spills counts the messages that were left there.
	spilled [messaging.Priorities]bool
	spills  [messaging.Priorities]int64
	unread  bool // the rows that are due later have not been read since the start
	overdue bool // a deadline has passed: look for what has expired

	horizon  time.Time // due times up to here have come, though a skipping clock may show less
	dueAlarm alarm
	deadline alarm

	running bool
	paused  bool  // the channel cannot take anything until wake
	wakes   int64 // counts wake, so that one between a look and a pause is not lost
}

// alarm is one call that a clock has been asked for.
type alarm struct {
	at     time.Time
	forget func()
}

// add takes a message that was just committed.
func (l *lane) add(p Parcel, due time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armDeadline(p.ExpiresAt)
	if !due.IsZero() {
		l.wait(Waiter{MessageID: p.MessageID, Priority: p.Priority, WAID: p.To.WAID, Position: p.Position, Due: due, Blocks: true})
		l.armDue()
		return
	}
	if _, ok := l.known[p.MessageID]; ok {
		return // a refill was quicker
	}
	if q := l.queues[p.Priority]; l.spilled[p.Priority] || len(q) >= laneWindow {
		l.spilled[p.Priority] = true
		l.spills[p.Priority]++
	} else {
		l.queues[p.Priority] = append(q, p)
		l.remember(p.MessageID, queued)
	}
	l.start()
}

func (l *lane) remember(id string, where place) {
	if l.known == nil {
		l.known = make(map[string]place)
	}
	l.known[id] = where
}

// wait notes a message that waits for its due time. l.mu is held.
func (l *lane) wait(w Waiter) {
	l.dues.push(w.Due)
	if !w.Blocks {
		return
	}
	if l.waiting == nil {
		l.waiting = make(map[recipient][]Waiter)
	}
	key := recipient{w.Priority, w.WAID}
	list := l.waiting[key]
	i, _ := slices.BinarySearchFunc(list, w.Position, byPosition)
	l.waiting[key] = slices.Insert(list, i, w)
}

func byPosition(w Waiter, position int64) int { return int(min(max(w.Position-position, -1), 1)) }

// unwait forgets the waiter at a position, if there is one. l.mu is held.
func (l *lane) unwait(key recipient, position int64) bool {
	list := l.waiting[key]
	i, ok := slices.BinarySearchFunc(list, position, byPosition)
	if !ok {
		return false
	}
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(l.waiting, key)
	} else {
		l.waiting[key] = list
	}
	return true
}

// blocker returns the message that p must not pass. l.mu is held.
func (l *lane) blocker(p *Parcel) (Waiter, bool) {
	list := l.waiting[p.key()]
	if len(list) == 0 || list[0].Position >= p.Position {
		return Waiter{}, false
	}
	return list[0], true
}

// armDue asks the clock for the earliest due time. l.mu is held.
func (l *lane) armDue() {
	due, ok := l.dues.first()
	if !ok || l.dueAlarm.forget != nil && !due.Before(l.dueAlarm.at) {
		return
	}
	if l.dueAlarm.forget != nil {
		l.dueAlarm.forget()
	}
	l.dueAlarm = alarm{at: due, forget: l.clock.At(due, func() { l.cameDue(due) })}
}

func (l *lane) cameDue(due time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dueAlarm = alarm{}
	if due.After(l.horizon) {
		l.horizon = due
	}
	l.dues.dropUntil(l.horizon)
	l.armDue()
	l.spillAll()
	l.start()
}

// armDeadline asks the clock for a time at which something runs out. l.mu is
// held.
func (l *lane) armDeadline(at time.Time) {
	if at.IsZero() || l.deadline.forget != nil && !at.Before(l.deadline.at) {
		return
	}
	if l.deadline.forget != nil {
		l.deadline.forget()
	}
	l.deadline = alarm{at: at, forget: l.clock.Deadline(at, l.ranOut)}
}

func (l *lane) ranOut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline = alarm{}
	l.overdue = true
	l.spillAll()
	l.start()
}

func (l *lane) spillAll() {
	for p := range l.spilled {
		l.spilled[p] = true
	}
}

// refill has the lane read the database for what is due.
func (l *lane) refill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spillAll()
	l.start()
}

// wake tells the lane that its channel can take messages again.
func (l *lane) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakes++
	l.paused = false
	l.start()
}

// start runs the lane's goroutine if there may be work. l.mu is held.
func (l *lane) start() {
	if l.running || !l.hasWork() {
		return
	}
	l.running = l.d.goRun(l)
}

func (l *lane) hasWork() bool {
	if l.overdue || l.unread {
		return true
	}
	if l.paused {
		return false
	}
	for p := range l.queues {
		if l.spilled[p] || len(l.queues[p]) > 0 {
			return true
		}
	}
	return false
}

// run works until nothing is left.
func (l *lane) run(ctx context.Context) {
	for l.goOn(ctx) {
		if err := l.step(ctx); err != nil {
			l.d.setback(ctx, l, err)
		}
	}
}

func (l *lane) goOn(ctx context.Context) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() == nil && l.hasWork() {
		return true
	}
	l.running = false
	if len(l.known) == 0 {
		l.known, l.queues = nil, [messaging.Priorities][]Parcel{} // an idle lane keeps no memory of its rush hour
	}
	l.d.laneDone(l)
	return false
}

// step does one thing: what is overdue first, then reading, then sending.
func (l *lane) step(ctx context.Context) error {
	l.mu.Lock()
	unread, overdue, paused := l.unread, l.overdue, l.paused
	l.mu.Unlock()
	switch {
	case unread:
		return l.readLater(ctx)
	case overdue:
		return l.expire(ctx)
	case paused:
		return nil
	}
	for p := range messaging.Priority(messaging.Priorities) {
		if err := l.readDue(ctx, p); err != nil {
			return err
		}
	}
	return l.send(ctx)
}

// withdraw takes a message out of the lane so that it can be canceled. It
// reports whether others may be waiting for it; ok is false when the message
// is in the channel's hands.
func (l *lane) withdraw(id string) (waiter, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	where, known := l.known[id]
	if known && where != queued {
		return false, false
	}
	if known {
		for p := range l.queues {
			l.queues[p] = slices.DeleteFunc(l.queues[p], func(q Parcel) bool { return q.MessageID == id })
		}
	}
	for key, list := range l.waiting {
		i := slices.IndexFunc(list, func(w Waiter) bool { return w.MessageID == id })
		if i >= 0 {
			waiter = l.unwait(key, list[i].Position)
			break
		}
	}
	l.remember(id, withdrawn)
	return waiter, true
}

// release forgets a message after its cancellation was recorded.
func (l *lane) release(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.known, id)
}
