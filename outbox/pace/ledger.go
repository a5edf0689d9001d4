package pace

import (
	"math/rand/v2"
	"time"
)

const (
	// exactSpent is how many sends a ledger keeps apart.
	exactSpent = 1024
	// coarseStep is the step of time in which it counts the older ones when
	// there are more: a cap is then free again up to a step later.
	coarseStep = 5 * time.Minute
)

// Ledger is what a number has sent within the last day, in order of time. It
// takes a bounded amount of memory, and errs to the careful side.
type Ledger struct {
	sends []Spent
	last  time.Time // of the last message, whatever became of it
	luck  float64   // which part of the jitter the next message waits
	began time.Time // of the number's first message; zero: none yet
}

// NewLedger opens a ledger on what was recorded.
func NewLedger(spent []Spent, began time.Time) *Ledger {
	l := &Ledger{sends: spent, began: began, luck: rand.Float64()}
	if len(spent) > 0 {
		l.last = spent[len(spent)-1].At
	}
	return l
}

// Add notes messages that were sent until now.
func (l *Ledger) Add(now time.Time, n int) {
	if l.began.IsZero() {
		l.began = now
	}
	l.Touch(now)
	if len(l.sends) >= exactSpent {
		l.coarsen()
	}
	l.sends = append(l.sends, Spent{now, n})
}

// Touch begins another gap.
func (l *Ledger) Touch(now time.Time) { l.last, l.luck = now, rand.Float64() }

// Settle forgets what is older than a day. What is later than now was noted
// before the clock was turned back: it counts as if it were of now, so that
// nobody waits for a time that a rehearsal has been to.
func (l *Ledger) Settle(now time.Time) {
	gone := 0
	for gone < len(l.sends) && !l.sends[gone].At.After(now.Add(-Day)) {
		gone++
	}
	l.sends = l.sends[gone:]
	for i := len(l.sends) - 1; i >= 0 && l.sends[i].At.After(now); i-- {
		l.sends[i].At = now
	}
	if l.last.After(now) {
		l.last = now
	}
	if l.began.After(now) {
		l.began = now
	}
}

// coarsen counts the sends of each step together, at the time of the last.
func (l *Ledger) coarsen() {
	kept := make([]Spent, 0, exactSpent)
	for _, s := range l.sends {
		if n := len(kept); n > 0 && kept[n-1].At.Truncate(coarseStep).Equal(s.At.Truncate(coarseStep)) {
			kept[n-1] = Spent{s.At, kept[n-1].Messages + s.Messages}
			continue
		}
		kept = append(kept, s)
	}
	l.sends = kept
}

// Used returns how many messages were sent within a span before t.
func (l *Ledger) Used(t time.Time, span time.Duration) (n int) {
	for i := len(l.sends) - 1; i >= 0 && l.sends[i].At.After(t.Add(-span)); i-- {
		n += l.sends[i].Messages
	}
	return n
}

// room returns how many more a cap allows at t.
func (l *Ledger) room(t time.Time, span time.Duration, limit int) int {
	if limit == 0 {
		return exactSpent // more than a lane takes at once
	}
	return max(0, limit-l.Used(t, span))
}

// free returns when a cap has room, t at the earliest.
func (l *Ledger) free(t time.Time, span time.Duration, limit int) time.Time {
	if limit == 0 {
		return t
	}
	used := 0
	for i := len(l.sends) - 1; i >= 0 && l.sends[i].At.After(t.Add(-span)); i-- {
		if used += l.sends[i].Messages; used >= limit {
			return l.sends[i].At.Add(span)
		}
	}
	return t
}

// Copy returns a ledger that can be read without a lock.
func (l *Ledger) Copy() *Ledger {
	c := *l
	c.sends = append([]Spent(nil), l.sends...)
	return &c
}

// Began returns when the number first sent; zero if it never did.
func (l *Ledger) Began() time.Time { return l.began }

// Spent is a number of messages that were sent at about one time. The time is
// never earlier than that of any of them.
type Spent struct {
	At       time.Time
	Messages int
}
