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
// one member named like its kind, and options. A new kind is a member here, a
// case in read, and how it is shown in contentview.go.
type contentInput struct {
	Type     string                   `json:"type,omitzero" enum:"text,image,video,audio,document,sticker,location,contacts,poll,reaction" description:"Needed only when it cannot be told from the content."`
	Text     *textInput               `json:"text,omitzero"`
	Image    *mediaInput              `json:"image,omitzero" description:"JPEG, PNG or WebP of at most 16 MiB."`
	Video    *mediaInput              `json:"video,omitzero" description:"MP4 or 3GPP of at most 100 MiB."`
	Audio    *mediaInput              `json:"audio,omitzero" description:"Ogg, MP3, MP4, AAC or AMR of at most 16 MiB; with voice, a voice note."`
	Document *mediaInput              `json:"document,omitzero" description:"A file of any type of at most 100 MiB."`
	Sticker  *mediaInput              `json:"sticker,omitzero" description:"WebP of at most 1 MiB."`
	Location *locationInput           `json:"location,omitzero"`
	Contacts *shortList[contactInput] `json:"contacts,omitzero" minItems:"1" maxItems:"20" description:"Cards of people."`
	Poll     *pollInput               `json:"poll,omitzero"`
	Reaction *reactionInput           `json:"reaction,omitzero"`

	Caption  string      `json:"caption,omitzero" maxLength:"65536" description:"Of an image, a video or a document."`
	ReplyTo  string      `json:"reply_to,omitzero" description:"The message that this one answers: its id, or its WhatsApp id."`
	Mentions mentionList `json:"mentions,omitzero" description:"Who is mentioned: numbers in international form, or WhatsApp ids."`
	ViewOnce bool        `json:"view_once,omitzero" description:"Of an image, a video or a voice note: it can be opened once."`
}

// sendable lists the kinds that can be sent.
var sendable = []string{
	string(messaging.KindText), string(messaging.KindImage), string(messaging.KindVideo), string(messaging.KindAudio),
	string(messaging.KindDocument), string(messaging.KindSticker), string(messaging.KindLocation), string(messaging.KindContacts),
	string(messaging.KindPoll), string(messaging.KindReaction),
}

// unsendable lists the kinds that callers know from elsewhere. Their members
// are told apart from misspelt names.
var unsendable = []string{"buttons", "list", "lists", "interactive", "template"}

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

// plain reports whether the content is text without anything else, as nearly
// every message is.
func (c *contentInput) plain() bool {
	return c.Text != nil && c.Image == nil && c.Video == nil && c.Audio == nil && c.Document == nil && c.Sticker == nil &&
		c.Location == nil && c.Contacts == nil && c.Poll == nil && c.Reaction == nil && c.Caption == "" && c.ReplyTo == "" && c.Mentions.none() && !c.ViewOnce &&
		(c.Type == "" || c.Type == string(messaging.KindText))
}

// member is a content by its name.
type member struct {
	kind  messaging.Kind
	given bool
	file  *mediaInput
}

func (c *contentInput) members() [10]member {
	return [...]member{
		{messaging.KindText, c.Text != nil, nil},
		{messaging.KindImage, c.Image != nil, c.Image},
		{messaging.KindVideo, c.Video != nil, c.Video},
		{messaging.KindAudio, c.Audio != nil, c.Audio},
		{messaging.KindDocument, c.Document != nil, c.Document},
		{messaging.KindSticker, c.Sticker != nil, c.Sticker},
		{messaging.KindLocation, c.Location != nil, nil},
		{messaging.KindContacts, c.Contacts != nil, nil},
		{messaging.KindPoll, c.Poll != nil, nil},
		{messaging.KindReaction, c.Reaction != nil, nil},
	}
}

// read checks the content and returns it. A file is still to be brought: it
// returns where from. uploaded says that one came with the request.
func (c *contentInput) read(uploaded bool, fields *fault.Fields) (content messaging.Content, file *mediaInput, err error) {
	if err := refuseKind(c.Type); err != nil {
		return content, nil, err
	}
	if c.plain() && !uploaded {
		c.Text.check(fields)
		content.Kind, content.Text = messaging.KindText, &messaging.Text{Body: c.Text.Body, PreviewURL: c.Text.PreviewURL}
		return content, nil, nil
	}
	chosen, ok := c.choose(uploaded, fields)
	if !ok {
		return content, nil, nil
	}
	content.Kind = chosen.kind
	if file = chosen.file; file != nil {
		file.check(chosen.kind, uploaded, fields)
		content.Media = &messaging.Media{Caption: c.captionOf(file, fields), Voice: file.Voice}
	} else {
		c.readMember(&content, fields)
	}
	if uploaded && file == nil {
		fields.Add("file", "requires", "is for messages that have a file")
	}
	c.readOptions(&content, fields)
	return content, file, nil
}

// readMember checks the member that a content's kind names, which is no file.
func (c *contentInput) readMember(content *messaging.Content, fields *fault.Fields) {
	switch content.Kind { //nolint:exhaustive // the others are files
	case messaging.KindText:
		c.Text.check(fields)
		content.Text = &messaging.Text{Body: c.Text.Body, PreviewURL: c.Text.PreviewURL}
	case messaging.KindLocation:
		content.Location = c.Location.read(fields)
	case messaging.KindContacts:
		content.Contacts = readContacts(*c.Contacts)
	case messaging.KindPoll:
		content.Poll = c.Poll.read()
	case messaging.KindReaction:
		c.Reaction.check(fields)
		content.Reaction = &messaging.Reaction{Emoji: c.Reaction.Emoji}
	}
	content.Check(fields)
}

// choose finds the one content that is meant.
func (c *contentInput) choose(uploaded bool, fields *fault.Fields) (chosen member, ok bool) {
	for _, m := range c.members() {
		fileSaysAll := uploaded && m.kind.IsMedia() && c.Type == string(m.kind)
		if !m.given && !fileSaysAll {
			continue
		}
		if !m.given {
			m.file = new(mediaInput)
		}
		if ok {
			fields.Add(string(m.kind), "requires", "cannot stand beside "+string(chosen.kind)+": a message has one content")
			continue
		}
		chosen, ok = m, true
	}
	switch {
	case ok && c.Type != "" && c.Type != string(chosen.kind):
		fields.Add(string(chosen.kind), "requires", "is not the content that type names")
		return chosen, false
	case ok:
		return chosen, true
	case uploaded && c.Type == "":
		fields.Add("type", "required", "is required when the file alone is the content")
	case c.Type != "":
		fields.Add(c.Type, "required", "is required")
	default:
		fields.Add("text", "required", "is required")
	}
	return chosen, false
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
