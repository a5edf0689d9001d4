package natssink

import (
	"math/rand/v2"
	"time"
)

// backoff is the wait between tries: it doubles from first to most, and varies,
// so that many processes do not come back at once.
type backoff struct {
	first, most time.Duration
	failures    int
}

func (s *Sink) backoff() backoff {
	return backoff{first: s.options.RetryFirst, most: s.options.RetryMost}
}

// next returns how long to wait after one more failure: between first and most.
func (b *backoff) next() time.Duration {
	wait := b.first
	for range b.failures {
		if wait *= 2; wait >= b.most {
			break
		}
	}
	b.failures++
	wait = min(wait, b.most)
	return max(min(b.first, b.most), wait/2+rand.N(wait/2+1))
}

func (b *backoff) reset() { b.failures = 0 }
