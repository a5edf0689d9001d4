package whatsapp

import (
	"context"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/types"

	"portaria/messaging"
)

// readBy is whom a receipt tells that messages were read: their author, in the
// chat in which they were written.
type readBy struct{ chat, author types.JID }

// MarkRead tells the authors of inbound messages that they were read. WhatsApp
// does not say whether it told them; a phone whose receipts are switched off
// tells only its owner's other devices.
func (c *channel) MarkRead(ctx context.Context, messages []messaging.Message) error {
	return c.connected(ctx, func(ctx context.Context, s *sending) error {
		return s.actFault(ctx, s.link.markRead(ctx, messages))
	})
}

// markRead sends one receipt for each author in each chat, in the order in which
// they come first.
func (l *link) markRead(ctx context.Context, messages []messaging.Message) error {
	var order []readBy
	ids := make(map[readBy][]types.MessageID)
	for i := range messages {
		to, err := l.reader(ctx, messages[i].Peer)
		if err != nil {
			return err
		}
		if ids[to] == nil {
			order = append(order, to)
		}
		ids[to] = append(ids[to], messages[i].WAMessageID)
	}
	for _, to := range order {
		if err := l.client.MarkRead(ctx, ids[to], time.Now(), to.chat, to.author); err != nil {
			return fmt.Errorf("mark as read: %w", err)
		}
	}
	return nil
}

// reader finds the chat and the author of what came from an address. People are
// recorded by their number, but WhatsApp keeps its chats by the id that stands
// for it; of a group, either.
func (l *link) reader(ctx context.Context, from messaging.Address) (readBy, error) {
	author, err := types.ParseJID(from.WAID)
	if err != nil {
		return readBy{}, fmt.Errorf("author: %w", err)
	}
	group, err := types.ParseJID(from.Group())
	if err != nil {
		return readBy{}, fmt.Errorf("group: %w", err)
	}
	byNumber := false
	if !group.IsEmpty() {
		members, err := internals(l.client).GetCachedGroupData(ctx, group)
		if err != nil {
			return readBy{}, fmt.Errorf("members: %w", err)
		}
		byNumber = members.AddressingMode == types.AddressingModePN
	}
	if author.Server == types.DefaultUserServer && !byNumber {
		lid, err := l.client.Store.LIDs.GetLIDForPN(ctx, author)
		if err != nil {
			return readBy{}, fmt.Errorf("author: %w", err)
		}
		if !lid.IsEmpty() {
			author = lid
		}
	}
	if group.IsEmpty() {
		return readBy{chat: author}, nil
	}
	return readBy{chat: group, author: author}, nil
}
