package store

import (
	"context"
	"fmt"

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
	args, err := messageArgs(nil, m, 0)
	if err != nil {
		return fmt.Errorf("inbound: %w", err)
	}
	res, err := r.b.exec(ctx, r.b.text(insertInbound, 1), args...)
	if err != nil {
		return fmt.Errorf("insert inbound: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	r.events.addStatus(m.WorkspaceID, m.Environment, m.InstanceID, m.ID, messaging.StatusReceived, m.State, m.CreatedAt)
	return nil
}
