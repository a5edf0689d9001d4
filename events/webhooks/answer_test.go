package webhooks_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"portaria/events/webhooks"
)

// What is kept of an answer is stored and shown, so it must be text that both
// engines take.
func TestAnswersAreKeptAsValidText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte(strings.Repeat(rapid.String().Draw(t, "text"), rapid.IntRange(1, 400).Draw(t, "times")))
		raw = append(raw, rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")...)
		raw = raw[:min(len(raw), 4096)]
		got := webhooks.KeptOf(raw)
		if len(got) > webhooks.AnswerKept || !utf8.ValidString(got) || strings.Contains(got, "\x00") {
			t.Errorf("kept %d bytes of %q: %q", len(got), raw, got)
		}
	})
	for raw, want := range map[string]string{
		"":                               "",
		"thanks":                         "thanks",
		"a\x00b\xffc":                    "a\uFFFDb\uFFFDc",
		strings.Repeat("x", 1023) + "éy": strings.Repeat("x", 1023),
		strings.Repeat("x", 1022) + "éy": strings.Repeat("x", 1022) + "é",
	} {
		if got := webhooks.KeptOf([]byte(raw)); got != want {
			t.Errorf("%q is kept as %q", raw, got)
		}
	}
}

func TestRetryAfterIsReadAndBounded(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                     0,
		"0":                    0,
		"120":                  2 * time.Minute,
		"-5":                   0,
		"soon":                 0,
		"99999999":             24 * time.Hour,
		"99999999999999999999": 24 * time.Hour,
		now.Add(time.Hour).Format(http.TimeFormat):       time.Hour,
		now.Add(-time.Hour).Format(http.TimeFormat):      0,
		now.Add(100 * time.Hour).Format(http.TimeFormat): 24 * time.Hour,
	} {
		if got := webhooks.RetryAfter(text, now); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}
