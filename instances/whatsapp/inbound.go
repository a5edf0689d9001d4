package whatsapp

import (
	"context"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"portaria/messaging"
)

// onMessage records what a contact sent.
func (c *channel) onMessage(e *events.Message) bool {
	if !isForUs(&e.Info) {
		return true
	}
	l := c.link.Load()
	if l == nil {
		return false
	}
	from := c.addressOf(l, e.Info.Sender, e.Info.SenderAlt)
	if e.Info.IsGroup {
		from.Input = e.Info.Chat.String() // where an answer goes to
	}
	if record, is := c.amendment(e, from); is {
		return record == nil || c.record(c.ctx, record)
	}
	content, file, ok := contentOf(e.Message)
	if !ok {
		return true
	}
	content.ViewOnce = e.IsViewOnce
	if file != nil && !c.keep(l, e.Info.ID, content.Media, file) {
		return false
	}
	if !c.record(c.ctx, messaging.InboundMessage{Message: c.inbound(e, from, content)}) {
		return false
	}
	if file != nil {
		c.driver.unrecorded.settle(c.fileKey(e.Info.ID))
	}
	if c.settings().MarkRead {
		c.markRead(l, &e.Info)
	}
	return true
}

// isForUs reports whether a message is from somebody to this number. What the
// owner wrote on another device, stories and channels are not.
func isForUs(info *types.MessageInfo) bool {
	return !info.IsFromMe && info.Chat.Server != types.BroadcastServer && info.Chat.Server != types.NewsletterServer
}

func (c *channel) inbound(e *events.Message, from messaging.Address, content messaging.Content) messaging.Message {
	return messaging.Message{
		ID:          messaging.NewID(messaging.MessagePrefix, c.now()),
		WorkspaceID: c.facts.WorkspaceID,
		Environment: c.facts.Environment,
		InstanceID:  c.facts.ID,
		Direction:   messaging.Inbound,
		Peer:        from,
		Content:     content,
		Priority:    messaging.Normal,
		WAMessageID: e.Info.ID,
		CreatedAt:   e.Info.Timestamp.UTC(),
		State:       messaging.State{Status: messaging.StatusReceived},
	}
}

// amendment returns the record of an edit or a deletion; true without a record
// for what is neither, but no message to people either.
func (c *channel) amendment(e *events.Message, from messaging.Address) (messaging.Record, bool) {
	p := e.Message.GetProtocolMessage()
	if p == nil {
		return nil, false
	}
	id := p.GetKey().GetID()
	switch p.GetType() { //nolint:exhaustive // the rest is between devices
	case waE2E.ProtocolMessage_REVOKE:
		return messaging.MessageRevoke{
			WorkspaceID: c.facts.WorkspaceID, Environment: c.facts.Environment, InstanceID: c.facts.ID,
			WAMessageID: id, Author: from, AuthorLID: lidOf(e), At: e.Info.Timestamp.UTC(),
		}, true
	case waE2E.ProtocolMessage_MESSAGE_EDIT:
		edited := p.GetEditedMessage()
		if inside := edited.GetDocumentWithCaptionMessage().GetMessage(); inside != nil {
			edited = inside
		}
		content, _, ok := contentOf(edited)
		if !ok {
			return nil, true
		}
		return messaging.MessageEdit{
			WorkspaceID: c.facts.WorkspaceID, Environment: c.facts.Environment, InstanceID: c.facts.ID,
			WAMessageID: id, Author: from, AuthorLID: lidOf(e), Content: content, At: e.Info.Timestamp.UTC(),
		}, true
	default:
		return nil, true
	}
}

// lidOf returns the id that WhatsApp uses instead of the sender's number, if the
// stanza says it: the message may have been recorded under it.
func lidOf(e *events.Message) string {
	for _, jid := range []types.JID{e.Info.Sender, e.Info.SenderAlt} {
		if jid.Server == types.HiddenUserServer {
			return jid.ToNonAD().String()
		}
	}
	return ""
}

// addressOf names a contact by the phone number when it is known, and else by
// the id that WhatsApp uses instead of it.
func (c *channel) addressOf(l *link, jid, alternative types.JID) messaging.Address {
	jid, alternative = jid.ToNonAD(), alternative.ToNonAD()
	if jid.Server == types.HiddenUserServer {
		if alternative.IsEmpty() {
			alternative, _ = l.client.Store.LIDs.GetPNForLID(c.ctx, jid) // unknown: the id stands
		}
		if alternative.Server == types.DefaultUserServer {
			jid = alternative
		}
	}
	address := messaging.Address{Input: jid.String(), WAID: jid.String()}
	if jid.Server == types.DefaultUserServer {
		address.Input = "+" + jid.User
	}
	return address
}

// markRead tells the contact that the message was read. A receipt that does not
// arrive is not worth a second try.
func (c *channel) markRead(l *link, info *types.MessageInfo) {
	ctx, cancel := context.WithTimeout(c.ctx, c.timing.Lookup)
	defer cancel()
	if err := l.client.MarkRead(ctx, []types.MessageID{info.ID}, time.Now(), info.Chat, info.Sender); err != nil {
		c.log.Debug("not marked as read", "error", err)
	}
}
