package store

import (
	"testing"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"

	"portaria/messaging"
)

// However they come, callers without a key cause no more rows than the trickle
// allows, none is lost uncounted, and the log tells of them once a minute.
func TestStrangersWriteATrickleAndAreCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := strangers{limiter: rate.NewLimiter(strangersPerSecond, strangersBurst)}
		begin := time.Now()
		now, asked, written, told := begin, int64(0), int64(0), int64(0)
		var lastTold time.Time
		for range rapid.IntRange(1, 50).Draw(t, "bursts") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90_000).Draw(t, "ms")) * time.Millisecond)
			for range rapid.IntRange(0, 300).Draw(t, "requests") {
				asked++
				if s.admit(now) {
					written++
				}
			}
			if n := s.report(now); n > 0 {
				if !lastTold.IsZero() && now.Sub(lastTold) < time.Minute {
					t.Fatalf("told again after %s", now.Sub(lastTold))
				}
				told, lastTold = told+n, now
			}
		}
		if most := strangersBurst + now.Sub(begin).Seconds()*strangersPerSecond; float64(written) > most+0.001 {
			t.Errorf("%d rows in %s, at most %f are allowed", written, now.Sub(begin), most)
		}
		if now = now.Add(time.Minute); written+told+s.report(now) != asked {
			t.Errorf("%d written, %d told, of %d", written, told, asked)
		}
	})
}

func TestRowsThatWaitAreBounded(t *testing.T) {
	book := &LogBook{}
	for n := range maxLogChunks {
		book.Log(messaging.RequestLog{WorkspaceID: "w", Status: n})
		book.keep([][]messaging.RequestLog{make([]messaging.RequestLog, logChunk)})
	}
	if n := len(book.chunks); n > maxLogChunks {
		t.Errorf("%d chunks wait, want %d at most", n, maxLogChunks)
	}
	rows := book.dropped
	for _, chunk := range book.chunks {
		rows += int64(len(chunk))
	}
	if want := int64(maxLogChunks * (logChunk + 1)); rows != want {
		t.Errorf("%d rows wait or are counted as dropped, want %d", rows, want)
	}
}
