package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"portaria/internal/fault"
	"portaria/messaging"
)

// messageRow is a row of messages.
type messageRow struct {
	WorkspaceID string `db:"workspace_id"`
	Environment string `db:"environment"`
	ID          string `db:"id"`
	InstanceID  string `db:"instance_id"`
	Direction   string `db:"direction"`
	PeerInput   string `db:"peer_input"`
	PeerWAID    string `db:"peer_wa_id"`
	Kind        string `db:"kind"`
	Content     string `db:"content"`
	Metadata    string `db:"metadata"`
	Priority    int8   `db:"priority"`
	WAMessageID string `db:"wa_message_id"`
	KeyID       string `db:"key_id"`
	Lineage     string `db:"lineage"`
	BulkID      string `db:"bulk_id"`
	Sandbox     string `db:"sandbox"`
	CreatedAt   int64  `db:"created_at"`
	SendAt      int64  `db:"send_at"`
	ExpiresAt   int64  `db:"expires_at"`
	EditedAt    int64  `db:"edited_at"`
	RevokedAt   int64  `db:"revoked_at"`
	stateRow
}

// stateRow is the part of a row of messages that changes.
type stateRow struct {
	Status       string `db:"status"`
	ErrorCode    string `db:"error_code"`
	ErrorMessage string `db:"error_message"`
	Attempts     int    `db:"attempts"`
	SentAt       int64  `db:"sent_at"`
	DeliveredAt  int64  `db:"delivered_at"`
	ReadAt       int64  `db:"read_at"`
	PlayedAt     int64  `db:"played_at"`
	FailedAt     int64  `db:"failed_at"`
}

const (
	stateColumns = `m.status, m.error_code, m.error_message, m.attempts, m.sent_at, m.delivered_at, m.read_at, m.played_at, m.failed_at`

	messageColumns = `m.workspace_id, m.environment, m.id, m.instance_id, m.direction, m.peer_input, m.peer_wa_id, m.kind, m.content,
		m.metadata, m.priority, m.wa_message_id, m.key_id, m.lineage, m.bulk_id, m.sandbox, m.created_at, m.send_at, m.expires_at,
		m.edited_at, m.revoked_at, ` + stateColumns

	// maybeMessageColumns are messageColumns on the far side of a LEFT JOIN.
	// The state is left out: an event brings its own.
	maybeMessageColumns = `COALESCE(m.workspace_id, '') AS workspace_id, COALESCE(m.environment, '') AS environment,
		COALESCE(m.id, '') AS id, COALESCE(m.instance_id, '') AS instance_id, COALESCE(m.direction, '') AS direction,
		COALESCE(m.peer_input, '') AS peer_input, COALESCE(m.peer_wa_id, '') AS peer_wa_id, COALESCE(m.kind, '') AS kind,
		COALESCE(m.content, '') AS content, COALESCE(m.metadata, '') AS metadata, COALESCE(m.priority, 0) AS priority,
		COALESCE(m.wa_message_id, '') AS wa_message_id, COALESCE(m.key_id, '') AS key_id, COALESCE(m.lineage, '') AS lineage,
		COALESCE(m.bulk_id, '') AS bulk_id, COALESCE(m.sandbox, '') AS sandbox, COALESCE(m.created_at, 0) AS created_at,
		COALESCE(m.send_at, 0) AS send_at, COALESCE(m.expires_at, 0) AS expires_at,
		COALESCE(m.edited_at, 0) AS edited_at, COALESCE(m.revoked_at, 0) AS revoked_at`
)

// insertMessages leaves out the columns that change: they begin at their
// defaults.
var insertMessages = &rows{
	head: insertInto + `messages (workspace_id, environment, id, instance_id, direction, peer_input, peer_wa_id, kind, content,
		metadata, priority, position, wa_message_id, key_id, lineage, bulk_id, sandbox, created_at, send_at, expires_at, status, events) `,
	columns: []kind{
		text.of(byWorld), text.of(byWorld), text, text.of(byInstance), text.of(byWorld), text, text, text.of(byCaller), text,
		text.of(byInstance), number.of(byCaller), number, text, text.of(byCaller), text.of(byCaller), text.of(byCaller), text.of(byCaller),
		number, number.of(byCaller), number, text.of(byCaller), text,
	},
}

