package wasim

import (
	"context"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// SendMedia puts a file on the server and sends it to an account; see Attach
// for the kinds and SendText for the rest.
func (c *Contact) SendMedia(ctx context.Context, to, kind, mimeType, caption string, body []byte) (id string, err error) {
	m, err := c.account.srv.Attach(kind, mimeType, caption, body)
	if err != nil {
		return "", err
	}
	return c.Send(ctx, to, m)
}

// SendReaction reacts to a message of the chat with an account, whoever sent
// it; an empty emoji takes the reaction back. (In a group, all of this is
// Group.Send's.)
func (c *Contact) SendReaction(ctx context.Context, to, messageID, emoji string) (id string, err error) {
	return c.Send(ctx, to, &waE2E.Message{ReactionMessage: &waE2E.ReactionMessage{
		Key: c.account.keyFor(to, messageID), Text: &emoji, SenderTimestampMS: proto.Int64(time.Now().UnixMilli()),
	}})
}

// SendReply sends a text that quotes a message of the chat.
func (c *Contact) SendReply(ctx context.Context, to, messageID, text string) (id string, err error) {
	return c.Send(ctx, to, &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{
		Text: &text, ContextInfo: c.account.quote(to, messageID),
	}})
}

// Edit replaces the text of a message that the contact has sent.
func (c *Contact) Edit(ctx context.Context, to, messageID, text string) (id string, err error) {
	return c.Send(ctx, to, &waE2E.Message{EditedMessage: &waE2E.FutureProofMessage{Message: &waE2E.Message{
		ProtocolMessage: &waE2E.ProtocolMessage{
			Key:           c.account.keyFor(to, messageID),
			Type:          waE2E.ProtocolMessage_MESSAGE_EDIT.Enum(),
			EditedMessage: &waE2E.Message{Conversation: &text},
			TimestampMS:   proto.Int64(time.Now().UnixMilli()),
		},
	}}})
}

// Revoke deletes a message that the contact has sent, for everybody.
func (c *Contact) Revoke(ctx context.Context, to, messageID string) (id string, err error) {
	return c.Send(ctx, to, &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
		Key:  c.account.keyFor(to, messageID),
		Type: waE2E.ProtocolMessage_REVOKE.Enum(),
	}})
}

// keyFor names a message of the chat with an account.
func (a *account) keyFor(to, messageID string) *waCommon.MessageKey {
	a.mu.Lock()
	_, mine := a.sent[messageID]
	a.mu.Unlock()
	chat := types.NewJID(lidOf(strings.TrimPrefix(to, "+")), types.HiddenUserServer)
	return &waCommon.MessageKey{RemoteJID: proto.String(chat.String()), FromMe: &mine, ID: &messageID}
}

// quote is what a reply says about the message that it answers. The quoted
// words are there when the contact has got them.
func (a *account) quote(to, messageID string) *waE2E.ContextInfo {
	to = strings.TrimPrefix(to, "+")
	author := a.lid
	key := messageKey{to, messageID}
	a.mu.Lock()
	defer a.mu.Unlock()
	info := &waE2E.ContextInfo{StanzaID: &messageID}
	if at, ok := a.known[key]; ok && at >= 0 {
		info.QuotedMessage = a.received[at].Message
	}
	if _, mine := a.sent[messageID]; !mine {
		author = types.NewJID(lidOf(to), types.HiddenUserServer)
	}
	info.Participant = proto.String(author.String())
	return info
}

// editKind is what the stanza of a message says about an edit: messages that
// change another one are marked.
func editKind(m *waE2E.Message) string {
	p := m.GetProtocolMessage()
	if p == nil {
		p = m.GetEditedMessage().GetMessage().GetProtocolMessage()
	}
	switch {
	case p != nil && p.GetType() == waE2E.ProtocolMessage_REVOKE && p.GetKey() != nil:
		return string(types.EditAttributeSenderRevoke)
	case p != nil && p.GetType() == waE2E.ProtocolMessage_MESSAGE_EDIT:
		return string(types.EditAttributeMessageEdit)
	case m.GetReactionMessage() != nil && m.GetReactionMessage().GetText() == "":
		return string(types.EditAttributeSenderRevoke)
	default:
		return ""
	}
}
