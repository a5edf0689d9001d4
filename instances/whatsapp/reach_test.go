package whatsapp

import (
	"testing"
	"time"
)

// A lock keeps its time while it lasts: else a number that answers many people
// would move it on with every refusal, and who is held would wait for ever.
func TestALockOnReachingOutKeepsItsTime(t *testing.T) {
	now := time.Unix(1000, 0)
	r := reachOut{now: func() time.Time { return now }}
	first := r.lock(now.Add(time.Hour))
	now = now.Add(30 * time.Minute)
	if until := r.lock(now.Add(time.Hour)); !until.Equal(first) {
		t.Errorf("locked until %s, then until %s", first, until)
	}
	now = first
	if _, locked := r.lockedUntil(now); locked {
		t.Error("it does not end")
	}
	if until := r.lock(now.Add(time.Hour)); !until.Equal(now.Add(time.Hour)) {
		t.Errorf("locked anew until %s", until)
	}
}
