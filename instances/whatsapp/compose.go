package whatsapp

import (
	"context"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"portaria/messaging"
)

// compose makes WhatsApp's form of a message's content: the same for every try.
// A file is uploaded for it. Faults: errUnsendable, errNoFile, errUpload.
func (c *channel) compose(ctx context.Context, l *link, p *person, m *messaging.Outgoing) (*waE2E.Message, error) {
	content := &m.Content
	switch {
	case content.Text != nil:
		return composeText(content, l.contextOf(content, p)), nil
	case content.Location != nil:
		return composeLocation(content.Location, l.contextOf(content, p)), nil
	case len(content.Contacts) > 0:
		return composeContacts(content.Contacts, l.contextOf(content, p)), nil
	case content.Poll != nil:
		secret, err := l.pollSecret(m.WAMessageID)
		if err != nil {
			return nil, err
		}
		return composePoll(content.Poll, secret, l.contextOf(content, p)), nil
	case content.Reaction != nil:
		r := content.Reaction
		author, err := types.ParseJID(r.Message.Author)
		if err != nil || author.IsEmpty() {
			author = p.to
		}
		if r.Message.FromMe {
			author = types.EmptyJID
		}
		return l.client.BuildReaction(p.chat(), author, r.Message.WAMessageID, r.Emoji), nil
	case content.Media != nil:
		file, err := c.upload(ctx, l, content.Kind, content.Media)
		if err != nil {
			return nil, err
		}
		return composeFile(content, file, l.contextOf(content, p))
	default:
		return nil, errUnsendable
	}
}

// composeText uses the plain form when nothing needs the other: it is what a
// phone sends.
func composeText(content *messaging.Content, info *waE2E.ContextInfo) *waE2E.Message {
	body := content.Text.Body
	if info == nil {
		return &waE2E.Message{Conversation: &body}
	}
	return &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: &body, ContextInfo: info}}
}

// contextOf says which message a content answers and who is mentioned in it;
// nil when it does neither.
func (l *link) contextOf(content *messaging.Content, p *person) *waE2E.ContextInfo {
	if content.ReplyTo == nil && len(content.Mentions) == 0 {
		return nil
	}
	info := &waE2E.ContextInfo{MentionedJID: content.Mentions}
	if to := content.ReplyTo; to != nil {
		author := to.Author
		switch {
		case to.FromMe:
			author = l.jid.ToNonAD().String()
		case author == "":
			author = p.to.String()
		}
		info.StanzaID, info.Participant = &to.WAMessageID, &author
		info.QuotedMessage = &waE2E.Message{Conversation: proto.String("")} // the phone shows its own copy
	}
	return info
}

// composeFile makes the message of a file that was uploaded.
func composeFile(content *messaging.Content, f *uploaded, info *waE2E.ContextInfo) (*waE2E.Message, error) {
	m, file := content.Media, &f.response
	var caption, name *string
	if m.Caption != "" {
		caption = &m.Caption
	}
	if m.Filename != "" {
		name = &m.Filename
	}
	switch content.Kind { //nolint:exhaustive // the other kinds are no files
	case messaging.KindImage:
		return onceOnly(content, &waE2E.Message{ImageMessage: &waE2E.ImageMessage{
			URL: &file.URL, DirectPath: &file.DirectPath, MediaKey: file.MediaKey, FileEncSHA256: file.FileEncSHA256,
			FileSHA256: file.FileSHA256, FileLength: &file.FileLength, Mimetype: &m.MIME, Caption: caption,
			ContextInfo: info, ViewOnce: &content.ViewOnce,
		}}), nil
	case messaging.KindVideo:
		return onceOnly(content, &waE2E.Message{VideoMessage: &waE2E.VideoMessage{
			URL: &file.URL, DirectPath: &file.DirectPath, MediaKey: file.MediaKey, FileEncSHA256: file.FileEncSHA256,
			FileSHA256: file.FileSHA256, FileLength: &file.FileLength, Mimetype: &m.MIME, Caption: caption,
			ContextInfo: info, ViewOnce: &content.ViewOnce,
		}}), nil
	case messaging.KindAudio:
		return &waE2E.Message{AudioMessage: &waE2E.AudioMessage{
			URL: &file.URL, DirectPath: &file.DirectPath, MediaKey: file.MediaKey, FileEncSHA256: file.FileEncSHA256,
			FileSHA256: file.FileSHA256, FileLength: &file.FileLength, Mimetype: audioType(m), PTT: &m.Voice, ContextInfo: info,
		}}, nil
	case messaging.KindSticker:
		return &waE2E.Message{StickerMessage: &waE2E.StickerMessage{
			URL: &file.URL, DirectPath: &file.DirectPath, MediaKey: file.MediaKey, FileEncSHA256: file.FileEncSHA256,
			FileSHA256: file.FileSHA256, FileLength: &file.FileLength, Mimetype: &m.MIME, ContextInfo: info,
		}}, nil
	case messaging.KindDocument:
		document := &waE2E.Message{DocumentMessage: &waE2E.DocumentMessage{
			URL: &file.URL, DirectPath: &file.DirectPath, MediaKey: file.MediaKey, FileEncSHA256: file.FileEncSHA256,
			FileSHA256: file.FileSHA256, FileLength: &file.FileLength, Mimetype: &m.MIME, Caption: caption,
			FileName: name, Title: name, ContextInfo: info,
		}}
		if caption == nil {
			return document, nil
		}
		return &waE2E.Message{DocumentWithCaptionMessage: &waE2E.FutureProofMessage{Message: document}}, nil
	default:
		return nil, errUnsendable
	}
}

// onceOnly wraps what may be seen once.
func onceOnly(content *messaging.Content, m *waE2E.Message) *waE2E.Message {
	if !content.ViewOnce {
		return m
	}
	return &waE2E.Message{ViewOnceMessage: &waE2E.FutureProofMessage{Message: m}}
}

// audioType is the type of an audio file. Phones play a voice note only when its
// type names the codec.
func audioType(m *messaging.Media) *string {
	if m.Voice && (m.MIME == "audio/ogg" || m.MIME == "application/ogg") {
		return proto.String("audio/ogg; codecs=opus")
	}
	return &m.MIME
}
