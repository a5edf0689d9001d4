package whatsapp

import (
	"sync/atomic"
	"time"
)

// pulse is how long a message takes, as a mean in which the last ones count
// most, and how many were carried.
type pulse struct{ nanoseconds, carried atomic.Int64 }

// pulseWeight is the share of the newest message: one in eight.
const pulseWeight = 8

func (p *pulse) note(d time.Duration) {
	p.carried.Add(1)
	old := p.nanoseconds.Load()
	if old == 0 {
		old = int64(d)
	}
	// Two senders at once would only lose one of two measures.
	p.nanoseconds.Store(max(1, old+(int64(d)-old)/pulseWeight))
}

func (p *pulse) mean() time.Duration { return time.Duration(p.nanoseconds.Load()) }

// count is how many messages were carried so far.
func (p *pulse) count() int64 { return p.carried.Load() }
