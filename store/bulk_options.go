package store

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"portaria/messaging"
)

// storedOptions are the options of a bulk as its row and its events hold them.
// Names stay. Spans of time are in microseconds.
type storedOptions struct {
	Priority     int8                 `json:"priority"`
	SendAt       int64                `json:"send_at,omitzero"`
	TimeZone     string               `json:"time_zone,omitzero"`
	Pace         *storedPace          `json:"pace,omitzero"`
	QuietHours   *messaging.BulkQuiet `json:"quiet_hours,omitzero"`
	Dedupe       bool                 `json:"dedupe"`
	DedupeWindow int64                `json:"dedupe_window_us,omitzero"`
	FrequencyCap *storedCap           `json:"frequency_cap,omitzero"`
	ExpiresIn    int64                `json:"expires_in_us,omitzero"`
	SkipInvalid  bool                 `json:"skip_invalid,omitzero"`
	Sandbox      *messaging.Override  `json:"sandbox,omitzero"`
}

type storedPace struct {
	MinGap  int64 `json:"min_gap_us,omitzero"`
	Jitter  int64 `json:"jitter_us,omitzero"`
	PerHour int   `json:"per_hour,omitzero"`
}

type storedCap struct {
	Max int   `json:"max"`
	Per int64 `json:"per_us"`
}

func encodeOptions(o *messaging.BulkOptions) (string, error) {
	s := storedOptions{
		Priority: int8(o.Priority), SendAt: micros(o.SendAt), TimeZone: o.TimeZone, QuietHours: o.QuietHours, Dedupe: o.Dedupe,
		DedupeWindow: o.DedupeWindow.Microseconds(), ExpiresIn: o.ExpiresIn.Microseconds(), SkipInvalid: o.SkipInvalid, Sandbox: o.Sandbox,
	}
	if p := o.Pace; p != nil {
		s.Pace = &storedPace{MinGap: p.MinGap.Microseconds(), Jitter: p.Jitter.Microseconds(), PerHour: p.PerHour}
	}
	if c := o.FrequencyCap; c != nil {
		s.FrequencyCap = &storedCap{Max: c.Max, Per: c.Per.Microseconds()}
	}
	text, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("options: %w", err)
	}
	return string(text), nil
}

func decodeOptions(text string) (o messaging.BulkOptions, err error) {
	var s storedOptions
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return o, fmt.Errorf("options: %w", err)
	}
	o = messaging.BulkOptions{
		Priority: messaging.Priority(s.Priority), SendAt: fromMicros(s.SendAt), TimeZone: s.TimeZone, QuietHours: s.QuietHours,
		Dedupe: s.Dedupe, DedupeWindow: span(s.DedupeWindow), ExpiresIn: span(s.ExpiresIn), SkipInvalid: s.SkipInvalid, Sandbox: s.Sandbox,
	}
	if p := s.Pace; p != nil {
		o.Pace = &messaging.BulkPace{MinGap: span(p.MinGap), Jitter: span(p.Jitter), PerHour: p.PerHour}
	}
	if c := s.FrequencyCap; c != nil {
		o.FrequencyCap = &messaging.FrequencyCap{Max: c.Max, Per: span(c.Per)}
	}
	return o, nil
}

func span(us int64) time.Duration { return time.Duration(us) * time.Microsecond }
