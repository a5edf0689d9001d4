package gateway

import (
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox/runs"
)

// stepList is the steps of a script. It stops reading where there are too many
// anyway.
type stepList []stepInput

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (l *stepList) UnmarshalJSONFrom(decoder *jsontext.Decoder) (err error) {
	*l, _, err = readList[stepInput](decoder, runs.MaxSteps+1)
	return err
}

// stepMember returns the name of what stands in a message of a step, as buttons
// of steps[2].send.buttons.
func stepMember(path string) (name string, ok bool) {
	_, inner, found := strings.Cut(path, "].")
	kind, name, _ := strings.Cut(inner, ".")
	return name, found && strings.HasPrefix(path, "steps[") && (kind == string(runs.Send) || kind == string(runs.Inbound))
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (s *stepInput) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	switch decoder.PeekKind() { //nolint:exhaustive // the rest is for the object's own decoder
	case 'n':
		return decoder.SkipValue() // a step that does nothing is told of as such
	case '"':
		s.isBare = true
		return json.UnmarshalDecode(decoder, &s.bare)
	default:
		return json.UnmarshalDecode(decoder, &s.stepObject)
	}
}

func (s *stepInput) form(kind jsontext.Kind) any {
	if kind == '{' {
		return &s.stepObject
	}
	return nil
}

func (s *stepInput) shape() string { return "must be an object with one step, or the name of one" }

// stepSchema describes stepInput in the OpenAPI document.
type stepSchema struct{}

// bareStep is the short form of a step.
type bareStep string

// Enum lists the steps that have one.
func (bareStep) Enum() []any {
	list := make([]any, len(bareKinds))
	for i, kind := range bareKinds {
		list[i] = string(kind)
	}
	return list
}

// JSONSchemaAnyOf describes the type in the OpenAPI document.
func (stepSchema) JSONSchemaAnyOf() []any { return []any{stepObject{}, bareStep("")} }

// arguments are what a step is told, if it is told anything: null says no more
// than the step's name.
type arguments[T any] struct {
	given bool
	in    T
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (a *arguments[T]) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	a.given = true
	if decoder.PeekKind() == 'n' {
		return decoder.SkipValue()
	}
	return json.UnmarshalDecode(decoder, &a.in)
}

func (a *arguments[T]) form(kind jsontext.Kind) any {
	a.given = true
	if kind == '{' {
		return &a.in
	}
	return nil
}

func (a *arguments[T]) shape() string { return "must be an object" }

// noArguments describes the arguments of a step that takes none.
type noArguments struct{}

// JSONSchemaBytes describes the type in the OpenAPI document.
func (noArguments) JSONSchemaBytes() ([]byte, error) {
	return []byte(`{"type":["object","null"],"additionalProperties":false}`), nil
}

// advanceInput is how far the clock moves: seconds as a number or as a member,
// or a duration.
type advanceInput struct {
	advanceClock

	text string // a duration

	by time.Duration
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (a *advanceInput) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	switch decoder.PeekKind() { //nolint:exhaustive // the rest is for the object's own decoder
	case '"':
		return json.UnmarshalDecode(decoder, &a.text)
	case '0':
		return json.UnmarshalDecode(decoder, &a.Seconds)
	default:
		return json.UnmarshalDecode(decoder, &a.advanceClock)
	}
}

// JSONSchemaBytes describes the type in the OpenAPI document.
func (advanceInput) JSONSchemaBytes() ([]byte, error) {
	most := strconv.Itoa(maxAdvanceSeconds)
	return []byte(`{"description":"Move the clock: seconds, or a duration as 60s; at most 366 days.","oneOf":[` +
		`{"type":"number","minimum":0,"maximum":` + most + `},{"type":"string","pattern":"^[0-9]+(ms|s|m|h|d)$"},` +
		`{"type":"object","required":["seconds"],"additionalProperties":false,"properties":{"seconds":{"type":"number","minimum":0,"maximum":` + most + `}}}],` +
		`"examples":[60,"60s",{"seconds":60}]}`), nil
}

func (a *advanceInput) form(kind jsontext.Kind) any {
	if kind == '{' {
		return &a.advanceClock
	}
	return nil
}

func (a *advanceInput) shape() string { return "must be seconds, or a duration as 60s" }

// check notes what is wrong with how far the clock moves.
func (a *advanceInput) check(wrong *fault.Fields) {
	if a.text == "" {
		if a.Seconds != nil {
			a.by = secondsOf(*a.Seconds)
		}
		_ = a.validate(nil, wrong) // it has no fault of its own
		return
	}
	d, err := messaging.ParseDuration(a.text)
	switch {
	case err != nil:
		wrong.Add("", "duration", "must be seconds, or a duration as 60s")
	case d > maxAhead:
		wrong.Add("", "max", "must be at most 366d")
	}
	a.by = d
}
