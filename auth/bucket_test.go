package auth

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// The promise that protects the gateway: in any span a bucket gives at most
// rate·t + burst, in whatever order callers' clocks arrive.
func TestBucketNeverExceedsItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perMinute := rapid.Int64Range(1, 1_000_000).Draw(t, "rate")
		burst := rapid.Int64Range(1, 10_000).Draw(t, "burst")
		bucket := NewBucket(perMinute, burst)
		start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		first, last, taken := time.Time{}, time.Time{}, int64(0)
		at := start
		for range rapid.IntRange(1, 60).Draw(t, "takes") {
			at = at.Add(time.Duration(rapid.Int64Range(-1e9, 20e9).Draw(t, "step")))
			n := rapid.IntRange(-1, int(burst)+1).Draw(t, "n")
			level, ok := bucket.Take(at, n)
			if last.Before(at) {
				last = at
			}
			if first.IsZero() {
				first = at
			}
			if ok {
				taken += int64(max(n, 0))
			}
			if level.Limit != perMinute || level.Remaining < 0 || level.Remaining > burst || level.ResetIn < 0 {
				t.Fatalf("level %+v", level)
			}
			bound := float64(perMinute)/60*last.Sub(first).Seconds() + float64(burst)
			if float64(taken) > bound+1e-3 {
				t.Fatalf("%d taken, at most %f allowed", taken, bound)
			}
		}
	})
}

// Retry-After is a promise too: who waits that long and is alone gets through,
// and who comes a moment before does not.
func TestRetryAfterIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bucket := NewBucket(rapid.Int64Range(1, 10_000_000).Draw(t, "rate"), rapid.Int64Range(1, 1_000_000).Draw(t, "burst"))
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		bucket.Take(now, bucket.Burst())
		n := rapid.IntRange(1, bucket.Burst()).Draw(t, "n")
		level, ok := bucket.Take(now, n)
		if ok || level.RetryAfter <= 0 || level.RetryAfter > level.ResetIn {
			t.Fatalf("an empty bucket gave %d: %+v", n, level)
		}
		if early := level.RetryAfter * 99 / 100; early > 0 {
			if _, ok := bucket.Take(now.Add(early), n); ok && level.RetryAfter > time.Microsecond {
				t.Fatalf("got %d after %v of %v", n, early, level.RetryAfter)
			}
		}
		if _, ok := bucket.Take(now.Add(level.RetryAfter), n); !ok {
			t.Fatalf("%d not there after %v", n, level.RetryAfter)
		}
	})
}

func TestLevelsTellTheWholeStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := NewBucket(60, 10) // one a second
		check := func(n int, ok bool, remaining int64, resetIn, retryAfter time.Duration) {
			t.Helper()
			level, got := bucket.Take(time.Now(), n)
			want := Level{Limit: 60, Remaining: remaining, ResetIn: resetIn, RetryAfter: retryAfter}
			if got != ok || level != want {
				t.Errorf("Take(%d) = %+v, %v; want %+v, %v", n, level, got, want, ok)
			}
		}
		check(0, true, 10, 0, 0)
		check(1, true, 9, time.Second, 0)
		check(9, true, 0, 10*time.Second, 0)
		check(1, false, 0, 10*time.Second, time.Second)
		time.Sleep(2500 * time.Millisecond)
		check(3, false, 2, 7500*time.Millisecond, 500*time.Millisecond)
		check(2, true, 0, 9500*time.Millisecond, 0)
		check(11, false, 0, 9500*time.Millisecond, 9500*time.Millisecond) // never: the bucket is smaller
		time.Sleep(time.Hour)
		check(0, true, 10, 0, 0)
	})
}

// Time that goes back, as it does between a caller's look at the clock and its
// turn at the lock, must not be refilled twice.
func TestTimeGoingBackRefillsNothing(t *testing.T) {
	bucket := NewBucket(60, 10)
	now := time.Now()
	bucket.Take(now, 10)
	for range 100 {
		bucket.Take(now.Add(-5*time.Second), 0)
		if level, _ := bucket.Take(now, 0); level.Remaining != 0 {
			t.Fatalf("%d tokens appeared", level.Remaining)
		}
	}
}

func TestConcurrentTakesShareOneBucket(t *testing.T) {
	bucket := NewBucket(1, 1000)
	now := time.Now()
	var got [8]int
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			for range 1000 {
				if _, ok := bucket.Take(now, 1); ok {
					got[i]++
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range got {
		sum += n
	}
	if sum != 1000 {
		t.Errorf("%d taken of 1000", sum)
	}
}
