package messaging

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Durations come from bodies, queries and flags alike; what one door takes,
// all must take, and nothing else.
func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"250ms": 250 * time.Millisecond, "10s": 10 * time.Second, "15m": 15 * time.Minute,
		"24h": 24 * time.Hour, "90d": 90 * 24 * time.Hour, "0s": 0, "007s": 7 * time.Second,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "10", "s", "-1s", "+1s", "1.5h", "1h30m", "10 s", " 10s", "10s ", "10S", "1w", "1us",
		"106752d", "9223372036854775808ms", "99999999999999999999d", "١0s",
	} {
		if got, err := ParseDuration(text); !errors.Is(err, ErrDuration) {
			t.Errorf("ParseDuration(%q) = %v, %v; want ErrDuration", text, got, err)
		}
	}
}

func TestFormattedDurationReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := time.Duration(rapid.Int64Range(0, int64(10*365*24*time.Hour/time.Millisecond)).Draw(t, "ms")) * time.Millisecond
		got, err := ParseDuration(FormatDuration(want))
		if err != nil || got != want {
			t.Fatalf("%v became %q and was read back as %v, %v", want, FormatDuration(want), got, err)
		}
	})
}

func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"10s", "90d", "250ms", "1", "s", "9223372036854775807ms", "-1h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			return
		}
		if d < 0 {
			t.Fatalf("ParseDuration(%q) = %v, a negative duration", text, d)
		}
		if again, err := ParseDuration(FormatDuration(d)); err != nil || again != d {
			t.Fatalf("%q is %v, which reads back as %v, %v", text, d, again, err)
		}
	})
}
