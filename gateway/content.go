package gateway

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
	"portaria/messaging"
)

// contentInput is the part of a message's body that says what it says: exactly
// one member named like its kind. A new kind is a member here, a case in read
// and a case in appendContent.
type contentInput struct {
	Type string     `json:"type,omitzero" enum:"text" description:"Needed only when it cannot be told from the content."`
	Text *textInput `json:"text,omitzero"`
}

// sendable lists the kinds that can be sent.
var sendable = []string{string(messaging.KindText)}

// unsendable lists the kinds that callers know from elsewhere. Their members
// are told apart from misspelt names.
var unsendable = []string{
	"image", "video", "audio", "document", "sticker", "location", "contacts", "poll", "reaction",
	"buttons", "list", "lists", "interactive", "template",
}

// refuseKind says why a kind cannot be sent; nil when it can.
func refuseKind(kind string) error {
	if kind == "" || slices.Contains(sendable, kind) {
		return nil
	}
	sentence := "This type of message cannot be sent; the types are: " + strings.Join(sendable, ", ") + "."
	if slices.Contains([]string{"buttons", "list", "lists", "interactive"}, kind) {
		sentence = "WhatsApp no longer shows buttons and lists to recipients, so they are not sent; use text."
	}
	return ErrUnsupportedMessage.Saying(sentence).With("supported", sendable)
}

// refuseUnknown implements unknownRefuser: content of a kind that cannot be
// sent is no misspelt name.
func (c *contentInput) refuseUnknown(member string) error {
	if slices.Contains(unsendable, member) {
		return refuseKind(member)
	}
	return nil
}

// read checks the content and returns it.
func (c *contentInput) read(fields *fault.Fields) (messaging.Content, error) {
	if err := refuseKind(c.Type); err != nil {
		return messaging.Content{}, err
	}
	if c.Text == nil {
		fields.Add("text", "required", "is required")
		return messaging.Content{}, nil
	}
	c.Text.check(fields)
	return messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{
		Body: c.Text.Body, PreviewURL: c.Text.PreviewURL,
	}}, nil
}

// textInput is text as a string, or as an object with options.
type textInput struct {
	textObject

	short bool // written as a string
}

// textObject is the long form of text.
type textObject struct {
	Body       string `json:"body"`
	PreviewURL bool   `json:"preview_url,omitzero"`
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (t *textInput) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	if decoder.PeekKind() == '"' {
		t.short = true
		return json.UnmarshalDecode(decoder, &t.Body)
	}
	return json.UnmarshalDecode(decoder, &t.textObject)
}

// JSONSchemaBytes describes the type in the OpenAPI document.
func (textInput) JSONSchemaBytes() ([]byte, error) {
	return []byte(`{"oneOf":[{"type":"string","minLength":1},{"type":"object","required":["body"],"additionalProperties":false,` +
		`"properties":{"body":{"type":"string","minLength":1},"preview_url":{"type":"boolean"}}}],` +
		`"description":"At most 65,536 bytes.","examples":["Olá",{"body":"Olá","preview_url":true}]}`), nil
}

func (t *textInput) form(kind jsontext.Kind) any {
	if kind == '{' {
		return &t.textObject
	}
	return nil
}

func (t *textInput) shape() string { return "must be a string, or an object with body" }

func (t *textInput) check(fields *fault.Fields) {
	field := "text.body"
	if t.short {
		field = "text"
	}
	switch {
	case strings.TrimSpace(t.Body) == "":
		fields.Add(field, "required", "must not be empty")
	case len(t.Body) > messaging.MaxTextBytes:
		fields.Add(field, "max_bytes", "must not be longer than 65536 bytes")
	}
}

// appendContent writes a content as the API shows it.
func appendContent(b []byte, c messaging.Content) []byte {
	switch c.Kind {
	case messaging.KindText:
		if c.Text == nil {
			return append(b, "null"...)
		}
		b = appendQuoted(append(b, `{"body":`...), c.Text.Body)
		b = append(b, `,"preview_url":`...)
		if c.Text.PreviewURL {
			return append(b, "true}"...)
		}
		return append(b, "false}"...)
	default:
		return append(b, "null"...)
	}
}
