package gateway

import (
	"slices"

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
