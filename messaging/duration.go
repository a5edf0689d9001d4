package messaging

import (
	"math"
	"strconv"
	"time"

	"portaria/internal/fault"
)

// ErrDuration is the fault of a text that is no duration.
var ErrDuration = fault.ErrValidation.Saying("A duration is a whole number and a unit: ms, s, m, h or d, as in 10s or 90d.")

// day is a duration of 24 hours; the API knows no calendars.
const day = 24 * time.Hour

// ParseDuration reads a duration as bodies, queries and flags write it: a
// whole number and one unit of ms, s, m, h and d, as in 10s or 90d. A bare
// number is refused, because nobody can tell what it counts. Its fault is
// ErrDuration.
func ParseDuration(s string) (time.Duration, error) {
	digits := 0
	for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
		digits++
	}
	unit := durationUnit(s[digits:])
	if digits == 0 || unit == 0 {
		return 0, ErrDuration
	}
	n, err := strconv.ParseInt(s[:digits], 10, 64)
	if err != nil || n > math.MaxInt64/int64(unit) {
		return 0, ErrDuration
	}
	return time.Duration(n) * unit, nil
}

// FormatDuration writes d so that ParseDuration reads it back: in the largest
// unit that leaves no rest. What is finer than a millisecond is cut off.
func FormatDuration(d time.Duration) string {
	if d <= 0 {
		return "0s"
	}
	for _, name := range []string{"d", "h", "m", "s"} {
		if unit := durationUnit(name); d%unit == 0 {
			return strconv.FormatInt(int64(d/unit), 10) + name
		}
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}

// durationUnit returns what one unit lasts; 0 when there is none of that name.
func durationUnit(name string) time.Duration {
	switch name {
	case "ms":
		return time.Millisecond
	case "s":
		return time.Second
	case "m":
		return time.Minute
	case "h":
		return time.Hour
	case "d":
		return day
	default:
		return 0
	}
}
