package outbox

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

// ledger is what a number has sent within the last day, in order of time. It
// takes a bounded amount of memory, and errs to the careful side.
type ledger struct {
	sends []Spent
	last  time.Time // of the last message, whatever became of it
	luck  float64   // which part of the jitter the next message waits
	began time.Time // of the number's first message; zero: none yet
}

// newLedger opens a ledger on what was recorded.
func newLedger(spent []Spent, began time.Time) *ledger {
	l := &ledger{sends: spent, began: began, luck: rand.Float64()}
	if len(spent) > 0 {
		l.last = spent[len(spent)-1].At
	}
	return l
}

// add notes messages that were sent until now.
func (l *ledger) add(now time.Time, n int) {
	if l.began.IsZero() {
		l.began = now
	}
	l.touch(now)
	if len(l.sends) >= exactSpent {
		l.coarsen()
	}
	l.sends = append(l.sends, Spent{now, n})
}

// touch begins another gap.
func (l *ledger) touch(now time.Time) { l.last, l.luck = now, rand.Float64() }

// settle forgets what is older than a day. What is later than now was noted
// before the clock was turned back: it counts as if it were of now, so that
// nobody waits for a time that a rehearsal has been to.
func (l *ledger) settle(now time.Time) {
	gone := 0
	for gone < len(l.sends) && !l.sends[gone].At.After(now.Add(-day)) {
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
func (l *ledger) coarsen() {
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

// used returns how many messages were sent within a span before t.
func (l *ledger) used(t time.Time, span time.Duration) (n int) {
	for i := len(l.sends) - 1; i >= 0 && l.sends[i].At.After(t.Add(-span)); i-- {
		n += l.sends[i].Messages
	}
	return n
}

// room returns how many more a cap allows at t.
func (l *ledger) room(t time.Time, span time.Duration, limit int) int {
	if limit == 0 {
		return exactSpent // more than a lane takes at once
	}
	return max(0, limit-l.used(t, span))
}

// free returns when a cap has room, t at the earliest.
func (l *ledger) free(t time.Time, span time.Duration, limit int) time.Time {
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

// copied returns a ledger that can be read without a lock.
func (l *ledger) copied() *ledger {
	c := *l
	c.sends = append([]Spent(nil), l.sends...)
	return &c
}
