package store

import (
	"context"

	"portaria/messaging"
)

// MessagesByWAID returns the ids of a live instance's outbound messages by
// their WhatsApp ids. What is not there is not in the answer; a test instance
// has none that could be asked for.
func (s *Store) MessagesByWAID(ctx context.Context, workspace string, env messaging.Environment, instanceID string, waIDs []string) (map[string]string, error) {
	found := make(map[string]string, len(waIDs))
	if env != messaging.Live || len(waIDs) == 0 {
		return found, nil
	}
	// The environment stands in the text, so that the partial index is seen to fit.
	const head = `SELECT wa_message_id, id FROM messages
		WHERE workspace_id = $1 AND environment = 'live' AND instance_id = $2 AND direction = 'outbound' AND wa_message_id IN (`
	q := &query{args: []any{workspace, instanceID}}
	q.b.WriteString(head)
	for i, waID := range waIDs {
		if i > 0 {
			q.b.WriteString(", ")
		}
		q.tail("", waID)
	}
	q.b.WriteString(")")
	var rows []struct {
		WAID string `db:"wa_message_id"`
		ID   string `db:"id"`
	}
	if err := s.r.SelectContext(ctx, &rows, s.engine.sql(q.text()), q.args...); err != nil {
		return nil, explain(err)
	}
	for _, row := range rows {
		found[row.WAID] = row.ID
	}
	return found, nil
}

// WroteToUs reports whether a contact has ever written to a live instance.
func (s *Store) WroteToUs(ctx context.Context, workspace string, env messaging.Environment, instanceID, waID string) (wrote bool, err error) {
	if env != messaging.Live {
		return false, nil
	}
	const q = `SELECT EXISTS (SELECT 1 FROM messages
		WHERE workspace_id = $1 AND environment = 'live' AND instance_id = $2 AND direction = 'inbound' AND peer_wa_id = $3)`
	err = s.r.GetContext(ctx, &wrote, s.engine.sql(q), workspace, instanceID, waID)
	return wrote, explain(err)
}

// Received reports whether a live instance's inbound message is recorded.
func (s *Store) Received(ctx context.Context, workspace string, env messaging.Environment, instanceID, waID string) (received bool, err error) {
	if env != messaging.Live {
		return false, nil
	}
	const q = `SELECT EXISTS (SELECT 1 FROM messages
		WHERE instance_id = $1 AND wa_message_id = $2 AND direction = 'inbound' AND workspace_id = $3 AND environment = 'live')`
	err = s.r.GetContext(ctx, &received, s.engine.sql(q), instanceID, waID, workspace)
	return received, explain(err)
}
