package webhooks

import "time"

// alarm is one call that a clock has been asked for.
type alarm struct {
	at     time.Time
	forget func()
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
