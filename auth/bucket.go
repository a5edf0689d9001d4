package auth

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bucket is a token bucket: a sustained rate, and bursts up to its size. The
// keys of one lineage share theirs.
type Bucket struct {
	mu sync.Mutex
	// latest keeps the bucket's time from going back: callers read the clock
	// before they wait for the lock, and rate.Limiter would refill the span
	// between two that come in the wrong order a second time.
	latest  time.Duration
	limiter rate.Limiter
}

// processStart is what a bucket's time is measured from, so that it follows the
// monotonic clock: setting the machine's clock neither fills nor blocks buckets.
var processStart = time.Now()

// Level is what a bucket held after a Take.
type Level struct {
	Limit      int64         // sustained tokens a minute
	Remaining  int64         // whole tokens there now
	ResetIn    time.Duration // until the bucket is full
	RetryAfter time.Duration // after a refusal: until the same Take can succeed
}

// NewBucket returns a full bucket that refills perMinute tokens a minute and
// holds up to burst.
func NewBucket(perMinute, burst int64) *Bucket {
	b := &Bucket{latest: math.MinInt64}
	// A limiter last used at the zero time is full at its first use: centuries
	// have passed since. (Copying the one of rate.NewLimiter would copy its lock.)
	b.limiter.SetLimitAt(time.Time{}, rate.Limit(float64(perMinute)/60))
	b.limiter.SetBurstAt(time.Time{}, int(burst))
	return b
}

// Take takes n tokens if they are there, or none. A Take of zero only looks.
// When n is more than the bucket can ever hold, RetryAfter is ResetIn.
func (b *Bucket) Take(now time.Time, n int) (Level, bool) {
	n = max(n, 0)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.latest = max(b.latest, now.Sub(processStart))
	at := time.Unix(0, 0).Add(b.latest)
	ok := b.limiter.AllowN(at, n)
	tokens := b.limiter.TokensAt(at)
	perSecond, burst := float64(b.limiter.Limit()), b.limiter.Burst()
	level := Level{
		Limit:     perMinute(perSecond),
		Remaining: int64(max(tokens, 0)),
		ResetIn:   refill(float64(burst)-tokens, perSecond),
	}
	if !ok {
		level.RetryAfter = refill(float64(min(n, burst))-tokens, perSecond)
	}
	return level, ok
}

// Burst returns how many tokens the bucket can hold.
func (b *Bucket) Burst() int { return b.limiter.Burst() }

// limits reports whether the bucket was made with these numbers.
func (b *Bucket) limits(rate, burst int64) bool {
	return perMinute(float64(b.limiter.Limit())) == rate && int64(b.limiter.Burst()) == burst
}

func perMinute(perSecond float64) int64 { return int64(math.Round(perSecond * 60)) }

// refill returns how long it takes to gain tokens, rounded up so that a Take
// after it finds them.
func refill(tokens, perSecond float64) time.Duration {
	if tokens <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(tokens / perSecond * float64(time.Second)))
}
