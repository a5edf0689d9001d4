package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/events/webhooks"
	"portaria/internal/fault"
	"portaria/messaging"
)

// deliveryRow is a row of webhook_deliveries.
type deliveryRow struct {
	WorkspaceID string `db:"workspace_id"`
	Environment string `db:"environment"`
	WebhookID   string `db:"webhook_id"`
	ID          string `db:"id"`
	Sequence    int64  `db:"sequence"`
	EventID     string `db:"event_id"`
	EventType   string `db:"event_type"`
	InstanceID  string `db:"instance_id"`
	Direct      bool   `db:"direct"`
	Node        string `db:"node"`
	CreatedAt   int64  `db:"created_at"`
	State       string `db:"state"`
	DueAt       int64  `db:"due_at"`
	Attempts    int    `db:"attempts"`
	AttemptedAt int64  `db:"attempted_at"`
	StatusCode  int    `db:"status_code"`
	DurationUS  int64  `db:"duration_us"`
	ErrorClass  string `db:"error_class"`
	Answer      string `db:"answer"`
}

const deliveryColumns = `d.workspace_id, d.environment, d.webhook_id, d.id, d.sequence, d.event_id, d.event_type, d.instance_id,
		d.direct, d.node, d.created_at, d.state, d.due_at, d.attempts, d.attempted_at, d.status_code, d.duration_us, d.error_class, d.answer`

const selectDeliveries = `SELECT ` + deliveryColumns + ` FROM webhook_deliveries d WHERE `

func (r *deliveryRow) delivery() webhooks.Delivery {
	return webhooks.Delivery{
		World: messaging.World{WorkspaceID: r.WorkspaceID, Environment: messaging.Environment(r.Environment)},
		ID:    r.ID, WebhookID: r.WebhookID, Sequence: r.Sequence, EventID: r.EventID, EventType: messaging.EventType(r.EventType),
		InstanceID: r.InstanceID, Direct: r.Direct, Node: r.Node, CreatedAt: fromMicros(r.CreatedAt),
		State: webhooks.DeliveryState(r.State), Due: fromMicros(r.DueAt), Attempts: r.Attempts, AttemptedAt: fromMicros(r.AttemptedAt),
		StatusCode: r.StatusCode, Duration: time.Duration(r.DurationUS) * time.Microsecond,
		ErrorClass: webhooks.ErrorClass(r.ErrorClass), Answer: r.Answer,
	}
}

const (
	deliveriesInto   = `webhook_deliveries (workspace_id, environment, webhook_id, id, sequence, event_id, event_type, instance_id, node, created_at, due_at`
	deliveriesValues = `v.column1, v.column2, v.column3, v.column4, v.column5, v.column6, v.column7, v.column8, v.column9, v.column10, v.column11`
)

var (
	deliveryKinds = []kind{
		text.of(byWorld), text.of(byWorld), text, text, number, text, text, text.of(byInstance), text.of(byWorld), number, number,
	}

	insertDeliveries = &rows{head: insertInto + deliveriesInto + `) `, columns: deliveryKinds}
	// insertDirect inserts deliveries that are asked for.
	insertDirect = &rows{
		head: insertInto + deliveriesInto + `, direct) SELECT ` + deliveriesValues + `, TRUE FROM `,
		form: asTable, columns: deliveryKinds,
	}
)

// queuedDelivery makes a delivery that is due at a time of its world. now is the
// machine's: ids rise with it, whatever the world's clock does, and the age that
// retention goes by is read from them.
func (s *Store) queuedDelivery(webhookID string, e *messaging.Event, now, due time.Time) webhooks.Delivery {
	due = clip(due)
	return webhooks.Delivery{
		World: messaging.World{WorkspaceID: e.WorkspaceID, Environment: e.Environment},
		ID:    s.deliveries.Next(messaging.DeliveryPrefix, now), WebhookID: webhookID,
		Sequence: e.Sequence, EventID: e.ID, EventType: e.Type, InstanceID: e.InstanceID, Node: s.routes.node,
		CreatedAt: due, State: webhooks.Pending, Due: due,
	}
}

