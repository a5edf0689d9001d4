package main

import (
	"fmt"
	"time"

	"portaria/messaging"
)

// speedWindow is the time over which a bulk's speed is measured: as long as it
// takes to even out its steps. Less than shortestWindow says nothing.
const (
	speedWindow    = 20 * time.Second
	shortestWindow = time.Second
)

// speedometer measures how fast a bulk goes.
type speedometer struct {
	seen []sighting // oldest first
}

type sighting struct {
	at   time.Time
	gone int64
}

// saw notes how many rows are gone. Standing still on purpose is no speed: what
// was measured before it is forgotten.
func (s *speedometer) saw(now time.Time, gone int64, running bool) {
	if n := len(s.seen); !running || (n > 0 && gone < s.seen[n-1].gone) { // failed rows are tried again
		s.seen = s.seen[:0]
	}
	for len(s.seen) > 2 && now.Sub(s.seen[1].at) >= speedWindow {
		s.seen = s.seen[1:]
	}
	s.seen = append(s.seen, sighting{now, gone})
}

// perSecond returns the speed; zero when it is not known.
func (s *speedometer) perSecond() float64 {
	if len(s.seen) < 2 {
		return 0
	}
	first, last := s.seen[0], s.seen[len(s.seen)-1]
	took := last.at.Sub(first.at)
	if took < shortestWindow {
		return 0
	}
	return float64(last.gone-first.gone) / took.Seconds()
}

// words tells how fast the bulk goes, and how long it will take: the server's
// estimate, which knows of paces and quiet hours, and otherwise what the speed
// comes to.
func (s *speedometer) words(now time.Time, b *bulkView) string {
	switch b.State {
	case messaging.BulkScheduled:
		if b.SendAt.IsZero() {
			return ""
		}
		return "begins at " + instant(b.SendAt).String()
	case messaging.BulkRunning:
	case messaging.BulkPaused, messaging.BulkCompleted, messaging.BulkCanceled:
		return ""
	}
	speed := s.perSecond()
	left := b.Ends.Sub(now)
	if b.Ends.IsZero() && speed > 0 {
		left = time.Duration(float64(b.Counts.Queued) / speed * float64(time.Second))
	}
	switch {
	case speed > 0:
		return rateWords(speed) + ", " + leftWords(left)
	case !b.Ends.IsZero():
		return leftWords(left)
	default:
		return ""
	}
}

// rateWords tells a speed in the unit in which it is a number above one.
func rateWords(perSecond float64) string {
	switch {
	case perSecond >= 1:
		return fmt.Sprintf("%.0f/s", perSecond)
	case perSecond*60 >= 1:
		return fmt.Sprintf("%.0f/min", perSecond*60)
	default:
		return fmt.Sprintf("%.0f/h", perSecond*3600)
	}
}

// leftWords tells how long something will take, no finer than anybody knows.
func leftWords(left time.Duration) string {
	switch {
	case left < time.Second:
		return "moments left"
	case left < time.Hour:
		return "about " + left.Round(time.Second).String() + " left"
	case left < 48*time.Hour:
		return fmt.Sprintf("about %dh%dm left", int(left.Hours()), int(left.Minutes())%60)
	default:
		return fmt.Sprintf("about %dd%dh left", int(left.Hours())/24, int(left.Hours())%24)
	}
}
