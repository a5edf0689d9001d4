package sandbox

import "time"

// timer is one call that a clock owes.
type timer struct {
	due      int64  // microseconds since 1970
	turn     uint64 // order of insertion, which decides among equal dues
	call     func()
	home     *timers
	slot     int // place in that heap; forgotten when out of it
	instance string
	unwanted bool   // it was forgotten while it was handed over
	moved    func() // forgets it where it was handed to; nil: it was not
}

func (t *timer) before(u *timer) bool {
	if t.due != u.due {
		return t.due < u.due
	}
	return t.turn < u.turn
}

const forgotten = -1

// timers is a heap of calls (container/heap), the earliest first.
type timers []*timer

// Len implements heap.Interface.
func (t timers) Len() int { return len(t) }

// Less implements heap.Interface.
func (t timers) Less(i, j int) bool { return t[i].before(t[j]) }

// Swap implements heap.Interface.
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].slot, t[j].slot = i, j
}

// Push implements heap.Interface.
func (t *timers) Push(x any) {
	added := x.(*timer)
	added.slot = len(*t)
	*t = append(*t, added)
}

// Pop implements heap.Interface. An emptied heap gives its memory back: a
// burst of a million receipts must not be paid for until the next one.
func (t *timers) Pop() any {
	last := len(*t) - 1
	removed := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	if last == 0 {
		*t = nil
	}
	removed.slot = forgotten
	return removed
}

// ceilMicros returns t in microseconds, rounded up: a call must never come
// before its time.
func ceilMicros(t time.Time) int64 {
	us := t.UnixMicro()
	if t.Nanosecond()%int(time.Microsecond) != 0 {
		us++
	}
	return us
}
