package whatsapp

import (
	"strings"
	"testing"
	"time"
)

// What whatsmeow says holds numbers of people and whole stanzas at times.
func TestLogsHoldNoWholePhoneNumber(t *testing.T) {
	if got := shorten("no LID found for 5511988880001@s.whatsapp.net, code 429"); strings.Contains(got, "5511988") || !strings.Contains(got, "code 429") {
		t.Error(got)
	}
	if got := shorten(strings.Repeat("x", 5000)); len(got) > maxLogBytes+8 {
		t.Errorf("%d bytes", len(got))
	}
}

// Delays grow to their cap, never past it, and are never the same for all.
func TestBackoffGrowsToItsCap(t *testing.T) {
	for failures := range 100 {
		d := backoff(failures, time.Second, time.Minute)
		if most := min(time.Second<<min(failures, 20), time.Minute); d < most/2 || d > most {
			t.Errorf("%d failures: %s", failures, d)
		}
	}
}

// The other form of a Brazilian number is that of a mobile, and nobody else's.
func TestTheNinthDigitIsBrazilian(t *testing.T) {
	for number, want := range map[string]string{
		"5511988880001": "551188880001", "551188880001": "5511988880001", "551133330001": "", "5511888800011": "",
		"15551234567": "", "351912345678": "", "55": "",
	} {
		if got := ninthDigit(number); got != want {
			t.Errorf("%s: %q, want %q", number, got, want)
		}
		if want != "" && ninthDigit(want) != number {
			t.Errorf("%s does not come back", number)
		}
	}
}
