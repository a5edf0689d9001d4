package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"portaria/events/stream"
	"portaria/messaging"
)

var _ stream.Store = (*Store)(nil)

// Worlds returns the worlds that have events.
func (s *Store) Worlds(ctx context.Context) (worlds []messaging.World, err error) {
	const q = `SELECT workspace_id, environment FROM event_heads ORDER BY workspace_id, environment`
	if err := s.r.SelectContext(ctx, &worlds, q); err != nil {
		return nil, fmt.Errorf("worlds: %w", explain(err))
	}
	return worlds, nil
}

// EventHead returns the last sequence of a world; 0 before the first event.
func (s *Store) EventHead(ctx context.Context, w messaging.World) (head int64, err error) {
	err = s.r.GetContext(ctx, &head, s.engine.sql(lastSequence), w.WorkspaceID, string(w.Environment))
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("event head: %w", explain(err))
	}
	return head, nil
}

// EventsAfter returns the events of a world behind a sequence, oldest first.
// Those of one world become visible in the order of their sequences.
func (s *Store) EventsAfter(ctx context.Context, w messaging.World, after int64, limit int) ([]messaging.Event, error) {
	q := eventQuery(w)
	q.and("e.sequence > ", after)
	q.tail(" ORDER BY e.sequence LIMIT ", limit)
	return s.readEvents(ctx, q)
}

// EventsAt reads events of a world by their sequences, in order; those that are
// gone are left out.
func (s *Store) EventsAt(ctx context.Context, w messaging.World, sequences []int64) ([]messaging.Event, error) {
	if len(sequences) == 0 {
		return nil, nil
	}
	q := newQuery(pickEvents, worldTenancy(w))
	q.and("sequence >= ", slices.Min(sequences))
	q.and("sequence <= ", slices.Max(sequences))
	q.b.WriteString(" AND sequence IN (")
	for i, n := range sequences {
		if i > 0 {
			q.b.WriteString(", ")
		}
		q.tail("", n)
	}
	q.b.WriteString(")) " + eventColumns + " FROM e " + withMessages + " ORDER BY e.sequence")
	return s.readEvents(ctx, q)
}

// pickEvents keeps PostgreSQL from going through all events and messages of a
// world, as it does while it believes them to be few: the bounds are a part of
// the index's condition where the list need not be, and what was picked is joined
// by nothing less than a message's whole key.
const pickEvents = `WITH e AS MATERIALIZED (SELECT * FROM events WHERE workspace_id = $1 AND environment = $2`

func eventQuery(w messaging.World) *query {
	return newQuery(selectEvents, worldTenancy(w))
}

func worldTenancy(w messaging.World) messaging.Tenancy {
	return messaging.NewTenancy(w.WorkspaceID, w.Environment, messaging.AllInstances())
}

func (s *Store) readEvents(ctx context.Context, q *query) ([]messaging.Event, error) {
	var found []eventRow
	if err := s.r.SelectContext(ctx, &found, s.engine.sql(q.text()), q.args...); err != nil {
		return nil, fmt.Errorf("events: %w", explain(err))
	}
	out := make([]messaging.Event, len(found))
	for i := range found {
		var err error
		if out[i], err = found[i].event(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
