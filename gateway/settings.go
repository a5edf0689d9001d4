package gateway

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/instances/proxy"
	"portaria/internal/fault"
)

// settings are an instance's settings: strictly typed when they come in, and
// kept as they were written, so that a patch can merge them member by member.
type settings struct {
	raw   jsontext.Value
	typed settingsObject
}

// settingsObject is what can be set. A null removes a member (RFC 7396).
type settingsObject struct {
	Pace           *paceObject `json:"pace,omitzero"`
	RejectCalls    *bool       `json:"reject_calls,omitzero"`
	MarkRead       *bool       `json:"mark_read,omitzero"`
	AlwaysOnline   *bool       `json:"always_online,omitzero"`
	OptOutKeywords *[]string   `json:"opt_out_keywords,omitzero" maxItems:"20" description:"A contact who writes one of them, and nothing else, gets no more bulks of the instance; capital letters are as good as small ones. SAIR, PARAR and STOP unless you say otherwise; an empty list: none." example:"[\"SAIR\",\"STOP\"]"`
	ProxyURL       *string     `json:"proxy_url,omitzero" maxLength:"1024" description:"Proxy of a live instance: http, https or socks5, with a user and a password if it asks for them, at a public address. Stored encrypted; answered with *** for its password, which as an input stands for the one that is stored." example:"http://user:secret@proxy.example.com:3128"`
}

// paceObject is how fast an instance sends.
type paceObject struct {
	Enabled    *bool             `json:"enabled,omitzero"`
	MinGapMS   *int64            `json:"min_gap_ms,omitzero" minimum:"0" maximum:"86400000"`
	JitterMS   *int64            `json:"jitter_ms,omitzero" minimum:"0" maximum:"86400000"`
	PerHour    *int64            `json:"per_hour,omitzero" minimum:"0" maximum:"1000000"`
	PerDay     *int64            `json:"per_day,omitzero" minimum:"0" maximum:"10000000"`
	QuietHours *quietHoursObject `json:"quiet_hours,omitzero"`
	WarmUp     *bool             `json:"warm_up,omitzero"`
}

// quietHoursObject is the time of day in which an instance does not send. What
// begins later than it ends lasts through the night.
type quietHoursObject struct {
	From     string `json:"from" required:"true" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" example:"22:00"`
	To       string `json:"to" required:"true" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" example:"08:00"`
	TimeZone string `json:"time_zone" required:"true" description:"A name of the IANA database." example:"America/Sao_Paulo"`
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (s *settings) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	raw, err := readObject(decoder)
	if err != nil {
		return err
	}
	s.raw = raw
	return json.Unmarshal(raw, &s.typed, strict)
}

func (s *settings) form(kind jsontext.Kind) any {
	if kind == '{' {
		return &s.typed
	}
	return nil
}

func (s *settings) shape() string { return "must be an object" }

// bytes returns the object; nil when there is none.
func (s *settings) bytes() []byte {
	if s == nil {
		return nil
	}
	return s.raw
}

// check refuses values that no instance can have.
func (s *settings) check(fields *fault.Fields) {
	s.checkProxy(fields)
	s.checkKeywords(fields)
	if s == nil || s.typed.Pace == nil {
		return
	}
	s.typed.Pace.checkNumbers(fields)
	if quiet := s.typed.Pace.QuietHours; quiet != nil {
		quiet.check(fields)
	}
}

// checkOver checks a patch of settings. Of the quiet hours it may change one
// end and keep the other, so they are checked as they will be: merged into
// those that are stored.
func (s *settings) checkOver(stored []byte, fields *fault.Fields) {
	s.checkProxy(fields)
	s.checkKeywords(fields)
	if s == nil || s.typed.Pace == nil {
		return
	}
	s.typed.Pace.checkNumbers(fields)
	if s.typed.Pace.QuietHours == nil || s.raw == nil { // without raw, the body is refused already
		return
	}
	var merged settingsObject
	for _, layer := range []jsontext.Value{stored, s.raw} {
		// The patch has been decoded once; stored settings that cannot be
		// decoded are as good as none.
		_ = json.Unmarshal(layer, &merged)
	}
	merged.Pace.QuietHours.check(fields)
}

// checkProxy checks the form of a proxy's URL. Where it leads, and what is
// hidden of it, the room of instances judges.
func (s *settings) checkProxy(fields *fault.Fields) {
	if s != nil && s.typed.ProxyURL != nil {
		proxy.Check(fields, *s.typed.ProxyURL)
	}
}

// The bounds of the words with which contacts opt out, in characters.
const (
	maxKeywords      = 20
	maxKeywordLength = 40
)

// checkKeywords checks the words with which contacts opt out.
func (s *settings) checkKeywords(fields *fault.Fields) {
	if s == nil || s.typed.OptOutKeywords == nil {
		return
	}
	words := *s.typed.OptOutKeywords
	if len(words) > maxKeywords {
		fields.Add("settings.opt_out_keywords", "length", "must not have more than 20 words")
		return
	}
	for i, word := range words {
		if length := utf8.RuneCountInString(strings.TrimSpace(word)); length == 0 || length > maxKeywordLength {
			fields.Add("settings.opt_out_keywords["+strconv.Itoa(i)+"]", "length", "must have 1 to 40 characters")
		}
	}
}

// The largest numbers of a pace.
const (
	maxGapMS   = 24 * 60 * 60 * 1000
	maxPerHour = 1_000_000
	maxPerDay  = 10_000_000
)

func (p *paceObject) checkNumbers(fields *fault.Fields) {
	for _, n := range []struct {
		name  string
		value *int64
		most  int64
	}{
		{"min_gap_ms", p.MinGapMS, maxGapMS},
		{"jitter_ms", p.JitterMS, maxGapMS},
		{"per_hour", p.PerHour, maxPerHour},
		{"per_day", p.PerDay, maxPerDay},
	} {
		switch {
		case n.value == nil:
		case *n.value < 0:
			fields.Add("settings.pace."+n.name, "min", "must not be below 0")
		case *n.value > n.most:
			fields.Add("settings.pace."+n.name, "max", "must be at most "+strconv.FormatInt(n.most, 10))
		}
	}
}

func (q *quietHoursObject) check(fields *fault.Fields) {
	const at = "settings.pace.quiet_hours."
	for _, clock := range []struct{ name, value string }{{"from", q.From}, {"to", q.To}} {
		switch {
		case clock.value == "":
			fields.Add(at+clock.name, "required", "is required")
		case !validClock(clock.value):
			fields.Add(at+clock.name, "format", "must be a time of day from 00:00 to 23:59")
		}
	}
	switch {
	case q.TimeZone == "":
		fields.Add(at+"time_zone", "required", "is required")
	case !validZone(q.TimeZone):
		fields.Add(at+"time_zone", "format", "must be a time zone of the IANA database, as America/Sao_Paulo")
	}
}

// validClock reports whether a text is a time of day with two digits each.
func validClock(s string) bool {
	_, err := time.Parse("15:04", s)
	return err == nil && len(s) == len("15:04")
}

// validZone reports whether a text names a time zone. Local is no name: it is
// another zone on every machine.
func validZone(name string) bool {
	if name == "Local" {
		return false
	}
	_, err := time.LoadLocation(name)
	return err == nil
}