// storedMessage is a message with the columns that must be encoded. It is made
// on the caller's goroutine: the committer has enough to do.
type storedMessage struct {
	*messaging.Message
	content, metadata, sandbox string
}

func newStoredMessage(m *messaging.Message) (s storedMessage, err error) {
	s.Message, s.metadata = m, string(m.Metadata)
	if s.content, err = encodeContent(m.Content); err != nil {
		return s, err
	}
	s.sandbox, err = encodeOverride(m.Sandbox)
	return s, err
}

// args appends one row for insertMessages.
func (m *storedMessage) args(args []any, position int64, events string) []any {
	return append(args, &m.WorkspaceID, (*string)(&m.Environment), &m.ID, &m.InstanceID, (*string)(&m.Direction), &m.Peer.Input,
		&m.Peer.WAID, (*string)(&m.Content.Kind), &m.content, &m.metadata, int64(m.Priority), position, &m.WAMessageID, &m.KeyID,
		&m.Lineage, &m.BulkID, &m.sandbox, micros(m.CreatedAt), micros(m.SendAt), micros(m.ExpiresAt), (*string)(&m.Status), events)
}

// stateArgs appends the columns of a state, in the order of stateColumns.
func stateArgs(args []any, s *messaging.State) []any {
	var code, message string
	if s.Error != nil {
		code, message = s.Error.Code, s.Error.Message
	}
	return append(args, (*string)(&s.Status), code, message, int64(s.Attempts),
		micros(s.SentAt), micros(s.DeliveredAt), micros(s.ReadAt), micros(s.PlayedAt), micros(s.FailedAt))
}

func (r *stateRow) state() messaging.State {
	s := messaging.State{
		Status: messaging.Status(r.Status), Attempts: r.Attempts,
		SentAt: fromMicros(r.SentAt), DeliveredAt: fromMicros(r.DeliveredAt), ReadAt: fromMicros(r.ReadAt),
		PlayedAt: fromMicros(r.PlayedAt), FailedAt: fromMicros(r.FailedAt),
	}
	if r.ErrorCode != "" {
		s.Error = &messaging.SendError{Code: r.ErrorCode, Message: r.ErrorMessage}
	}
	return s
}

func (r *messageRow) message() (messaging.Message, error) {
	content, err := decodeContent(r.Kind, r.Content)
	if err != nil {
		return messaging.Message{}, err
	}
	sandbox, err := decodeOverride(r.Sandbox)
	if err != nil {
		return messaging.Message{}, err
	}
	m := messaging.Message{
		ID: r.ID, WorkspaceID: r.WorkspaceID, Environment: messaging.Environment(r.Environment), InstanceID: r.InstanceID,
		Direction: messaging.Direction(r.Direction), Peer: messaging.Address{Input: r.PeerInput, WAID: r.PeerWAID},
		Content: content, Priority: messaging.Priority(r.Priority), WAMessageID: r.WAMessageID,
		KeyID: r.KeyID, Lineage: r.Lineage, BulkID: r.BulkID, Sandbox: sandbox,
		CreatedAt: fromMicros(r.CreatedAt), SendAt: fromMicros(r.SendAt), ExpiresAt: fromMicros(r.ExpiresAt),
		EditedAt: fromMicros(r.EditedAt), RevokedAt: fromMicros(r.RevokedAt), State: r.state(),
	}
	if r.Metadata != "" {
		m.Metadata = []byte(r.Metadata)
	}
	return m, nil
}

func encodeOverride(o *messaging.Override) (string, error) {
	if o == nil {
		return "", nil
	}
	b, err := json.Marshal(o)
	return string(b), err
}

func decodeOverride(text string) (*messaging.Override, error) {
	if text == "" {
		return nil, nil
	}
	o := new(messaging.Override)
	if err := json.Unmarshal([]byte(text), o); err != nil {
		return nil, fmt.Errorf("sandbox override: %w", err)
	}
	return o, nil
}

const (
	selectMessages = `SELECT ` + messageColumns + ` FROM messages m WHERE m.workspace_id = $1 AND m.environment = $2`

	// selectBulkMessages names the index to SQLite, which would go through all
	// messages of the world in the order that is asked for.
	selectBulkMessages = `SELECT ` + messageColumns + ` FROM messages m
			INDEXED BY messages_bulk -- only: sqlite
		WHERE m.workspace_id = $1 AND m.environment = $2 AND m.bulk_id <> '' AND m.bulk_id = $3`
)

