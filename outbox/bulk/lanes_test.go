package bulk_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/outbox/bulk"
	"portaria/outbox/pace"
)

// lanes are an outbox and a network that send what the test tells them to.
type lanes struct {
	memory *memory
	clock  *handClock

	mu     sync.Mutex
	lost   error           // what Amend answers though it was recorded; nil: the truth
	closed map[string]bool // instances that are not connected
	rules  map[string]*pace.Rules
	other  map[string]int // messages of others that wait, by instance
	queues map[string][]*entry
	most   map[string]int // the most that ever waited
	sent   []sending
}

// entry is a message in a lane.
type entry struct {
	message  *messaging.Message
	position int64
	due      time.Time
	inHand   bool
}

// sending is a message as the network got it.
type sending struct {
	message  *messaging.Message
	position int64
	at       time.Time
}

var (
	_ bulk.Outbox     = (*lanes)(nil)
	_ outbox.Channels = (*lanes)(nil)
)

func newLanes(m *memory, c *handClock) *lanes {
	return &lanes{
		memory: m, clock: c, closed: make(map[string]bool), rules: make(map[string]*pace.Rules), other: make(map[string]int),
		queues: make(map[string][]*entry), most: make(map[string]int),
	}
}

func (l *lanes) Channel(instance string) (messaging.Channel, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return nil, !l.closed[instance]
}

func (l *lanes) Take(m *messaging.Message, position int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := append(l.queues[m.InstanceID], &entry{message: m, position: position})
	l.queues[m.InstanceID] = q
	l.most[m.InstanceID] = max(l.most[m.InstanceID], len(q))
}

// forever is when a message is due that is held until further notice.
var forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

func (l *lanes) Amend(ctx context.Context, a outbox.Amendment, also ...messaging.Record) (amended []string, err error) {
	due := a.Due
	if a.Status == messaging.StatusHeld && due.IsZero() {
		due = forever
	}
	var records []messaging.Record
	l.mu.Lock()
	for _, m := range a.Messages {
		for _, e := range l.queues[m.Lane.InstanceID] {
			if e.inHand || !slices.Contains(m.IDs, e.message.ID) {
				continue
			}
			amended = append(amended, e.message.ID)
			records = append(records, messaging.StatusChange{
				WorkspaceID: e.message.WorkspaceID, Environment: e.message.Environment, MessageID: e.message.ID,
				Status: a.Status, At: l.clock.Now(), Due: due, Error: a.Error,
			})
		}
	}
	l.mu.Unlock()
	if records = append(records, also...); len(records) > 0 {
		if err := l.memory.Report(ctx, records...); err != nil {
			return nil, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for instance, q := range l.queues {
		l.queues[instance] = slices.DeleteFunc(q, func(e *entry) bool {
			hit := slices.Contains(amended, e.message.ID)
			if hit {
				e.due = due
			}
			return hit && a.Status == messaging.StatusCanceled
		})
	}
	return amended, l.lost
}

func (l *lanes) Standing(_ context.Context, i messaging.Instance) (s outbox.Standing, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Waiting = l.other[i.ID] + len(l.queues[i.ID])
	if r := l.rules[i.ID]; r != nil {
		s.Rules, s.Book = new(*r), pace.NewLedger(nil, time.Time{})
	}
	return s, nil
}

// outcome is what becomes of a message that was sent.
type outcome func(*messaging.Message) messaging.Status

func allSent(*messaging.Message) messaging.Status { return messaging.StatusSent }

// carry sends up to n messages that are due in an instance's lane, and returns how
// many there were.
func (l *lanes) carry(instance string, n int, becomes outcome) int {
	now := l.clock.Now()
	var records []messaging.Record
	l.mu.Lock()
	l.queues[instance] = slices.DeleteFunc(l.queues[instance], func(e *entry) bool {
		if len(records) == n || e.due.After(now) && (e.due.Equal(forever) || !l.clock.skipping()) {
			return false
		}
		l.sent = append(l.sent, sending{e.message, e.position, now})
		c := messaging.StatusChange{
			WorkspaceID: e.message.WorkspaceID, Environment: e.message.Environment, MessageID: e.message.ID,
			Status: becomes(e.message), At: now, Attempts: 1,
		}
		if c.Status == messaging.StatusHeld {
			c.Due = now.Add(time.Hour)
		}
		records = append(records, c)
		e.due = c.Due
		return c.Status != messaging.StatusHeld
	})
	l.mu.Unlock()
	if len(records) > 0 {
		if err := l.memory.Report(context.Background(), records...); err != nil {
			panic(err) // the tests that let it fail do not carry
		}
	}
	return len(records)
}

// grasp puts the first message of a lane into the channel's hands.
func (l *lanes) grasp(instance string) *messaging.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.queues[instance][0]
	e.inHand = true
	return e.message
}

// dropAll has channels give back all that they have in hand, as the end of a
// process does.
func (l *lanes) dropAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.queues {
		for _, e := range q {
			e.inHand = false
		}
	}
}

func (l *lanes) setLost(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = err
}

func (l *lanes) setClosed(instance string, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed[instance] = closed
}

// waiting returns how many messages a lane has, and how many of them are due.
func (l *lanes) waiting(instance string) (all, due int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.queues[instance] {
		if !e.due.After(l.clock.Now()) {
			due++
		}
	}
	return len(l.queues[instance]), due
}

func (l *lanes) list() []sending {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.sent)
}
