package pace

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A ledger keeps less than all that was sent. It may only err to the careful
// side, and not by much.
func TestALedgerNeverCountsTooLittle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		l := NewLedger(nil, time.Time{})
		var all []Spent
		for range rapid.IntRange(1, 40).Draw(rt, "rushes") {
			step := time.Duration(rapid.Int64Range(0, int64(20*time.Minute)).Draw(rt, "step"))
			for range rapid.IntRange(1, 200).Draw(rt, "sends") {
				now = now.Add(step / 100)
				n := rapid.IntRange(1, 3).Draw(rt, "messages")
				l.Settle(now)
				l.Add(now, n)
				all = append(all, Spent{now, n})
			}
		}
		if len(l.sends) > exactSpent {
			rt.Fatalf("the ledger has %d entries", len(l.sends))
		}
		exact := Ledger{sends: all}
		for _, span := range []time.Duration{time.Hour, Day} {
			got, least, most := l.Used(now, span), exact.Used(now, span), exact.Used(now, span+coarseStep)
			if got < least || got > most {
				rt.Errorf("used in %s = %d, want %d to %d", span, got, least, most)
			}
		}
	})
}

func TestACapIsFreeAsSoonAsItsOldestSendIsOldEnough(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := NewLedger(nil, time.Time{})
	for n := range 5 {
		l.Add(began.Add(time.Duration(n)*time.Minute), 1)
	}
	now := began.Add(10 * time.Minute)
	for limit, want := range map[int]time.Time{
		0: now, 6: now,
		5: began.Add(time.Hour), 4: began.Add(61 * time.Minute), 1: began.Add(64 * time.Minute),
	} {
		if got := l.free(now, time.Hour, limit); !got.Equal(want) {
			t.Errorf("a cap of %d is free at %s, want %s", limit, got, want)
		}
	}
}

// A rehearsal may turn its clock back. What was sent "in the future" must not
// hold it until then.
func TestWhatWasSentBeforeTheClockWasTurnedBackCountsAsOfNow(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := NewLedger(nil, time.Time{})
	l.Add(now.Add(30*Day), 3)
	l.Settle(now)
	if at, _ := (&Rules{MinGap: time.Second, PerHour: 3}).Turn(l, now); !at.Equal(now.Add(time.Hour)) {
		t.Errorf("the next message may go at %s, want an hour after %s", at, now)
	}
}
