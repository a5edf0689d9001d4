package pace

import "time"

// Rules are how fast a number may send. They make what is too much wait, and never
// refuse it. The zero value limits nothing.
type Rules struct {
	MinGap  time.Duration // between two messages, at least
	Jitter  time.Duration // drawn anew for each message and added to MinGap
	PerHour int           // in any 60 minutes; 0: any number
	PerDay  int           // in any 24 hours; 0: any number
	Quiet   *QuietHours   // nil: none
	WarmUp  bool          // a new number begins with less than PerDay
}

// Careful is the pace of a live instance whose owner has set nothing. Why
// it is what it is stands in docs/pace.md.
func Careful() Rules {
	return Rules{MinGap: time.Second, Jitter: time.Second, PerHour: 200, PerDay: 1000}
}

// Day is what PerDay is about. It is no calendar day: that would let twice as
// much pass around midnight.
const Day = 24 * time.Hour

// warmUp is what a number may send in any 24 hours on the first days after its
// first message. It grows by about a third a day.
var warmUp = [...]int{20, 30, 40, 55, 75, 100, 135, 180, 240, 320, 420, 540, 670, 820}

// daily returns the cap of a day for a number that first sent at began, as it
// is at t, and when it will be another; zero when it will not. A cap of 0 is
// none.
func (p *Rules) daily(began, t time.Time) (limit int, until time.Time) {
	if !p.WarmUp {
		return p.PerDay, time.Time{}
	}
	n := 0 // its first day begins with its first message
	if !began.IsZero() {
		n = max(0, int(t.Sub(began)/Day))
	}
	if n >= len(warmUp) {
		return p.PerDay, time.Time{}
	}
	limit = warmUp[n]
	if p.PerDay > 0 {
		limit = min(limit, p.PerDay)
	}
	if !began.IsZero() {
		until = began.Add(time.Duration(n+1) * Day)
	}
	return limit, until
}

// Turn returns when the next message may go, now at the earliest, and how many
// may go together if that is now.
func (p *Rules) Turn(l *Ledger, now time.Time) (at time.Time, room int) {
	at = now
	for {
		next := p.firstGap(l, at)
		next = l.free(next, time.Hour, p.PerHour)
		next = p.freeDay(l, next)
		next = p.Quiet.End(next)
		if next.Equal(at) {
			break
		}
		at = next // one limit has moved the time; the others may move it on
	}
	if at.After(now) {
		return at, 0
	}
	if p.MinGap > 0 || p.Jitter > 0 {
		return at, 1
	}
	daily, _ := p.daily(l.began, now)
	return at, min(l.room(now, time.Hour, p.PerHour), l.room(now, Day, daily))
}

// firstGap returns when the gap behind the last message ends, t at the
// earliest.
func (p *Rules) firstGap(l *Ledger, t time.Time) time.Time {
	if l.last.IsZero() {
		return t
	}
	return Later(t, l.last.Add(p.MinGap+time.Duration(l.luck*float64(p.Jitter))))
}

// freeDay returns when the cap of a day has room, t at the earliest.
func (p *Rules) freeDay(l *Ledger, t time.Time) time.Time {
	limit, until := p.daily(l.began, t)
	free := l.free(t, Day, limit)
	if !until.IsZero() && until.Before(free) {
		return until
	}
	return free
}

// Later returns the later of two times.
func Later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
