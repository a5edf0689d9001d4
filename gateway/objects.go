package gateway

import (
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
)

const (
	// maxMetadataBytes is the largest metadata of a message or an instance.
	maxMetadataBytes = 4 << 10
	// maxMetadataDepth bounds its nesting: others must be able to read it.
	maxMetadataDepth = 16
)

// metadata is a JSON object of the caller's own, kept as it was written but
// for white space.
type metadata struct{ raw jsontext.Value }

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (m *metadata) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	raw, err := readObject(decoder)
	m.raw = raw
	return err
}

// JSONSchemaBytes describes the type in the OpenAPI document.
func (metadata) JSONSchemaBytes() ([]byte, error) {
	return []byte(`{"type":"object","description":"At most 4 KiB.","additionalProperties":true}`), nil
}

func (m *metadata) form(jsontext.Kind) any { return nil }

func (m *metadata) shape() string { return "must be an object" }

// bytes returns the object; nil when there is none.
func (m *metadata) bytes() []byte {
	if m == nil {
		return nil
	}
	return m.raw
}

func (m *metadata) check(fields *fault.Fields) {
	switch {
	case m == nil:
	case len(m.raw) > maxMetadataBytes:
		fields.Add("metadata", "max_bytes", "must not be longer than 4096 bytes")
	case depthOf(m.raw) > maxMetadataDepth:
		fields.Add("metadata", "max", "must not nest deeper than 16 levels")
	}
}

// settings are an instance's settings: strictly typed when they come in, and
// kept as they were written, so that a patch can merge them member by member.
type settings struct {
	raw   jsontext.Value
	typed settingsObject
}

// settingsObject is what can be set. A null removes a member (RFC 7396).
type settingsObject struct {
	Pace         *paceObject `json:"pace,omitzero"`
	RejectCalls  *bool       `json:"reject_calls,omitzero"`
	MarkRead     *bool       `json:"mark_read,omitzero"`
	AlwaysOnline *bool       `json:"always_online,omitzero"`
}

// paceObject is how fast an instance sends.
type paceObject struct {
	Enabled    *bool             `json:"enabled,omitzero"`
	MinGapMS   *int64            `json:"min_gap_ms,omitzero" minimum:"0"`
	JitterMS   *int64            `json:"jitter_ms,omitzero" minimum:"0"`
	PerHour    *int64            `json:"per_hour,omitzero" minimum:"0"`
	PerDay     *int64            `json:"per_day,omitzero" minimum:"0"`
	QuietHours *quietHoursObject `json:"quiet_hours,omitzero"`
	WarmUp     *bool             `json:"warm_up,omitzero"`
}

// quietHoursObject is the time of day in which an instance does not send.
type quietHoursObject struct {
	From     string `json:"from" required:"true"`
	To       string `json:"to" required:"true"`
	TimeZone string `json:"time_zone" required:"true"`
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

// check refuses numbers below zero.
func (s *settings) check(fields *fault.Fields) {
	if s == nil || s.typed.Pace == nil {
		return
	}
	pace := s.typed.Pace
	for _, n := range []struct {
		name  string
		value *int64
	}{{"min_gap_ms", pace.MinGapMS}, {"jitter_ms", pace.JitterMS}, {"per_hour", pace.PerHour}, {"per_day", pace.PerDay}} {
		if n.value != nil && *n.value < 0 {
			fields.Add("settings.pace."+n.name, "min", "must not be below 0")
		}
	}
}

// readObject reads a JSON object and copies it without white space.
func readObject(decoder *jsontext.Decoder) (jsontext.Value, error) {
	if decoder.PeekKind() != '{' {
		return nil, errNotObject
	}
	raw, err := decoder.ReadValue()
	if err != nil {
		return nil, err
	}
	raw = slices.Clone(raw)
	return raw, raw.Compact()
}

// errNotObject never reaches a caller: the walk puts it into words.
var errNotObject = fault.ErrValidation.Saying("This must be an object.")

// depthOf returns how deep valid JSON nests.
func depthOf(raw []byte) (deepest int) {
	depth, quoted := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}
