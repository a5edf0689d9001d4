package outbox

import (
	"cmp"
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
	withdrawn              // being canceled, held or let go
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
	waiters map[string]recipient   // the list that a message waits in
	dues    dueTimes

	followed map[recipient]bool   // somebody may have been set aside behind one of these
	unacked  map[string]time.Time // the network has them, until when it may say so
	recalled map[string]recall    // in hand, and wanted otherwise if they come back
	amending int                  // amendments under way: nothing is taken meanwhile

	// spilled says that the database may hold due rows of a priority that are
	// not in memory; spills counts how often that was said, so that a read which
	// was under way at that moment does not take it back.
	spilled [messaging.Priorities]bool
	unread  bool // the rows that are due later have not been read since the start
	unreads int64
	overdue bool // a deadline has passed: look for what has expired
	spills  [messaging.Priorities]int64
	eager   [messaging.Priorities]bool // to be read however many are in memory

	// horizon is set while rows are read whose time the clock skipped to: Now
	// may show less.
	horizon  time.Time
	dueAlarm alarm
	deadline alarm

	pace    *pacer   // nil: the instance sends as fast as its channel takes
	failing *failure // what waits is to be ended first

	// recording is closed when what became of the last batch is durable; nil when
	// it is. It is for the lane's goroutine alone.
	recording chan struct{}

	running bool
	paused  bool            // the channel cannot take anything until wake
	gone    bool            // the instance was deleted: whatever comes is canceled
	reading bool            // rows are being read without the lock
	late    map[string]bool // messages to forget once that read has been taken in
	wakes   int64           // counts wake, so that one between a look and a pause is not lost
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
	if l.gone {
		l.spilled[p.Priority] = true
		l.spills[p.Priority]++
		l.start()
		return
	}
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
	l.watch(w.Due)
	if !w.Blocks {
		return
	}
	if l.waiting == nil {
		l.waiting, l.waiters = make(map[recipient][]Waiter), make(map[string]recipient)
	}
	key := recipient{w.Priority, w.WAID}
	list := l.waiting[key]
	i, found := slices.BinarySearchFunc(list, w.Position, byPosition)
	if found {
		list[i] = w
		return
	}
	l.waiting[key], l.waiters[w.MessageID] = slices.Insert(list, i, w), key
}

// watch notes a time at which something is due. What is held until further notice
// is due at none, on a clock that skips waits as well. l.mu is held.
func (l *lane) watch(due time.Time) {
	if due.Before(farFuture) {
		l.dues.push(due)
	}
}

func byPosition(w Waiter, position int64) int { return cmp.Compare(w.Position, position) }

// unwait forgets that a message waits, if it does. l.mu is held.
func (l *lane) unwait(id string) (w Waiter, waited bool) {
	key, ok := l.waiters[id]
	if !ok {
		return Waiter{}, false
	}
	delete(l.waiters, id)
	list := l.waiting[key]
	i := slices.IndexFunc(list, func(w Waiter) bool { return w.MessageID == id })
	w = list[i]
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(l.waiting, key)
	} else {
		l.waiting[key] = list
	}
	return w, true
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
	l.dues.dropUntil(due)
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
		l.spills[p]++
	}
}

// waiter returns a message that waits and blocks its recipient. l.mu is held.
func (l *lane) waiter(id string) (w Waiter, waits bool) {
	key, ok := l.waiters[id]
	if !ok {
		return w, false
	}
	list := l.waiting[key]
	return list[slices.IndexFunc(list, func(w Waiter) bool { return w.MessageID == id })], true
}

// readAnew has the lane read what is due later. l.mu is held.
func (l *lane) readAnew() {
	l.unread = true
	l.unreads++
}

// readFirst has the lane read what is due before it takes anything, however many
// it has in memory. l.mu is held.
func (l *lane) readFirst() {
	l.spillAll()
	for p := range l.eager {
		l.eager[p] = true
	}
}

// refill has the lane read the database for what was freed: what is in memory may
// stand behind it.
func (l *lane) refill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readFirst()
	l.start()
}

// wake tells the lane that its channel can take messages again, or that its
// pace may be another.
func (l *lane) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakes++
	l.paused = false
	l.letGo()
	l.start()
}
