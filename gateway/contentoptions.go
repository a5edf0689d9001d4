package gateway

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/rivo/uniseg"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
)

// reactionInput is an emoji on a message.
type reactionInput struct {
	MessageID string `json:"message_id" required:"true" description:"The message's id, or its WhatsApp id."`
	Emoji     string `json:"emoji" required:"true" description:"Empty: takes the reaction back." example:"👍"`
}

// maxEmojiBytes is longer than any emoji, families of many skins included.
const maxEmojiBytes = 64

func (r *reactionInput) check(fields *fault.Fields) {
	if strings.TrimSpace(r.MessageID) == "" {
		fields.Add("reaction.message_id", "required", "is required")
	}
	if r.Emoji != "" && !isEmoji(r.Emoji) {
		fields.Add("reaction.emoji", "format", "must be one emoji, or empty")
	}
}

// isEmoji reports whether a text can be one emoji: one character as people count
// them, however many runes it is made of, and no letter. Which of these are emojis
// grows with every version of Unicode.
func isEmoji(s string) bool {
	const information = 'ℹ' // the one letter that is an emoji
	first, size := utf8.DecodeRuneInString(s)
	plain := size == 1 && len(s) == 1 || unicode.IsLetter(first) && first != information
	return !plain && len(s) <= maxEmojiBytes && plainText(s) && uniseg.GraphemeClusterCount(s) == 1
}

// mentionList is who is mentioned. It stops reading where it is too long
// anyway.
type mentionList struct {
	items   []string
	tooLong bool
}

// maxMentions is as many as a large group has members.
const maxMentions = 1024

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (m *mentionList) UnmarshalJSONFrom(decoder *jsontext.Decoder) (err error) {
	m.items, m.tooLong, err = readList[string](decoder, maxMentions)
	return err
}

// errNotList never reaches a caller: the walk puts it into words.
var errNotList = fault.ErrValidation.Saying("This must be a list.")

// JSONSchemaBytes describes the type in the OpenAPI document.
func (mentionList) JSONSchemaBytes() ([]byte, error) {
	return []byte(`{"type":"array","items":{"type":"string"},"maxItems":` + strconv.Itoa(maxMentions) + `}`), nil
}

func (m *mentionList) form(jsontext.Kind) any { return nil }

func (m *mentionList) shape() string { return "must be a list of strings" }

func (m *mentionList) none() bool { return len(m.items) == 0 && !m.tooLong }

// read returns the WhatsApp ids of who is mentioned.
func (m *mentionList) read(fields *fault.Fields) (ids []string) {
	if m.tooLong {
		fields.Add("mentions", "max", "must not have more than 1024 entries")
		return nil
	}
	for i, one := range m.items {
		address, err := outbox.ParseRecipient(one)
		_, server, _ := strings.Cut(address.WAID, "@")
		if err != nil || server != messaging.UserServer && server != messaging.LIDServer {
			fields.Add("mentions["+strconv.Itoa(i)+"]", "format", "is not a person's number or WhatsApp id")
			continue
		}
		ids = append(ids, address.WAID)
	}
	return ids
}

// readOptions checks what may stand beside a content.
func (c *contentInput) readOptions(content *messaging.Content, fields *fault.Fields) {
	content.Mentions = c.Mentions.read(fields)
	reaction := content.Kind == messaging.KindReaction
	if reaction && len(content.Mentions) > 0 {
		fields.Add("mentions", "requires", "does not go with a reaction")
	}
	switch {
	case c.ReplyTo == "":
	case reaction:
		fields.Add("reply_to", "requires", "does not go with a reaction; its message_id says what it is for")
	case !couldBeMessage(c.ReplyTo):
		fields.Add("reply_to", "format", "is not the id of a message")
	}
	if c.Caption != "" && content.Media == nil {
		fields.Add("caption", "requires", "is for images, videos and documents")
	}
	if !c.ViewOnce {
		return
	}
	voice := content.Kind == messaging.KindAudio && content.Media.Voice
	if content.Kind != messaging.KindImage && content.Kind != messaging.KindVideo && !voice {
		fields.Add("view_once", "requires", "is for images, videos and voice notes")
		return
	}
	content.ViewOnce = true
}

// captionOf returns a file's caption, which may stand beside its object or in
// it.
func (c *contentInput) captionOf(file *mediaInput, fields *fault.Fields) string {
	caption, at := c.Caption, "caption"
	if file.Caption != "" {
		if caption != "" {
			fields.Add("caption", "repeated", "appears more than once")
		}
		caption, at = file.Caption, string(file.kind)+".caption"
	}
	switch {
	case caption == "":
	case file.kind == messaging.KindAudio, file.kind == messaging.KindSticker:
		fields.Add(at, "requires", "is for images, videos and documents")
	case len(caption) > messaging.MaxTextBytes:
		fields.Add(at, "max_bytes", "must not be longer than 65536 bytes")
	}
	return caption
}

// maxWAMessageID is longer than any id that WhatsApp's clients draw.
const maxWAMessageID = 128

// couldBeMessage reports whether a text can be the id of a message, ours or
// WhatsApp's.
func couldBeMessage(id string) bool {
	if strings.HasPrefix(id, string(messaging.MessagePrefix)) {
		return messaging.ValidID(messaging.MessagePrefix, id)
	}
	return id != "" && len(id) <= maxWAMessageID && plainText(id)
}

// refer finds the message that a content points at.
func (s *Server) refer(ctx context.Context, call *Call, id, field string) (*messaging.Reference, error) {
	m, err := s.referred(ctx, call, id, field)
	if err != nil {
		return nil, err
	}
	return referenceTo(&m), nil
}

// react finds the message that a reaction is for: one of the chat that it goes
// to. Elsewhere nobody would see it.
func (s *Server) react(ctx context.Context, call *Call, id string, to messaging.Address) (messaging.Reference, error) {
	const field = "reaction.message_id"
	m, err := s.referred(ctx, call, id, field)
	if err == nil && !m.In(to) {
		err = fault.Fields{{Field: field, Rule: "not_found", Message: "is not a message of the chat with this recipient"}}.Err()
	}
	if err != nil {
		return messaging.Reference{}, err
	}
	return *referenceTo(&m), nil
}

// referred finds a message that another one points at, by either of its ids. It
// must be one of the same instance: another's cannot be quoted.
func (s *Server) referred(ctx context.Context, call *Call, id, field string) (m messaging.Message, err error) {
	absent := fault.Fields{{Field: field, Rule: "not_found", Message: "is not a message of this instance"}}.Err()
	if !couldBeMessage(id) {
		return m, absent
	}
	if strings.HasPrefix(id, string(messaging.MessagePrefix)) {
		m, err = s.reader.Message(ctx, call.Tenancy, id)
	} else {
		m, err = s.reader.MessageByWAID(ctx, call.Tenancy, call.InstanceID, id)
	}
	if errors.Is(err, fault.ErrNotFound) || err == nil && m.InstanceID != call.InstanceID {
		return m, absent
	}
	return m, err
}

func referenceTo(m *messaging.Message) *messaging.Reference {
	reference := &messaging.Reference{MessageID: m.ID, WAMessageID: m.WAMessageID}
	if m.Direction == messaging.Outbound {
		reference.FromMe = true
	} else {
		reference.Author = m.Peer.WAID
	}
	return reference
}
