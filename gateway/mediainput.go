package gateway

import (
	"bytes"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
	"portaria/media"
	"portaria/messaging"
)

// mediaInput is a file in a message's body: exactly one of url, base64 and
// media_id, unless the file comes as a part of its own.
type mediaInput struct {
	fileInput

	MediaID string `json:"media_id,omitzero" description:"Of a file that was uploaded before, or received."`
	Caption string `json:"caption,omitzero" maxLength:"65536"`
	Voice   bool   `json:"voice,omitzero" description:"Of an audio: a voice note, in Ogg with Opus."`

	kind messaging.Kind
}

// fileInput is a file that is not stored yet.
type fileInput struct {
	URL      string      `json:"url,omitzero" format:"uri" description:"Fetched before the answer; only public addresses."`
	Base64   *base64Text `json:"base64,omitzero"`
	MIMEType string      `json:"mime_type,omitzero" description:"The file's type is found from its bytes; one that contradicts them is refused."`
	Filename string      `json:"filename,omitzero" maxLength:"255"`
}

// check notes what is wrong with how a file is given.
func (m *mediaInput) check(kind messaging.Kind, uploaded bool, fields *fault.Fields) {
	m.kind = kind
	at := string(kind)
	m.fileInput.check(at, m.MediaID != "", uploaded, fields)
	if m.MediaID != "" && !messaging.ValidID(messaging.MediaPrefix, m.MediaID) {
		fields.Add(at+".media_id", "format", "must be an id that begins with med_")
	}
	if m.Voice && kind != messaging.KindAudio {
		fields.Add(at+".voice", "requires", "is for audio")
	}
}

// check counts the sources of a file; at is where they stand, empty for the
// body itself.
func (f *fileInput) check(at string, stored, uploaded bool, fields *fault.Fields) {
	sources := 0
	for _, given := range []bool{f.URL != "", f.Base64 != nil, stored, uploaded} {
		if given {
			sources++
		}
	}
	switch {
	case sources == 0 && at == "":
		fields.Add("file", "required", "is required: as a part of a form, or as url or base64")
	case sources == 0:
		fields.Add(at, "required", "needs one of url, base64 and media_id")
	case sources > 1:
		fields.Add(at, "requires", "takes one of url, base64, media_id and a file")
	}
	if f.Base64 != nil && !f.Base64.sound {
		fields.Add(join(at, "base64"), "format", "is not base64")
	}
	if f.MIMEType != "" && !media.ValidType(f.MIMEType) {
		fields.Add(join(at, "mime_type"), "format", "is not a media type, as image/png")
	}
	if len(f.Filename) > 255 {
		fields.Add(join(at, "filename"), "max_bytes", "must not be longer than 255 bytes")
	}
}

// base64Text is a file as text: in either alphabet, with or without padding,
// line feeds and the beginning of a data URI. It is where the text stands in the
// body, not the text: a long one must not be held twice.
type base64Text struct {
	from, to int64
	sound    bool
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. What is no base64 is
// noted: it is a fault of the value, not of its type.
func (b *base64Text) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	if decoder.PeekKind() != '"' {
		return errNotText
	}
	raw, err := decoder.ReadValue()
	if err != nil {
		return err
	}
	b.to = decoder.InputOffset()
	b.from = b.to - int64(len(raw))
	_, err = io.Copy(io.Discard, fileOf(raw))
	b.sound = err == nil
	return nil
}

// file reads the file out of the body that the text stands in.
func (b *base64Text) file(body []byte) io.Reader { return fileOf(body[b.from:b.to]) }

// errNotText never reaches a caller: the walk puts it into words.
var errNotText = fault.ErrValidation.Saying("This must be a string.")

// JSONSchemaBytes describes the type in the OpenAPI document.
func (base64Text) JSONSchemaBytes() ([]byte, error) {
	return []byte(`{"type":"string","contentEncoding":"base64","description":"With either alphabet; a data URI is taken too."}`), nil
}

func (b *base64Text) form(jsontext.Kind) any { return nil }

func (b *base64Text) shape() string { return "must be a string" }

// weighsTooMuch reports whether a long body is long for another reason than the
// one that may be: a file in base64. Other values of that size would cost many
// times as much memory when they are decoded.
func weighsTooMuch(body []byte) bool {
	if len(body) <= jsonLimit {
		return false
	}
	// What comes first may be called base64 too, and be another member's value.
	for after, found := body, true; found; {
		_, after, found = bytes.Cut(after, []byte(`"base64"`))
		value, isMember := bytes.CutPrefix(bytes.TrimLeft(after, " \t\r\n"), []byte(":"))
		value, isText := bytes.CutPrefix(bytes.TrimLeft(value, " \t\r\n"), []byte(`"`))
		if !isMember || !isText {
			continue
		}
		if end := bytes.IndexByte(value, '"'); end < 0 || len(body)-end <= jsonLimit {
			return end < 0
		}
	}
	return true
}

// nameOr returns the first name that there is.
func nameOr(names ...string) string {
	for _, name := range names {
		if strings.TrimSpace(name) != "" {
			return name
		}
	}
	return ""
}