func queuedArgs(args []any, d *webhooks.Delivery) []any {
	return append(args, d.WorkspaceID, string(d.Environment), d.WebhookID, d.ID, d.Sequence, d.EventID, string(d.EventType), d.InstanceID,
		d.Node, micros(d.CreatedAt), micros(d.Due))
}

func (s *Store) selectDeliveries(ctx context.Context, q string, args ...any) ([]webhooks.Delivery, error) {
	var found []deliveryRow
	if err := s.r.SelectContext(ctx, &found, s.engine.sql(q), args...); err != nil {
		return nil, fmt.Errorf("deliveries: %w", explain(err))
	}
	out := make([]webhooks.Delivery, len(found))
	for i := range found {
		out[i] = found[i].delivery()
	}
	return out, nil
}

// Delivery finds a delivery of an endpoint that a tenancy opens;
// fault.ErrNotFound.
func (s *Store) Delivery(ctx context.Context, t messaging.Tenancy, webhookID, id string) (webhooks.Delivery, error) {
	q, err := s.deliveryQuery(ctx, t, webhookID)
	if err != nil {
		return webhooks.Delivery{}, err
	}
	q.and("d.id = ", id)
	found, err := s.selectDeliveries(ctx, q.text(), q.args...)
	if err != nil {
		return webhooks.Delivery{}, err
	}
	if len(found) == 0 {
		return webhooks.Delivery{}, fault.ErrNotFound
	}
	return found[0], nil
}

// Deliveries lists deliveries of an endpoint that a tenancy opens, newest first,
// or oldest first behind f.After: up to one more than page.Limit. Faults:
// fault.ErrNotFound; fault.ErrBadRequest for an After or a cursor that is no id
// of a delivery.
func (s *Store) Deliveries(
	ctx context.Context, t messaging.Tenancy, webhookID string, f webhooks.DeliveryFilter, page messaging.Page,
) ([]webhooks.Delivery, error) {
	for _, id := range []string{f.After, page.Cursor} {
		if id != "" && !messaging.ValidID(messaging.DeliveryPrefix, id) {
			return nil, fault.ErrBadRequest.Saying("This is not the id of a delivery.")
		}
	}
	q, err := s.deliveryQuery(ctx, t, webhookID)
	if err != nil {
		return nil, err
	}
	if f.State != "" {
		q.and("d.state = ", string(f.State))
	}
	order := "DESC"
	switch {
	case f.After != "":
		order = "ASC"
		q.and("d.id > ", max(f.After, page.Cursor))
	case page.Cursor != "":
		q.and("d.id < ", page.Cursor)
	}
	q.tail(" ORDER BY d.id "+order+" LIMIT ", page.Limit+1)
	return s.selectDeliveries(ctx, q.text(), q.args...)
}

// deliveredEvent finds the event of a delivery.
const deliveredEvent = `SELECT 1 FROM events e
	WHERE e.workspace_id = d.workspace_id AND e.environment = d.environment AND e.sequence = d.sequence`

// deliveryQuery asks for the deliveries of an endpoint that a tenancy opens. The
// endpoint may have been told of other instances before: what concerns these
// stays closed.
func (s *Store) deliveryQuery(ctx context.Context, t messaging.Tenancy, webhookID string) (*query, error) {
	if _, err := s.Endpoint(ctx, t, webhookID); err != nil {
		return nil, err
	}
	q := new(query)
	q.tail(selectDeliveries+"d.webhook_id = ", webhookID)
	if allow := t.Allowlist(); !allow.All() {
		q.and("(d.event_type = ", string(messaging.EventWebhookTest))
		q.b.WriteString(" OR d.instance_id IN (''")
		for _, id := range allow.IDs() {
			q.tail(", ", id)
		}
		q.b.WriteString(") AND d.instance_id <> '' OR d.instance_id = '' AND EXISTS (" + deliveredEvent + " AND e.message_id <> '' AND ")
		q.wholeBulk("e.workspace_id", "e.environment", "e.message_id", allow)
		q.b.WriteString("))")
	}
	return q, nil
}

