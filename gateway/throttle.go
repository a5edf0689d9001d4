package gateway

import (
	"net/netip"
	"sync"
	"time"

	"portaria/auth"
)

// throttle has a token bucket for each of many strangers, by what they are
// known by.
type throttle struct {
	perMinute, burst int64

	mu      sync.Mutex
	buckets map[string]*auth.Bucket // guarded by mu
}

// maxThrottled bounds how many buckets are remembered. Whoever comes from so
// many addresses is not stopped by counting them.
const maxThrottled = 10_000

func newThrottle(perMinute, burst int64) *throttle {
	return &throttle{perMinute: perMinute, burst: burst, buckets: make(map[string]*auth.Bucket)}
}

// take takes n tokens from a key's bucket; with none it looks whether there is
// one left. Fault: auth.ErrRateLimited.
func (t *throttle) take(key string, now time.Time, n int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	bucket, known := t.buckets[key]
	if !known {
		if n == 0 {
			return nil
		}
		t.makeRoom(now)
		bucket = auth.NewBucket(t.perMinute, t.burst)
		t.buckets[key] = bucket
	}
	level, ok := bucket.Take(now, n)
	if ok && (n > 0 || level.Remaining > 0) {
		return nil
	}
	wait := level.RetryAfter
	if wait <= 0 {
		wait = time.Minute / time.Duration(t.perMinute)
	}
	return errSlowDown.After(wait)
}

// makeRoom forgets buckets that are full again, and all when that is not
// enough. t.mu is held.
func (t *throttle) makeRoom(now time.Time) {
	if len(t.buckets) < maxThrottled {
		return
	}
	for key, bucket := range t.buckets {
		if level, _ := bucket.Take(now, 0); level.ResetIn <= 0 {
			delete(t.buckets, key)
		}
	}
	if len(t.buckets) >= maxThrottled {
		clear(t.buckets)
	}
}

var errSlowDown = auth.ErrRateLimited.Saying("Too many tries; wait a moment.")

// stranger is what a caller without a key is known by: its address, or of IPv6
// the network that one household has.
func (x *exchange) stranger() string {
	caller := x.caller()
	addr, err := netip.ParseAddr(caller)
	if err != nil || addr.Is4() {
		return caller
	}
	const household = 64
	network, err := addr.Prefix(household)
	if err != nil {
		return caller
	}
	return network.String()
}
