package whatsapp

import "time"

const (
	// steadyFactor is how many times the delay before it a connection must last to
	// count as one that holds.
	steadyFactor = 4
	// busyFailures is where the delay stops growing while connections carry
	// messages: whoever cuts them, something gets through.
	busyFailures = 2
)

// redial is the delay between connections that end. A login that succeeds does
// not begin it anew, because a server, or a phone, that ends every connection at
// once lets each of them succeed: one that lasts does.
type redial struct {
	least, most time.Duration
	failures    int
	last        time.Duration // the delay before the connection that has ended
}

// spell is what a connection was: how long it was up, and whether it carried
// messages. The zero value is one that was not made.
type spell struct {
	lasted  time.Duration
	carried bool
}

// after returns the delay after a connection.
func (r *redial) after(s spell) time.Duration {
	switch {
	case s.lasted > steadyFactor*r.last:
		r.failures = 0
	case s.carried:
		r.failures = min(r.failures, busyFailures)
	}
	r.last = backoff(r.failures, r.least, r.most)
	r.failures++
	return r.last
}

// reset begins anew.
func (r *redial) reset() { r.failures, r.last = 0, 0 }
