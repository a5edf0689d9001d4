package gateway

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// videoInput is the file of a video, or whether a call is one with pictures.
type videoInput struct {
	file         *mediaInput
	isFlag, flag bool
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (v *videoInput) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	switch decoder.PeekKind() { //nolint:exhaustive // the rest is for the file's own decoder
	case 'n':
		return decoder.SkipValue()
	case 't', 'f':
		v.isFlag = true
		return json.UnmarshalDecode(decoder, &v.flag)
	default:
		v.file = new(mediaInput)
		return json.UnmarshalDecode(decoder, v.file)
	}
}

// JSONSchemaAnyOf describes the type in the OpenAPI document.
func (videoInput) JSONSchemaAnyOf() []any { return []any{mediaInput{}, false} }

func (v *videoInput) form(kind jsontext.Kind) any {
	if kind != '{' {
		return nil
	}
	v.file = new(mediaInput)
	return v.file
}

func (v *videoInput) shape() string {
	return "must be an object with a file, or of a call true or false"
}

// groupInput is the group that a message is written in, or whether a call is one
// of a group.
type groupInput struct {
	id           string
	isFlag, flag bool
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (g *groupInput) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	switch decoder.PeekKind() { //nolint:exhaustive // anything else is no id
	case 'n':
		return decoder.SkipValue()
	case 't', 'f':
		g.isFlag = true
		return json.UnmarshalDecode(decoder, &g.flag)
	default:
		return json.UnmarshalDecode(decoder, &g.id)
	}
}

// JSONSchemaBytes describes the type in the OpenAPI document.
func (groupInput) JSONSchemaBytes() ([]byte, error) {
	return []byte(`{"type":["string","boolean"],"description":"The group that the message is written in, by its WhatsApp id; of a call, whether it is one of a group.",` +
		`"examples":["120363012345678901@g.us",true]}`), nil
}

func (g *groupInput) form(jsontext.Kind) any { return nil }

func (g *groupInput) shape() string {
	return "must be the WhatsApp id of a group, or of a call true or false"
}