// DeliveryQueue is the store as the dispatcher of webhooks works on it: what is
// due and waits there are deliveries, not messages.
type DeliveryQueue struct{ *Store }

var _ webhooks.Queue = DeliveryQueue{}

// DeliveryQueue returns the queue of deliveries.
func (s *Store) DeliveryQueue() DeliveryQueue { return DeliveryQueue{s} }

const (
	selectDueDeliveries = selectDeliveries + `d.state = 'pending' AND d.node = $1 AND d.webhook_id = $2 AND d.due_at <= $3
		ORDER BY d.due_at, d.id LIMIT $4`

	// selectWaitingDeliveries must not go along the primary key, past all that is finished:
	// the expression that it orders by and the index say so to the two engines. The ids come
	// first, because the index has them: there may be a million, of which few are wanted.
	selectWaitingDeliveries = selectDeliveries + `d.webhook_id = $2 AND d.id IN (
			SELECT q.id FROM webhook_deliveries q
			INDEXED BY webhook_deliveries_pending -- only: sqlite
			WHERE q.state = 'pending' AND q.node = $1 AND q.webhook_id = $2 ORDER BY q.id || '' LIMIT $3)
		ORDER BY d.id`
)

// Due returns the pending deliveries of an endpoint that are a node's and due at
// now, the longest due first.
func (s DeliveryQueue) Due(ctx context.Context, node, webhookID string, now time.Time, limit int) ([]webhooks.Delivery, error) {
	return s.selectDeliveries(ctx, selectDueDeliveries, node, webhookID, micros(now), limit)
}

// Waiting returns the pending deliveries of an endpoint that are a node's, due
// or not, in the order of their ids.
func (s DeliveryQueue) Waiting(ctx context.Context, node, webhookID string, limit int) ([]webhooks.Delivery, error) {
	return s.selectDeliveries(ctx, selectWaitingDeliveries, node, webhookID, limit)
}

// NextDue returns when the next delivery of an endpoint that is a node's is due;
// zero when none is pending.
func (s DeliveryQueue) NextDue(ctx context.Context, node, webhookID string) (time.Time, error) {
	const q = `SELECT due_at FROM webhook_deliveries WHERE state = 'pending' AND node = $1 AND webhook_id = $2 ORDER BY due_at, id LIMIT 1`
	var due int64
	err := s.r.GetContext(ctx, &due, s.engine.sql(q), node, webhookID)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("next due: %w", explain(err))
	}
	return fromMicros(due), nil
}

// selectPendingNodes goes from one node to the next by the index, however many
// rows each has.
const selectPendingNodes = `WITH RECURSIVE n (node) AS (
		SELECT MIN(node) FROM webhook_deliveries WHERE state = 'pending'
		UNION ALL
		SELECT (SELECT MIN(d.node) FROM webhook_deliveries d WHERE d.state = 'pending' AND d.node > n.node) FROM n WHERE n.node IS NOT NULL
	) SELECT node FROM n WHERE node IS NOT NULL`

// pendingNodes returns whose the pending deliveries are, each node once.
func pendingNodes(ctx context.Context, r reader) (nodes []string, err error) {
	if err := r.SelectContext(ctx, &nodes, selectPendingNodes); err != nil {
		return nil, fmt.Errorf("nodes of deliveries: %w", explain(err))
	}
	return nodes, nil
}

// dropPending deletes the pending deliveries of an endpoint.
func (s *Store) dropPending(ctx context.Context, webhookID string) error {
	const q = `DELETE FROM webhook_deliveries WHERE webhook_id = $1 AND id IN (
		SELECT id FROM webhook_deliveries WHERE state = 'pending' AND node = $2 AND webhook_id = $1 LIMIT $3)`
	nodes, err := pendingNodes(ctx, s.r)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		for n := int64(sweepChunk); n == sweepChunk; {
			err := s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
				res, err := tx.ExecContext(ctx, q, webhookID, node, sweepChunk)
				if err != nil {
					return err
				}
				n, err = res.RowsAffected()
				return err
			})
			if err != nil {
				return fmt.Errorf("drop deliveries: %w", err)
			}
		}
	}
	return nil
}
