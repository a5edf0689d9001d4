package gateway

import (
	"strconv"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// bulkOptionsInput is how a bulk is to be sent.
type bulkOptionsInput struct {
	SendAt       string             `json:"send_at,omitzero" description:"When it begins: an RFC 3339 time, or one without a zone beside time_zone. At most a year ahead; a time that has passed means at once." example:"2026-11-27T09:00:00-03:00"`
	TimeZone     string             `json:"time_zone,omitzero" description:"A name of the IANA database, for send_at and quiet_hours." example:"America/Sao_Paulo"`
	Pace         *bulkPaceInput     `json:"pace,omitzero" description:"How fast it goes through each instance, beside the instance's own pace."`
	QuietHours   *bulkQuietInput    `json:"quiet_hours,omitzero"`
	Dedupe       *bool              `json:"dedupe,omitzero" default:"true" description:"Of a recipient that comes again only the first row is sent to."`
	DedupeWindow string             `json:"dedupe_window,omitzero" pattern:"^[0-9]+(ms|s|m|h|d)$" description:"Skip who has had another bulk of the same instances within it: 1s to 90d." example:"7d"`
	FrequencyCap *frequencyCapInput `json:"frequency_cap,omitzero"`
	Priority     string             `json:"priority,omitzero" enum:"high,normal,low" default:"low"`
	OnInvalid    string             `json:"on_invalid,omitzero" enum:"reject,skip" default:"reject" description:"What becomes of a bulk with rows that cannot be sent: it is refused as a whole, or goes without them."`
	ExpiresIn    string             `json:"expires_in,omitzero" pattern:"^[0-9]+(ms|s|m|h|d)$" description:"How long each message may wait for the network, from its turn on: 1s to 30d." example:"24h"`
}

// bulkPaceInput is a bulk's pace.
type bulkPaceInput struct {
	MinGapMS int64 `json:"min_gap_ms,omitzero" minimum:"0" maximum:"86400000"`
	JitterMS int64 `json:"jitter_ms,omitzero" minimum:"0" maximum:"86400000"`
	PerHour  int64 `json:"per_hour,omitzero" minimum:"0" maximum:"1000000" description:"0: any number."`
}

// bulkQuietInput is the time of day in which a bulk does not send. What begins
// later than it ends lasts through the night.
type bulkQuietInput struct {
	From     string `json:"from" required:"true" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" example:"21:00"`
	To       string `json:"to" required:"true" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" example:"08:00"`
	TimeZone string `json:"time_zone,omitzero" description:"A name of the IANA database; that of the bulk by default." example:"America/Sao_Paulo"`
}

// frequencyCapInput bounds the bulk messages that one recipient gets.
type frequencyCapInput struct {
	Max int    `json:"max" required:"true" minimum:"1" maximum:"1000" example:"2"`
	Per string `json:"per" required:"true" pattern:"^[0-9]+(ms|s|m|h|d)$" description:"1s to 90d." example:"7d"`
}

// The bounds of a bulk's options.
const (
	maxWindow       = 90 * 24 * time.Hour
	maxFrequencyCap = 1000
)

// read checks the options and returns them.
func (b *bulkOptionsInput) read(call *Call, fields *fault.Fields) messaging.BulkOptions {
	o := messaging.BulkOptions{
		Priority: messaging.Low, TimeZone: b.TimeZone, Dedupe: b.Dedupe == nil || *b.Dedupe,
		Pace: b.Pace.read(fields), FrequencyCap: b.FrequencyCap.read(fields),
		DedupeWindow: readSpan(fields, "dedupe_window", b.DedupeWindow, maxWindow),
		ExpiresIn:    readSpan(fields, "expires_in", b.ExpiresIn, maxExpiry),
	}
	switch b.Priority {
	case "high", "normal":
		o.Priority = priorityOf(b.Priority)
	case "", "low":
	default:
		fields.Add("priority", "enum", "must be high, normal or low")
	}
	switch b.OnInvalid {
	case "skip":
		o.SkipInvalid = true
	case "", "reject":
	default:
		fields.Add("on_invalid", "enum", "must be reject or skip")
	}
	if b.TimeZone != "" && !validZone(b.TimeZone) {
		fields.Add("time_zone", "format", "must be a time zone of the IANA database, as America/Sao_Paulo")
	}
	o.SendAt = b.readSendAt(call.Now(), fields)
	o.QuietHours = b.QuietHours.read(b.TimeZone, fields)
	return o
}

// readSendAt reads when a bulk begins: with the zone in the time, or beside it.
func (b *bulkOptionsInput) readSendAt(now time.Time, fields *fault.Fields) time.Time {
	if b.SendAt == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, b.SendAt)
	if err != nil && b.TimeZone != "" && validZone(b.TimeZone) {
		at, err = parseLocal(b.SendAt, b.TimeZone)
	}
	switch {
	case err != nil:
		fields.Add("send_at", "time", "must be an RFC 3339 time with a zone, as 2026-01-31T12:00:00Z, or without one beside time_zone")
	case at.After(now.Add(maxAhead)):
		fields.Add("send_at", "max", "must be at most a year ahead")
	default:
		return at
	}
	return time.Time{}
}

