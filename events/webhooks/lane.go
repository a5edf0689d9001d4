package webhooks

import (
	"math"
	"slices"
	"sync"
	"time"

	"portaria/messaging"
)

// laneWindow is how many deliveries a lane keeps in memory before they are
// tried, and maxUnrecorded how many of its results may wait for the store: a
// crash has those tried again.
const (
	laneWindow    = 512
	maxUnrecorded = 256
)

// lane is the queue of one endpoint.
//
//	database ──read──► queue ──pick──► try ──► record ──► database
//	   ▲                                          │
//	   └─────────── alarm ◄── due later ◄─────────┘
//
// Its goroutine, which reads, exists only while there is work; those that try
// and record exist no longer than it. The lock guards memory alone: nothing
// waits for I/O under it.
type lane struct {
	d     *Dispatcher
	id    string
	world messaging.World
	clock messaging.Clock
	bell  chan struct{} // holds a token when the lane's goroutine should look

	mu     sync.Mutex
	target *target // nil: the endpoint is gone
	queue  []Delivery
	known  map[string]struct{} // in the queue, being tried or being recorded: not to be read again

	trying    int
	recording int
	busy      map[string]int    // by instance: what is being tried or recorded
	blocked   map[string]string // Ordered, by instance: the delivery that waits for its next try, and that others wait for

	unread   bool // the database may hold due rows that are not in memory
	ahead    bool // when the next one is due later is not known
	reach    int  // Ordered: how many rows are read
	reading  bool
	late     []string  // to be forgotten once what is being read has been taken in
	turn     int       // counts forget: what was read before is void
	readable time.Time // by the machine's time: no read before
	due      alarm
	horizon  time.Time // the time that the clock skipped to: Now may show less

	health  health
	running bool
}

// alarm is one call that a clock has been asked for.
type alarm struct {
	at     time.Time
	forget func()
}

func newLane(d *Dispatcher, id string, w messaging.World, clock messaging.Clock) *lane {
	return &lane{
		d: d, id: id, world: w, clock: clock, bell: make(chan struct{}, 1), unread: true, ahead: true, reach: laneWindow,
		known: make(map[string]struct{}), busy: make(map[string]int), blocked: make(map[string]string),
	}
}

func (l *lane) current() *target {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.target
}

// follow takes the endpoint as the given read of all endpoints found it; nil
// when it is gone.
func (l *lane) follow(t *target, load int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.target
	l.target = t
	if t == nil {
		l.empty()
		l.disarmed()
		l.ring()
		return
	}
	l.health.follow(before, t, load)
	if before == nil || before.Ordered != t.Ordered || !before.Enabled && t.Enabled {
		l.forgotten()
	}
	l.start()
	l.pump()
}

// wake has the lane read what is due.
func (l *lane) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unread = true
	l.start()
}

// lookAhead has the lane read what is due, and when the rest will be.
func (l *lane) lookAhead() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unread, l.ahead = true, true
	l.start()
}

// resume tells the lane that its node may work again.
func (l *lane) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.start()
}

// forget drops what has not been begun: it may be another's.
func (l *lane) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgotten()
}

// forgotten does what forget says. l.mu is held.
func (l *lane) forgotten() {
	l.empty()
	clear(l.blocked)
	l.turn++
	l.reach = laneWindow
	l.unread, l.ahead = true, true
}

// empty leaves what is in the queue to the database. l.mu is held.
func (l *lane) empty() {
	for i := range l.queue {
		delete(l.known, l.queue[i].ID)
	}
	l.queue = nil
}

// waits reports whether there is work that may not be begun.
func (l *lane) waits() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unread && l.target != nil && l.target.Enabled
}

// start runs the lane's goroutine if there is work. l.mu is held.
func (l *lane) start() {
	if l.running {
		l.ring()
		return
	}
	if l.unread && l.active() {
		l.running = l.d.goRun(l)
	}
}

// ring has the lane's goroutine look at what has changed.
func (l *lane) ring() {
	select {
	case l.bell <- struct{}{}:
	default:
	}
}

// active reports whether deliveries may be tried. l.mu is held.
func (l *lane) active() bool {
	return l.target != nil && l.target.Enabled && !l.health.off && l.d.alive() && l.d.ctx.Err() == nil
}

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

// arm asks the clock for a due time, if it is earlier than what it was asked
// for. l.mu is held.
func (l *lane) arm(at time.Time) {
	if at.IsZero() || l.due.forget != nil && !at.Before(l.due.at) {
		return
	}
	if !at.After(l.now()) {
		l.unread = true
		return
	}
	l.disarmed()
	l.due = alarm{at: at, forget: l.clock.At(at, func() { l.cameDue(at) })}
}

// now is the time by which rows are due. l.mu is held.
func (l *lane) now() time.Time {
	now := l.clock.Now()
	if l.horizon.After(now) {
		return l.horizon
	}
	return now
}

func (l *lane) cameDue(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.due.at.Equal(at) {
		l.due = alarm{}
	}
	if at.After(l.horizon) {
		l.horizon = at
	}
	l.unread, l.ahead = true, true
	l.start()
}

// disarm has the clock forget the lane.
func (l *lane) disarm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.disarmed()
}

// disarmed does what disarm says. l.mu is held.
func (l *lane) disarmed() {
	if l.due.forget != nil {
		l.due.forget()
	}
	l.due = alarm{}
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
		if i = slices.IndexFunc(l.queue, l.isNext); i < 0 {
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

// isNext reports whether a delivery of an ordered endpoint may be tried: none
// of its instance is in hand, nor does one before it wait. l.mu is held.
func (l *lane) isNext(row Delivery) bool {
	blocker, blocked := l.blocked[row.InstanceID]
	return l.busy[row.InstanceID] == 0 && (!blocked || row.ID <= blocker)
}

// allLoads is later than every read of all endpoints.
const allLoads = math.MaxInt64
