package store

import (
	"context"
	"fmt"

	"portaria/messaging"
)

var insertCall = &rows{
	head:    insertInto + `calls (instance_id, call_id, workspace_id, environment, received_at) `,
	columns: append(repeat(text, 4), number),
	tail:    ` ON CONFLICT DO NOTHING`,
}

// applyCall tells of a call, once by its instance and id.
func (r *recording) applyCall(ctx context.Context, c messaging.CallReceived) error {
	c.Call.At = clip(c.Call.At)
	fresh, err := r.b.insertOne(ctx, insertCall, []any{
		c.InstanceID, c.Call.ID, c.WorkspaceID, string(c.Environment), micros(c.Call.At),
	})
	if err != nil {
		return fmt.Errorf("insert call: %w", err)
	}
	if fresh {
		r.events.add(messaging.Event{
			Type: messaging.EventCallReceived, WorkspaceID: c.WorkspaceID, Environment: c.Environment, InstanceID: c.InstanceID,
			Call: &c.Call, Timestamp: c.Call.At,
		})
	}
	return nil
}
