package store

import (
	"context"
	"fmt"
	"strconv"

	"portaria/messaging"
)

var insertInbound = &rows{
	head:    insertMessages.head,
	columns: insertMessages.columns,
	tail:    ` ON CONFLICT DO NOTHING`,
}

// applyInbound stores a message from a contact, once by its WhatsApp id.
func (r *recording) applyInbound(ctx context.Context, m *messaging.Message) error {
	m.Direction, m.Status = messaging.Inbound, messaging.StatusReceived
	m.CreatedAt = clip(m.CreatedAt)
	stored, err := newStoredMessage(m)
	if err != nil {
		return fmt.Errorf("inbound: %w", err)
	}
	fresh, err := r.b.insertOne(ctx, insertInbound, stored.args(nil, 0, ""))
	if err != nil {
		return fmt.Errorf("insert inbound: %w", err)
	}
	if !fresh {
		return nil
	}
	if err := r.optOut(ctx, m); err != nil {
		return err
	}
	typ := messaging.EventMessageReceived
	if m.Content.Kind == messaging.KindReaction {
		typ = messaging.EventMessageReaction
	}
	event := r.events.add(messaging.Event{
		Type: typ, WorkspaceID: m.WorkspaceID, Environment: m.Environment, InstanceID: m.InstanceID, MessageID: m.ID,
		State: m.State, Timestamp: m.CreatedAt,
	})
	r.received = append(r.received, received{m, event})
	return nil
}

// received is an inbound message that was new, and its event.
type received struct {
	message *messaging.Message
	event   int
}

// saveReceived writes into each new inbound message which event is its own.
func (r *recording) saveReceived(ctx context.Context) error {
	const q = `UPDATE messages SET events = $1 WHERE workspace_id = $2 AND environment = $3 AND id = $4`
	for _, in := range r.received {
		sequence := strconv.FormatInt(r.events.sequence(in.event), 10)
		if _, err := r.b.exec(ctx, q, sequence, in.message.WorkspaceID, string(in.message.Environment), in.message.ID); err != nil {
			return fmt.Errorf("inbound: %w", err)
		}
	}
	return nil
}
