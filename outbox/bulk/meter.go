package bulk

import "time"

// meter measures how fast a bulk's messages leave their lanes, by the clock of
// their world.
type meter struct {
	since, last time.Time
	n           int
}

const (
	meterSpan  = time.Minute      // what is older counts half
	meterBreak = 10 * time.Second // nothing in so long is no slow sending, but none
	meterLeast = 20               // messages that say anything about a rate
)

// add notes a message that left at t.
func (m *meter) add(t time.Time) {
	if m.n == 0 || t.Before(m.since) || t.Sub(m.last) > meterBreak {
		*m = meter{since: t, last: t}
	}
	m.n++
	if t.After(m.last) {
		m.last = t
	}
	if m.last.Sub(m.since) > meterSpan {
		m.since, m.n = m.since.Add(m.last.Sub(m.since)/2), m.n/2
	}
}

// gap returns the mean time between two messages; false while it is unknown.
func (m *meter) gap() (time.Duration, bool) {
	if m.n < meterLeast || !m.last.After(m.since) {
		return 0, false
	}
	return m.last.Sub(m.since) / time.Duration(m.n), true
}
