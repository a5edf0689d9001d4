package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"portaria/messaging"
)

// eventLog gathers the events of a transaction and writes them at its end.
type eventLog struct {
	events    []messaging.Event
	instances []messaging.Instance // those that changed, in order
	queued    []string             // the endpoints of the deliveries that were queued, in their order
}

// add notes an event and returns its index.
func (l *eventLog) add(e messaging.Event) int {
	l.events = append(l.events, e)
	return len(l.events) - 1
}

// record appends the one event of a transaction outside the committer.
func (l *eventLog) record(ctx context.Context, b conn, e messaging.Event) (messaging.Event, error) {
	e.Timestamp = clip(e.Timestamp)
	at := l.add(e)
	if err := l.number(ctx, b); err != nil {
		return e, err
	}
	err := l.write(ctx, b)
	return l.events[at], err
}

// sequence returns the number of the event at an index, once number has run.
func (l *eventLog) sequence(index int) int64 { return l.events[index].Sequence }

// nextSequences takes the next numbers of a tenancy. On SQLite a RETURNING would
// cost a table of its own; there, lastSequence reads the last of them.
const (
	nextSequences = `INSERT INTO event_heads (workspace_id, environment, sequence) VALUES ($1, $2, $3)
		ON CONFLICT (workspace_id, environment) DO UPDATE SET sequence = event_heads.sequence + excluded.sequence
		RETURNING sequence -- only: postgres
		`

	lastSequence = `SELECT sequence FROM event_heads WHERE workspace_id = $1 AND environment = $2`
)

var insertEvents = &rows{
	head: insertInto + `events (workspace_id, environment, sequence, id, type, instance_id, message_id, occurred_at, data) `,
	columns: []kind{
		text.of(byWorld), text.of(byWorld), number, text, text.of(byCaller), text.of(byInstance), text, number, text.of(byCaller),
	},
}

// write inserts the events, which have been numbered, and their deliveries.
func (l *eventLog) write(ctx context.Context, b conn) error {
	if len(l.events) == 0 {
		return nil
	}
	args := make([]any, 0, len(l.events)*9)
	for i := range l.events {
		e := &l.events[i]
		e.ID = messaging.NewEventID(e.Sequence, e.Timestamp)
		data, err := eventData(e)
		if err != nil {
			return err
		}
		args = append(args, &e.WorkspaceID, (*string)(&e.Environment), e.Sequence, &e.ID, (*string)(&e.Type),
			&e.InstanceID, eventObject(e), micros(e.Timestamp), data)
	}
	if err := b.write(ctx, insertEvents, args); err != nil {
		return fmt.Errorf("insert events: %w", err)
	}
	return l.route(ctx, b)
}

// eventObject is what events.message_id holds: the message that an event is
// about, or the bulk.
func eventObject(e *messaging.Event) *string {
	if e.Bulk != nil {
		return &e.Bulk.ID
	}
	return &e.MessageID
}

type tenancyKey struct{ workspace, environment string }

// number gives every event its sequence, tenancy by tenancy in a fixed order,
// so that two writers never wait for each other.
func (l *eventLog) number(ctx context.Context, b conn) error {
	counts := make(map[tenancyKey]int64, 1)
	for i := range l.events {
		counts[tenancyKey{l.events[i].WorkspaceID, string(l.events[i].Environment)}]++
	}
	keys := make([]tenancyKey, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b tenancyKey) int {
		return strings.Compare(a.workspace+a.environment, b.workspace+b.environment)
	})
	next := make(map[tenancyKey]int64, len(counts))
	var advanced []any
	for _, k := range keys {
		if head, ok := b.head(k); ok {
			next[k] = head
			advanced = append(advanced, k.workspace, k.environment, head+counts[k], head)
			continue
		}
		last, err := takeSequences(ctx, b, k, counts[k])
		if err != nil {
			return fmt.Errorf("number events: %w", err)
		}
		next[k] = last - counts[k]
	}
	if len(advanced) > 0 {
		if err := b.write(ctx, advanceHeads, advanced); err != nil {
			return fmt.Errorf("advance heads: %w", err)
		}
	}
	for i := range l.events {
		k := tenancyKey{l.events[i].WorkspaceID, string(l.events[i].Environment)}
		next[k]++
		l.events[i].Sequence = next[k]
	}
	return nil
}

// advanceHeads takes numbers that this process knows to be the next, unless
// another one has taken them.
var advanceHeads = &rows{
	head:    `UPDATE event_heads SET sequence = v.column3 FROM `,
	form:    asTable,
	columns: []kind{text, text, number, number},
	name:    "heads",
	exact:   true,
	tail: ` WHERE event_heads.workspace_id = v.column1 AND event_heads.environment = v.column2
			AND event_heads.sequence = v.column4
		RETURNING 1 -- only: postgres
		`,
}

// afterHeads makes a part of a statement wait for the part that advances the
// heads: their lock is the first that every writer takes.
const afterHeads = ` WHERE (SELECT COUNT(*) FROM heads) >= 0`

// learnHeads remembers the last sequences of what was committed. s.writing is held.
func (s *Store) learnHeads(events Committed) {
	for i := range events {
		s.heads[tenancyKey{events[i].WorkspaceID, string(events[i].Environment)}] = events[i].Sequence
	}
}

// forget drops what is remembered of what was committed.
func (s *Store) forget() {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.states.forget()
	clear(s.heads)
}

// takeSequences takes n numbers of a tenancy and returns the last of them. Its
// row stays locked until the commit.
func takeSequences(ctx context.Context, b conn, k tenancyKey, n int64) (last int64, err error) {
	var found *sql.Rows
	if b.dialect().roundTrips {
		found, err = b.query(ctx, nextSequences, k.workspace, k.environment, n)
	} else if _, err = b.exec(ctx, nextSequences, k.workspace, k.environment, n); err == nil {
		found, err = b.query(ctx, lastSequence, k.workspace, k.environment)
	}
	if err != nil {
		return 0, err
	}
	if found.Next() {
		err = found.Scan(&last)
	}
	return last, errorsJoinClose(errors.Join(err, found.Err()), found)
}

// eventRow is an event joined with its message.
type eventRow struct {
	Workspace   string `db:"event_workspace"`
	Environment string `db:"event_environment"`
	Sequence    int64  `db:"sequence"`
	ID          string `db:"event_id"`
	Type        string `db:"type"`
	Instance    string `db:"event_instance"`
	MessageID   string `db:"event_message"`
	OccurredAt  int64  `db:"occurred_at"`
	Data        string `db:"data"`
	messageRow
}

const selectEvents = eventColumns + ` FROM events e ` + withMessages + ` WHERE e.workspace_id = $1 AND e.environment = $2`

const withMessages = `LEFT JOIN messages m
		ON m.workspace_id = e.workspace_id AND m.environment = e.environment AND m.id = e.message_id AND e.message_id <> ''`

const eventColumns = `SELECT e.workspace_id AS event_workspace, e.environment AS event_environment, e.sequence, e.id AS event_id,
		e.type, e.instance_id AS event_instance, e.message_id AS event_message, e.occurred_at, e.data, ` + maybeMessageColumns

// clip keeps a time to what is stored, so that what is told equals what is read back.
func clip(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
