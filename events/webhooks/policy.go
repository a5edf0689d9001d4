package webhooks

import (
	"math/rand/v2"
	"time"

	"portaria/messaging"
)

// usualSchedule is the wait before each try of an endpoint that names none.
var usualSchedule = []time.Duration{
	0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute,
	2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// The bounds of a policy.
const (
	MaxAttempts = 50
	MaxWait     = 7 * 24 * time.Hour
)

// jitter is the share of a wait by which it varies, either way, so that what
// failed together is not tried together.
const jitter = 0.2

// maxRetryAfter bounds what an answer may ask for.
const maxRetryAfter = 24 * time.Hour

// Policy is how an endpoint's deliveries are tried: at most MaxAttempts times,
// with the waits of Schedule. The first wait counts from the event, each other
// one from the failure before it; the last one repeats.
type Policy struct {
	MaxAttempts int
	Schedule    []time.Duration // not empty, and no longer than MaxAttempts; not to be changed
}

// PolicyOf returns the policy that holds for an endpoint.
func PolicyOf(w *messaging.Webhook) Policy {
	p := Policy{MaxAttempts: w.MaxAttempts, Schedule: w.Schedule}
	if len(p.Schedule) == 0 {
		p.Schedule = usualSchedule
	}
	if p.MaxAttempts <= 0 {
		p.MaxAttempts = len(p.Schedule)
	}
	p.Schedule = p.Schedule[:min(len(p.Schedule), p.MaxAttempts)]
	return p
}

// FirstWait is how long after its event a delivery is due for the first time.
func (p Policy) FirstWait() time.Duration { return p.Schedule[0] }

// next returns the wait after the given number of failed tries; false when
// there is to be no other try.
func (p Policy) next(tries int) (wait time.Duration, again bool) {
	if tries >= p.MaxAttempts {
		return 0, false
	}
	wait = p.Schedule[min(tries, len(p.Schedule)-1)]
	return wait + time.Duration(jitter*(2*rand.Float64()-1)*float64(wait)), true
}