// parseLocal reads a time without a zone by the clocks of a place.
func parseLocal(text, zone string) (at time.Time, err error) {
	location, err := time.LoadLocation(zone)
	if err != nil {
		return at, err
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if at, err = time.ParseInLocation(layout, text, location); err == nil {
			return at, nil
		}
	}
	return at, err
}

// readSpan reads a duration of one second or more; zero when there is none.
func readSpan(fields *fault.Fields, field, text string, most time.Duration) time.Duration {
	if text == "" {
		return 0
	}
	d, err := messaging.ParseDuration(text)
	switch {
	case err != nil:
		fields.Add(field, "duration", "must be a whole number with a unit, as in 24h")
	case d < time.Second || d > most:
		fields.Add(field, "range", "must lie between 1s and "+messaging.FormatDuration(most))
	default:
		return d
	}
	return 0
}

func (p *bulkPaceInput) read(fields *fault.Fields) *messaging.BulkPace {
	if p == nil {
		return nil
	}
	for _, n := range []struct {
		name        string
		value, most int64
	}{{"min_gap_ms", p.MinGapMS, maxGapMS}, {"jitter_ms", p.JitterMS, maxGapMS}, {"per_hour", p.PerHour, maxPerHour}} {
		switch {
		case n.value < 0:
			fields.Add("pace."+n.name, "min", "must not be below 0")
		case n.value > n.most:
			fields.Add("pace."+n.name, "max", "must be at most "+strconv.FormatInt(n.most, 10))
		}
	}
	if *p == (bulkPaceInput{}) {
		return nil
	}
	return &messaging.BulkPace{
		MinGap: time.Duration(p.MinGapMS) * time.Millisecond, Jitter: time.Duration(p.JitterMS) * time.Millisecond, PerHour: int(p.PerHour),
	}
}

func (q *bulkQuietInput) read(zone string, fields *fault.Fields) *messaging.BulkQuiet {
	if q == nil {
		return nil
	}
	for _, clock := range []struct{ name, value string }{{"from", q.From}, {"to", q.To}} {
		switch {
		case clock.value == "":
			fields.Add("quiet_hours."+clock.name, "required", "is required")
		case !validClock(clock.value):
			fields.Add("quiet_hours."+clock.name, "format", "must be a time of day from 00:00 to 23:59")
		}
	}
	if q.From != "" && q.From == q.To {
		fields.Add("quiet_hours.to", "requires", "must be another time than from")
	}
	own := nameOr(q.TimeZone, zone)
	switch {
	case own == "":
		fields.Add("quiet_hours.time_zone", "required", "is required, here or as time_zone of the bulk")
	case own == q.TimeZone && !validZone(own): // that of the bulk has been checked
		fields.Add("quiet_hours.time_zone", "format", "must be a time zone of the IANA database, as America/Sao_Paulo")
	}
	return &messaging.BulkQuiet{From: q.From, To: q.To, TimeZone: own}
}

func (f *frequencyCapInput) read(fields *fault.Fields) *messaging.FrequencyCap {
	if f == nil {
		return nil
	}
	if f.Max < 1 || f.Max > maxFrequencyCap {
		fields.Add("frequency_cap.max", "range", "must lie between 1 and 1000")
	}
	if f.Per == "" {
		fields.Add("frequency_cap.per", "required", "is required")
	}
	return &messaging.FrequencyCap{Max: f.Max, Per: readSpan(fields, "frequency_cap.per", f.Per, maxWindow)}
}
