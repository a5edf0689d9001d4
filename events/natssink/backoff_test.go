package natssink

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestBackoffStaysInItsBounds: a first wait of nothing would spin, and one that
// overflows would never end.
func TestBackoffStaysInItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := backoff{
			first: time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "first")),
			most:  time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "most")),
		}
		low := min(b.first, b.most)
		for i := range rapid.IntRange(1, 100).Draw(t, "failures") {
			if wait := b.next(); wait < low || wait > b.most {
				t.Fatalf("wait %d is %v, want %v to %v", i, wait, low, b.most)
			}
		}
		b.reset()
		if wait := b.next(); wait > max(low, b.first) {
			t.Fatalf("after a success the first wait is %v, want at most %v", wait, b.first)
		}
	})
}

// TestTokensAreSafeInSubjects: a dot or a wildcard would lead the event elsewhere.
func TestTokensAreSafeInSubjects(t *testing.T) {
	for in, want := range map[string]string{"": "_", "wsp_01J": "wsp_01J", "a.b": "a_b", "*": "_", ">": "_", "a b\r\n": "a_b__", "é-Z9": "_-Z9"} {
		if got := token(in); got != want {
			t.Errorf("token(%q) = %q, want %q", in, got, want)
		}
	}
}
