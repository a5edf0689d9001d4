package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"portaria/events/webhooks"
	"portaria/internal/fault"
	"portaria/messaging"
)

var (
	_ webhooks.Store = (*Store)(nil)
	_ webhooks.Nodes = (*Store)(nil)
)

// webhookRow is a row of webhooks with its rows of webhook_instances, without
// the secrets. Events keep webhooks in this form, too.
type webhookRow struct {
	WorkspaceID    string `db:"workspace_id" json:"workspace_id"`
	Environment    string `db:"environment" json:"environment"`
	ID             string `db:"id" json:"id"`
	URL            string `db:"url" json:"url"`
	Description    string `db:"description" json:"description"`
	Events         string `db:"events" json:"events"`
	AllInstances   bool   `db:"all_instances" json:"all_instances"`
	Instances      string `db:"instances" json:"instances"`
	Chats          string `db:"chats" json:"chats"`
	Ordered        bool   `db:"ordered" json:"ordered"`
	Enabled        bool   `db:"enabled" json:"enabled"`
	MaxAttempts    int    `db:"max_attempts" json:"max_attempts"`
	Schedule       string `db:"schedule" json:"schedule"`
	DisabledReason string `db:"disabled_reason" json:"disabled_reason"`
	DisabledAt     int64  `db:"disabled_at" json:"disabled_at"`
	FailingSince   int64  `db:"failing_since" json:"failing_since"`
	PreviousUntil  int64  `db:"previous_until" json:"previous_until"`
	CreatedAt      int64  `db:"created_at" json:"created_at"`
}

// endpointRow is a whole row of webhooks.
type endpointRow struct {
	webhookRow

	Secret         string `db:"secret"`
	PreviousSecret string `db:"previous_secret"`
}

const (
	// webhookColumns reads the instances in the same statement: an endpoint is
	// never seen with those of another moment.
	webhookColumns = `w.workspace_id, w.environment, w.id, w.url, w.description, w.events, w.all_instances, w.chats, w.ordered, w.enabled,
		w.max_attempts, w.schedule, w.disabled_reason, w.disabled_at, w.failing_since, w.previous_until, w.created_at,
		COALESCE((SELECT string_agg(i.instance_id, ' ' ORDER BY i.instance_id) FROM webhook_instances i
			WHERE i.workspace_id = w.workspace_id AND i.environment = w.environment AND i.webhook_id = w.id), '') AS instances`

	selectEndpoints = `SELECT ` + webhookColumns + `, w.secret, w.previous_secret FROM webhooks w
		WHERE w.deleted_at = 0`
)

func newWebhookRow(w *messaging.Webhook) webhookRow {
	return webhookRow{
		WorkspaceID: w.WorkspaceID, Environment: string(w.Environment), ID: w.ID, URL: w.URL, Description: w.Description,
		Events: strings.Join(w.Events, " "), AllInstances: w.Instances == nil, Instances: strings.Join(w.Instances, " "),
		Chats: string(w.Chats), Ordered: w.Ordered, Enabled: w.Enabled,
		MaxAttempts: w.MaxAttempts, Schedule: encodeSchedule(w.Schedule),
		DisabledReason: w.DisabledReason, DisabledAt: micros(w.DisabledAt), FailingSince: micros(w.FailingSince),
		PreviousUntil: micros(w.SecretRotatedUntil), CreatedAt: micros(w.CreatedAt),
	}
}

func (r *webhookRow) webhook() (messaging.Webhook, error) {
	w := messaging.Webhook{
		ID: r.ID, WorkspaceID: r.WorkspaceID, Environment: messaging.Environment(r.Environment), URL: r.URL, Description: r.Description,
		Events: strings.Fields(r.Events), Chats: messaging.Chats(r.Chats), Ordered: r.Ordered, Enabled: r.Enabled, MaxAttempts: r.MaxAttempts,
		DisabledReason: r.DisabledReason, DisabledAt: fromMicros(r.DisabledAt), FailingSince: fromMicros(r.FailingSince),
		SecretRotatedUntil: fromMicros(r.PreviousUntil), CreatedAt: fromMicros(r.CreatedAt),
	}
	if !r.AllInstances {
		w.Instances = strings.Fields(r.Instances)
	}
	var err error
	if w.Schedule, err = decodeSchedule(r.Schedule); err != nil {
		return w, fmt.Errorf("webhook %s: %w", r.ID, err)
	}
	return w, nil
}

func encodeSchedule(schedule []time.Duration) string {
	var b []byte
	for i, wait := range schedule {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, wait.Microseconds(), 10)
	}
	return string(b)
}

