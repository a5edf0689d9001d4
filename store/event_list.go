package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"portaria/internal/fault"
	"portaria/messaging"
)

// Events lists what happened: newest first, or oldest first behind
// filter.After. Faults: fault.ErrBadRequest for an After or a cursor that is no
// event id.
func (s *Store) Events(ctx context.Context, t messaging.Tenancy, f messaging.EventFilter, page messaging.Page) ([]messaging.Event, error) {
	q := newQuery(selectEvents, t)
	if f.Type != "" {
		q.and("e.type = ", string(f.Type))
	}
	if f.MessageID != "" {
		if err := s.narrowToMessage(ctx, q, t, f.MessageID); err != nil {
			return nil, err
		}
	}
	q.eventInstances(t.Allowlist(), f.InstanceID)
	order := "DESC"
	if err := q.afterEvent(f.After, "e.sequence > "); err != nil {
		return nil, err
	}
	if f.After != "" {
		order = "ASC"
		if err := q.afterEvent(page.Cursor, "e.sequence > "); err != nil {
			return nil, err
		}
	} else if err := q.afterEvent(page.Cursor, "e.sequence < "); err != nil {
		return nil, err
	}
	q.tail(" ORDER BY e.sequence "+order+" LIMIT ", page.Limit+1)

	var found []eventRow
	if err := s.r.SelectContext(ctx, &found, q.text(), q.args...); err != nil {
		return nil, fmt.Errorf("events: %w", explain(err))
	}
	out := make([]messaging.Event, 0, len(found))
	for i := range found {
		e, err := found[i].event()
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// narrowToMessage keeps the events whose sequences a message's row names.
func (s *Store) narrowToMessage(ctx context.Context, q *query, t messaging.Tenancy, id string) error {
	const events = `SELECT events FROM messages WHERE workspace_id = $1 AND environment = $2 AND id = $3`
	var list string
	err := s.r.GetContext(ctx, &list, events, t.Workspace(), string(t.Environment()), id)
	if errors.Is(err, sql.ErrNoRows) {
		list, err = "", nil
	}
	if err != nil {
		return fmt.Errorf("events of a message: %w", explain(err))
	}
	q.b.WriteString(" AND e.sequence IN (0")
	for sequence := range strings.FieldsSeq(list) {
		n, err := strconv.ParseInt(sequence, 10, 64)
		if err != nil {
			return fmt.Errorf("events of message %s: %w", id, err)
		}
		q.tail(", ", n)
	}
	q.b.WriteString(")")
	return nil
}

// eventInstances narrows events to what an allowlist opens, and to those of one
// instance if asked. The event of a bulk over several instances is open when all
// of them are.
func (q *query) eventInstances(allow messaging.Allowlist, one string) {
	if one != "" || allow.All() || len(allow.IDs()) == 0 {
		q.instances("e.instance_id", allow, one)
		return
	}
	q.b.WriteString(" AND (e.instance_id IN (''")
	for _, id := range allow.IDs() {
		q.tail(", ", id)
	}
	q.b.WriteString(") AND e.instance_id <> '' OR e.instance_id = '' AND e.message_id <> '' AND ")
	q.wholeBulk("e.workspace_id", "e.environment", "e.message_id", allow)
	q.b.WriteString(")")
}

func (q *query) afterEvent(id, condition string) error {
	if id == "" {
		return nil
	}
	sequence, ok := messaging.EventSequence(id)
	if !ok {
		return fault.ErrBadRequest.Saying("This is not the id of an event.")
	}
	q.and(condition, sequence)
	return nil
}