// Message finds a message. Fault: fault.ErrNotFound, also for one that the
// tenancy's allowlist does not open.
func (s *Store) Message(ctx context.Context, t messaging.Tenancy, id string) (messaging.Message, error) {
	var row messageRow
	err := s.r.GetContext(ctx, &row, selectMessages+" AND m.id = $3", t.Workspace(), string(t.Environment()), id)
	if errors.Is(err, sql.ErrNoRows) || (err == nil && !t.Allowlist().Opens(row.InstanceID)) {
		return messaging.Message{}, fault.ErrNotFound
	}
	if err != nil {
		return messaging.Message{}, fmt.Errorf("message: %w", explain(err))
	}
	return row.message()
}

// MessageByWAID finds a message of an instance by its WhatsApp id, one of ours
// or one that a contact sent. Fault: fault.ErrNotFound.
func (s *Store) MessageByWAID(ctx context.Context, t messaging.Tenancy, instanceID, waID string) (messaging.Message, error) {
	const where = " AND m.instance_id = $3 AND m.wa_message_id = $4 AND "
	if !t.Allowlist().Opens(instanceID) {
		return messaging.Message{}, fault.ErrNotFound
	}
	for _, condition := range []string{isInbound, isOutboundLive} {
		var row messageRow
		err := s.r.GetContext(ctx, &row, selectMessages+where+condition, t.Workspace(), string(t.Environment()), instanceID, waID)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return messaging.Message{}, fmt.Errorf("message by WhatsApp id: %w", explain(err))
		}
		return row.message()
	}
	return s.carriedByWAID(ctx, t, instanceID, waID)
}

// carriedByWAID finds what the simulated network carried: messages of the test
// world have no index by WhatsApp id of their own.
func (s *Store) carriedByWAID(ctx context.Context, t messaging.Tenancy, instanceID, waID string) (messaging.Message, error) {
	const q = `SELECT message_id FROM sandbox_carriages WHERE instance_id = $1 AND wa_message_id = $2`
	if t.Environment() != messaging.Test {
		return messaging.Message{}, fault.ErrNotFound
	}
	var id string
	err := s.r.GetContext(ctx, &id, q, instanceID, waID)
	if errors.Is(err, sql.ErrNoRows) {
		return messaging.Message{}, fault.ErrNotFound
	}
	if err != nil {
		return messaging.Message{}, fmt.Errorf("message by WhatsApp id: %w", explain(err))
	}
	return s.Message(ctx, t, id)
}

// Messages lists messages, newest first: up to one more than page.Limit.
func (s *Store) Messages(ctx context.Context, t messaging.Tenancy, f messaging.MessageFilter, page messaging.Page) ([]messaging.Message, error) {
	q := newQuery(selectMessages, t)
	if f.BulkID != "" {
		q = bulkMessages(t, f.BulkID)
	}
	q.instances("m.instance_id", t.Allowlist(), f.InstanceID)
	for _, c := range []struct{ condition, value string }{
		{"m.direction = ", string(f.Direction)},
		{"m.status = ", string(f.Status)},
		{"m.peer_wa_id = ", f.To},
		{"m.lineage = ", f.Lineage},
		{"m.id < ", page.Cursor},
	} {
		if c.value != "" {
			q.and(c.condition, c.value)
		}
	}
	if !f.Since.IsZero() {
		q.and("m.created_at >= ", micros(f.Since))
	}
	if !f.Until.IsZero() {
		q.and("m.created_at < ", micros(f.Until))
	}
	q.tail(" ORDER BY m.id DESC LIMIT ", page.Limit+1)

	var found []messageRow
	if err := s.r.SelectContext(ctx, &found, s.engine.sql(q.text()), q.args...); err != nil {
		return nil, fmt.Errorf("messages: %w", explain(err))
	}
	out := make([]messaging.Message, 0, len(found))
	for i := range found {
		m, err := found[i].message()
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func bulkMessages(t messaging.Tenancy, id string) *query {
	q := newQuery(selectBulkMessages, t)
	q.args = append(q.args, id)
	return q
}