func decodeSchedule(text string) (schedule []time.Duration, err error) {
	for wait := range strings.FieldsSeq(text) {
		us, err := strconv.ParseInt(wait, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("schedule: %w", err)
		}
		schedule = append(schedule, time.Duration(us)*time.Microsecond)
	}
	return schedule, nil
}

func (r *endpointRow) endpoint() (webhooks.Endpoint, error) {
	w, err := r.webhook()
	return webhooks.Endpoint{Webhook: w, Secret: r.Secret, PreviousSecret: r.PreviousSecret}, err
}

// endpointQuery begins to ask for the endpoints that a tenancy opens: to one
// that is locked those that are narrowed to instances that it opens, all of
// them, be they deleted or not.
func endpointQuery(t messaging.Tenancy) *query {
	q := new(query)
	q.b.WriteString(selectEndpoints)
	q.and("w.workspace_id = ", t.Workspace())
	q.and("w.environment = ", string(t.Environment()))
	if t.Allowlist().All() {
		return q
	}
	const own = ` (SELECT 1 FROM webhook_instances n
		WHERE n.workspace_id = w.workspace_id AND n.environment = w.environment AND n.webhook_id = w.id`
	q.b.WriteString(" AND w.all_instances = FALSE AND EXISTS" + own + ") AND NOT EXISTS" + own + " AND n.instance_id NOT IN (''")
	for _, id := range t.Allowlist().IDs() {
		q.tail(", ", id)
	}
	q.b.WriteString("))")
	return q
}

// reader is what a query is run on: a pool, or a transaction.
type reader interface {
	SelectContext(ctx context.Context, dest any, query string, args ...any) error
}

func readEndpoints(ctx context.Context, r reader, q *query) ([]webhooks.Endpoint, error) {
	var found []endpointRow
	if err := r.SelectContext(ctx, &found, q.text(), q.args...); err != nil {
		return nil, fmt.Errorf("webhooks: %w", explain(err))
	}
	out := make([]webhooks.Endpoint, len(found))
	for i := range found {
		var err error
		if out[i], err = found[i].endpoint(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func readEndpoint(ctx context.Context, r reader, t messaging.Tenancy, id string) (webhooks.Endpoint, error) {
	q := endpointQuery(t)
	q.and("w.id = ", id)
	found, err := readEndpoints(ctx, r, q)
	if err != nil {
		return webhooks.Endpoint{}, err
	}
	if len(found) == 0 {
		return webhooks.Endpoint{}, fault.ErrNotFound
	}
	return found[0], nil
}

// Endpoint finds an endpoint; fault.ErrNotFound.
func (s *Store) Endpoint(ctx context.Context, t messaging.Tenancy, id string) (webhooks.Endpoint, error) {
	return readEndpoint(ctx, s.r, t, id)
}

// Endpoints lists endpoints, newest first: up to one more than page.Limit.
func (s *Store) Endpoints(ctx context.Context, t messaging.Tenancy, page messaging.Page) ([]webhooks.Endpoint, error) {
	q := endpointQuery(t)
	if page.Cursor != "" {
		q.and("w.id < ", page.Cursor)
	}
	q.tail(" ORDER BY w.id DESC LIMIT ", page.Limit+1)
	return readEndpoints(ctx, s.r, q)
}

// AllEndpoints lists the endpoints of every workspace, for the dispatcher.
func (s *Store) AllEndpoints(ctx context.Context) ([]webhooks.Endpoint, error) {
	q := new(query)
	q.b.WriteString(selectEndpoints + ` ORDER BY w.id`)
	return readEndpoints(ctx, s.r, q)
}

// EndpointEpoch grows with every change of an endpoint. When it has grown since
// it was last asked for, the next event is matched with endpoints that are read
// anew: another process may have changed them.
func (s *Store) EndpointEpoch(ctx context.Context) (int64, error) {
	n, err := s.epoch(ctx, "webhooks")
	if err == nil {
		s.routes.seen(n)
	}
	return n, err
}

// lockEndpoint keeps others from changing an endpoint until the transaction
// ends, where writers run side by side.
func (s *Store) lockEndpoint(ctx context.Context, tx queryer, workspace string, env messaging.Environment, id string) error {
	const q = `SELECT id FROM webhooks WHERE workspace_id = $1 AND environment = $2 AND id = $3 AND deleted_at = 0
		FOR UPDATE -- only: postgres
`
	err := tx.GetContext(ctx, &id, s.engine.sql(q), workspace, string(env), id)
	if errors.Is(err, sql.ErrNoRows) {
		return fault.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	return nil
}

// queryer reads one row.
type queryer interface {
	GetContext(ctx context.Context, dest any, query string, args ...any) error
}
