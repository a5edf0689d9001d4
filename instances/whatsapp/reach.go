package whatsapp

import (
	"context"
	"sync"
	"time"

	"portaria/messaging"
)

// reachOut is what WhatsApp keeps a number from: writing to people who have
// never written to it (463), or writing at all for a moment (429).
type reachOut struct {
	now func() time.Time

	mu        sync.Mutex
	locked    time.Time
	throttled time.Time
	refused   map[string]int // by WhatsApp id, how often a message was refused because of that
}

// maxRefused bounds the messages whose refusals are counted.
const maxRefused = 512

// lock notes that strangers cannot be written to, and returns until when they
// are held. One that is locked already keeps its time, so that all who are held
// are tried together.
func (r *reachOut) lock(until time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.now().Before(r.locked) {
		r.locked = until
	}
	return r.locked
}

func (r *reachOut) lockedUntil(now time.Time) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.locked, now.Before(r.locked)
}

// throttle notes that a message was refused because the number sends too much.
// It returns how often that one was: the others wait behind it and are not tried,
// so attempts do not tell.
func (r *reachOut) throttle(waMessageID string, until time.Time) (times int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if until.After(r.throttled) {
		r.throttled = until
	}
	if r.refused == nil || len(r.refused) >= maxRefused {
		r.refused = make(map[string]int) // at worst a message is tried more often
	}
	r.refused[waMessageID]++
	return r.refused[waMessageID]
}

// settle forgets the refusals of a message that needs no further try.
func (r *reachOut) settle(waMessageID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.refused, waMessageID)
}

func (r *reachOut) throttledUntil(now time.Time) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.throttled, now.Before(r.throttled)
}

// holds keeps back a message to a stranger while reaching out is locked. Who
// has written to us is answered.
func (s *sending) holds(ctx context.Context, m *messaging.Outgoing, p *person) (messaging.Outcome, bool) {
	until, locked := s.reach.lockedUntil(s.now())
	if !locked || !p.isPerson() {
		return messaging.Outcome{}, false
	}
	for _, address := range []string{m.To.WAID, p.to.String(), p.lid.String()} {
		wrote, err := s.driver.o.Index.WroteToUs(ctx, m.WorkspaceID, m.Environment, m.InstanceID, address)
		if err != nil {
			return s.judge(ctx, m, err), true
		}
		if wrote {
			return messaging.Outcome{}, false
		}
	}
	return messaging.Outcome{Verdict: messaging.Held, Due: until, Error: errReachOut()}, true
}
