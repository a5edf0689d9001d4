package webhooks

import (
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
	stuck     bool              // Ordered: all that is in the queue waits for others

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
	l.note()
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
	l.stuck = false
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
	return l.unread && l.target != nil && l.target.Enabled && !l.health.off && l.d.ctx.Err() == nil
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
