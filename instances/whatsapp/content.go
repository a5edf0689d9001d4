package whatsapp

import (
	"encoding/hex"
	"strings"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"

	"portaria/messaging"
)

// contentOf reads a message. A file comes with what it is downloaded by. False:
// there is nothing in it for people.
func contentOf(m *waE2E.Message) (messaging.Content, whatsmeow.DownloadableMessage, bool) {
	switch {
	case m.Conversation != nil:
		return textOf(m.GetConversation(), nil), nil, true
	case m.ExtendedTextMessage != nil:
		t := m.ExtendedTextMessage
		return textOf(t.GetText(), t.ContextInfo), nil, true
	case m.ReactionMessage != nil:
		return reactionOf(m.ReactionMessage), nil, true
	}
	if content, file, ok := fileOf(m); ok {
		return content, file, true
	}
	if content, ok := otherOf(m); ok {
		return content, nil, true
	}
	if isBetweenDevices(m) {
		return messaging.Content{}, nil, false
	}
	return messaging.Content{Kind: messaging.KindUnknown}, nil, true
}

// isBetweenDevices reports whether a message only carries keys and the like.
func isBetweenDevices(m *waE2E.Message) bool {
	rest := waE2E.Message{
		SenderKeyDistributionMessage:               m.GetSenderKeyDistributionMessage(),
		FastRatchetKeySenderKeyDistributionMessage: m.GetFastRatchetKeySenderKeyDistributionMessage(),
		MessageContextInfo:                         m.GetMessageContextInfo(),
	}
	return size(m) == size(&rest)
}

// otherOf reads a message that is neither text nor a file.
func otherOf(m *waE2E.Message) (messaging.Content, bool) {
	if m.LocationMessage != nil || m.LiveLocationMessage != nil {
		return locationOf(m)
	}
	if m.ContactMessage != nil || m.ContactsArrayMessage != nil {
		return contactsOf(m)
	}
	if poll := pollIn(m); poll != nil {
		return pollOf(poll), true
	}
	return messaging.Content{}, false
}

func textOf(body string, info *waE2E.ContextInfo) messaging.Content {
	c := messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: body}}
	refer(&c, info)
	return c
}

func reactionOf(r *waE2E.ReactionMessage) messaging.Content {
	key := r.GetKey()
	return messaging.Content{Kind: messaging.KindReaction, Reaction: &messaging.Reaction{
		// The contact's "from me" is the contact's; ours is the other.
		Message: messaging.Reference{WAMessageID: key.GetID(), Author: key.GetParticipant(), FromMe: !key.GetFromMe() && key.GetParticipant() == ""},
		Emoji:   r.GetText(),
	}}
}

// fileOf reads a message that is a file.
func fileOf(m *waE2E.Message) (messaging.Content, whatsmeow.DownloadableMessage, bool) {
	c := messaging.Content{Media: new(messaging.Media)}
	switch {
	case m.ImageMessage != nil:
		f := m.ImageMessage
		c.Kind, c.Media.Caption = messaging.KindImage, f.GetCaption()
		return filed(c, f, f.GetMimetype(), f.ContextInfo)
	case m.VideoMessage != nil:
		f := m.VideoMessage
		c.Kind, c.Media.Caption = messaging.KindVideo, f.GetCaption()
		return filed(c, f, f.GetMimetype(), f.ContextInfo)
	case m.PtvMessage != nil:
		f := m.PtvMessage
		c.Kind = messaging.KindVideo
		return filed(c, f, f.GetMimetype(), f.ContextInfo)
	case m.AudioMessage != nil:
		f := m.AudioMessage
		c.Kind, c.Media.Voice = messaging.KindAudio, f.GetPTT()
		return filed(c, f, f.GetMimetype(), f.ContextInfo)
	case m.DocumentMessage != nil:
		f := m.DocumentMessage
		c.Kind, c.Media.Caption, c.Media.Filename = messaging.KindDocument, f.GetCaption(), f.GetFileName()
		return filed(c, f, f.GetMimetype(), f.ContextInfo)
	case m.StickerMessage != nil:
		f := m.StickerMessage
		c.Kind = messaging.KindSticker
		return filed(c, f, f.GetMimetype(), f.ContextInfo)
	default:
		return messaging.Content{}, nil, false
	}
}

// file is what all kinds of files have in common.
type file interface {
	whatsmeow.DownloadableMessage
	GetFileLength() uint64
}

func filed(c messaging.Content, f file, mime string, info *waE2E.ContextInfo) (messaging.Content, whatsmeow.DownloadableMessage, bool) {
	c.Media.MIME, _, _ = strings.Cut(mime, ";")
	c.Media.SHA256 = hex.EncodeToString(f.GetFileSHA256())
	c.Media.Size = int64(min(f.GetFileLength(), maxInt64)) //nolint:gosec // bounded
	refer(&c, info)
	return c, f, true
}

const maxInt64 = 1<<63 - 1

// refer notes which message a content answers and who is mentioned in it.
func refer(c *messaging.Content, info *waE2E.ContextInfo) {
	if id := info.GetStanzaID(); id != "" && info.GetQuotedMessage() != nil {
		c.ReplyTo = &messaging.Reference{WAMessageID: id, Author: info.GetParticipant()}
	}
	c.Mentions = info.GetMentionedJID()
}
