package gateway

import (
	"maps"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
	"portaria/messaging"
)

// matchInput is what an event's data has to hold: of an object the members that
// are given, of anything else the same value.
type matchInput struct {
	members map[string]any
	tooLong bool
}

// maxMatch is how long a match may be, in bytes.
const maxMatch = 16 << 10

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (m *matchInput) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	switch decoder.PeekKind() { //nolint:exhaustive // nothing else is an object
	case 'n':
		return decoder.SkipValue()
	case '{':
	default:
		return errNotObject
	}
	raw, err := decoder.ReadValue()
	if err != nil {
		return err
	}
	if m.tooLong = len(raw) > maxMatch; m.tooLong {
		return nil
	}
	return json.Unmarshal(raw, &m.members)
}

// JSONSchemaBytes describes the type in the OpenAPI document.
func (matchInput) JSONSchemaBytes() ([]byte, error) {
	return []byte(`{"type":"object","description":"What the event's data has to hold, at most 16 KiB: of an object the members that are given, of anything else the same value.",` +
		`"examples":[{"message":{"to":{"wa_id":"5511912345678@s.whatsapp.net"}}}]}`), nil
}

func (m *matchInput) form(jsontext.Kind) any { return nil }

func (m *matchInput) shape() string { return "must be an object" }

// check refuses what no event of a type can hold: its data is one object, named
// by its noun.
func (m *matchInput) check(noun string, wrong *fault.Fields) {
	if m.tooLong {
		wrong.Add("match", "max_bytes", "must not be longer than 16 KiB")
	}
	for _, name := range slices.Sorted(maps.Keys(m.members)) {
		if name != noun {
			wrong.Add(join("match", name), "unknown", "is not in the data of this event, which holds "+noun)
		}
	}
}

// matcher returns what tells events apart by their data as the API shows it; nil
// when any will do.
func (m *matchInput) matcher(r Renderer) func(*messaging.Event) bool {
	if len(m.members) == 0 {
		return nil
	}
	want := m.members
	return func(e *messaging.Event) bool {
		shown, err := json.Marshal(r.viewEvent(*e).Data)
		if err != nil {
			return false
		}
		var got any
		return json.Unmarshal(shown, &got) == nil && holds(got, want)
	}
}

// holds reports whether a JSON value holds what is wanted of it.
func holds(got, want any) bool {
	wanted, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(got, want)
	}
	object, ok := got.(map[string]any)
	if !ok {
		return false
	}
	for name, value := range wanted {
		member, there := object[name]
		if !there || !holds(member, value) {
			return false
		}
	}
	return true
}
