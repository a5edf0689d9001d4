package pace

import (
	"time"

	"github.com/go-json-experiment/json"

	"portaria/messaging"
)

// paceSettings are the members of an instance's settings that are about its
// pace, as the door lets them in. What is absent is as Careful says.
type paceSettings struct {
	Pace *struct {
		Enabled    *bool  `json:"enabled"`
		MinGapMS   *int64 `json:"min_gap_ms"`
		JitterMS   *int64 `json:"jitter_ms"`
		PerHour    *int   `json:"per_hour"`
		PerDay     *int   `json:"per_day"`
		WarmUp     *bool  `json:"warm_up"`
		QuietHours *struct {
			From     string `json:"from"`
			To       string `json:"to"`
			TimeZone string `json:"time_zone"`
		} `json:"quiet_hours"`
	} `json:"pace"`
}

// Of returns the pace that an instance's settings ask for; false when it
// has none: a live instance has one unless it is switched off, a test instance
// only when it is switched on. Settings that cannot be read are as good as
// none.
func Of(i *messaging.Instance) (p Rules, on bool) {
	p, on = Careful(), i.Environment == messaging.Live
	var s paceSettings
	if len(i.Settings) == 0 || json.Unmarshal(i.Settings, &s) != nil || s.Pace == nil {
		return p, on
	}
	if s.Pace.Enabled != nil {
		on = *s.Pace.Enabled
	}
	setDuration(&p.MinGap, s.Pace.MinGapMS)
	setDuration(&p.Jitter, s.Pace.JitterMS)
	set(&p.PerHour, s.Pace.PerHour)
	set(&p.PerDay, s.Pace.PerDay)
	set(&p.WarmUp, s.Pace.WarmUp)
	if q := s.Pace.QuietHours; q != nil {
		p.Quiet = ReadQuietHours(q.From, q.To, q.TimeZone)
	}
	return p, on
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func setDuration(to *time.Duration, ms *int64) {
	if ms != nil {
		*to = time.Duration(*ms) * time.Millisecond
	}
}

// ReadQuietHours returns nil for hours that no clock shows; the door has
// refused them.
func ReadQuietHours(from, to, zone string) *QuietHours {
	begin, err := time.Parse("15:04", from)
	if err != nil {
		return nil
	}
	end, err := time.Parse("15:04", to)
	if err != nil {
		return nil
	}
	place, err := time.LoadLocation(zone)
	if err != nil {
		return nil
	}
	return &QuietHours{From: begin.Hour()*60 + begin.Minute(), To: end.Hour()*60 + end.Minute(), Zone: place}
}
