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
	mu        sync.Mutex
	locked    time.Time
	throttled time.Time
}

// lock notes that strangers cannot be written to, and returns until when they
// are held. One that is locked already keeps its time, so that all who are held
// are tried together.
func (r *reachOut) lock(until time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.locked = until
	return until
}

func (r *reachOut) lockedUntil(now time.Time) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.locked, now.Before(r.locked)
}

func (r *reachOut) throttle(until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if until.After(r.throttled) {
		r.throttled = until
	}
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
