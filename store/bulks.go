package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox/bulk"
)

var (
	_ bulk.Store   = (*Store)(nil)
	_ bulk.OptOuts = (*Store)(nil)
)

// bulkRow is a row of bulks. Events keep bulks in this form, too.
type bulkRow struct {
	WorkspaceID string `db:"workspace_id" json:"workspace_id"`
	Environment string `db:"environment" json:"environment"`
	ID          string `db:"id" json:"id"`
	Name        string `db:"name" json:"name"`
	Instances   string `db:"instances" json:"instances"`
	KeyID       string `db:"key_id" json:"key_id"`
	Lineage     string `db:"lineage" json:"lineage"`
	State       string `db:"state" json:"state"`
	Kind        string `db:"kind" json:"kind"`
	Template    string `db:"template" json:"template"`
	Metadata    string `db:"metadata" json:"metadata"`
	Options     string `db:"options" json:"options"`
	Pending     int64  `db:"pending" json:"pending"`
	Next        int64  `db:"next_row" json:"next_row"`
	CreatedAt   int64  `db:"created_at" json:"created_at"`
	SendAt      int64  `db:"send_at" json:"send_at"`
	StartedAt   int64  `db:"started_at" json:"started_at"`
	PausedAt    int64  `db:"paused_at" json:"paused_at"`
	EndedAt     int64  `db:"ended_at" json:"ended_at"`
	messaging.BulkCounts
}

const (
	bulkColumns = `k.workspace_id, k.environment, k.id, k.name, k.instances, k.key_id, k.lineage, k.state, k.kind, k.template, k.metadata,
		k.options, k.total, k.queued, k.sent, k.delivered, k.read, k.failed, k.skipped, k.canceled, k.pending, k.next_row,
		k.created_at, k.send_at, k.started_at, k.paused_at, k.ended_at`

	selectBulks = `SELECT ` + bulkColumns + ` FROM bulks k WHERE k.workspace_id = $1 AND k.environment = $2`

	selectOpenBulks = `SELECT ` + bulkColumns + ` FROM bulks k
		WHERE k.state IN ('scheduled', 'running', 'paused', 'canceled') AND (k.state <> 'canceled' OR k.queued > 0) ORDER BY k.id`
)

// newBulkRow is made on the caller's goroutine: the committer has enough to do.
func newBulkRow(b *messaging.Bulk) (r bulkRow, err error) {
	template, err := encodeContent(b.Template)
	if err != nil {
		return r, fmt.Errorf("template: %w", err)
	}
	options, err := encodeOptions(&b.Options)
	if err != nil {
		return r, err
	}
	return bulkRow{
		WorkspaceID: b.WorkspaceID, Environment: string(b.Environment), ID: b.ID, Name: b.Name,
		Instances: strings.Join(b.InstanceIDs, " "), KeyID: b.KeyID, Lineage: b.Lineage, State: string(b.State),
		Kind: string(b.Template.Kind), Template: template, Metadata: string(b.Metadata), Options: options,
		BulkCounts: b.Counts, Pending: b.Pending, Next: b.Next, CreatedAt: micros(b.CreatedAt), SendAt: micros(b.Options.SendAt),
		StartedAt: micros(b.StartedAt), PausedAt: micros(b.PausedAt), EndedAt: micros(b.EndedAt),
	}, nil
}

func (r *bulkRow) bulk() (b messaging.Bulk, err error) {
	b = messaging.Bulk{
		ID: r.ID, WorkspaceID: r.WorkspaceID, Environment: messaging.Environment(r.Environment), Name: r.Name,
		InstanceIDs: strings.Fields(r.Instances), KeyID: r.KeyID, Lineage: r.Lineage, State: messaging.BulkState(r.State),
		Counts: r.BulkCounts, Pending: r.Pending, Next: r.Next, CreatedAt: fromMicros(r.CreatedAt),
		StartedAt: fromMicros(r.StartedAt), PausedAt: fromMicros(r.PausedAt), EndedAt: fromMicros(r.EndedAt),
	}
	if r.Metadata != "" {
		b.Metadata = []byte(r.Metadata)
	}
	if b.Template, err = decodeContent(r.Kind, r.Template); err != nil {
		return b, fmt.Errorf("bulk %s: %w", r.ID, err)
	}
	if b.Options, err = decodeOptions(r.Options); err != nil {
		return b, fmt.Errorf("bulk %s: %w", r.ID, err)
	}
	return b, nil
}

// instance returns the one instance of a bulk; empty when it has several.
func (r *bulkRow) instance() string {
	if strings.Contains(r.Instances, " ") {
		return ""
	}
	return r.Instances
}

// wholeBulk narrows to bulks all of whose instances a locked tenancy opens. The
// columns say where the bulk's key stands.
func (q *query) wholeBulk(workspace, environment, id string, allow messaging.Allowlist) {
	own := `(SELECT 1 FROM bulk_instances n
		WHERE n.workspace_id = ` + workspace + ` AND n.environment = ` + environment + ` AND n.bulk_id = ` + id
	q.b.WriteString("EXISTS " + own + ") AND NOT EXISTS " + own + " AND n.instance_id NOT IN (''")
	for _, instance := range allow.IDs() {
		q.tail(", ", instance)
	}
	q.b.WriteString("))")
}

// Bulk finds a bulk; fault.ErrNotFound, also for one that has an instance which
// the tenancy does not open.
func (s *Store) Bulk(ctx context.Context, t messaging.Tenancy, id string) (messaging.Bulk, error) {
	var row bulkRow
	q := bulkQuery(t)
	q.and("k.id = ", id)
	err := s.r.GetContext(ctx, &row, q.text(), q.args...)
	if errors.Is(err, sql.ErrNoRows) {
		return messaging.Bulk{}, fault.ErrNotFound
	}
	if err != nil {
		return messaging.Bulk{}, fmt.Errorf("bulk: %w", explain(err))
	}
	return row.bulk()
}

// Bulks lists bulks, newest first: up to one more than page.Limit.
func (s *Store) Bulks(ctx context.Context, t messaging.Tenancy, page messaging.Page) ([]messaging.Bulk, error) {
	q := bulkQuery(t)
	if page.Cursor != "" {
		q.and("k.id < ", page.Cursor)
	}
	q.tail(" ORDER BY k.id DESC LIMIT ", page.Limit+1)
	return s.selectBulks(ctx, q.text(), q.args...)
}

// bulkQuery begins to ask for the bulks that a tenancy opens.
func bulkQuery(t messaging.Tenancy) *query {
	q := newQuery(selectBulks, t)
	if allow := t.Allowlist(); !allow.All() {
		q.b.WriteString(" AND ")
		q.wholeBulk("k.workspace_id", "k.environment", "k.id", allow)
	}
	return q
}

// OpenBulks lists the bulks of all workspaces that have not ended, oldest first.
func (s *Store) OpenBulks(ctx context.Context) ([]messaging.Bulk, error) {
	return s.selectBulks(ctx, selectOpenBulks)
}

func (s *Store) selectBulks(ctx context.Context, q string, args ...any) ([]messaging.Bulk, error) {
	var found []bulkRow
	if err := s.r.SelectContext(ctx, &found, q, args...); err != nil {
		return nil, fmt.Errorf("bulks: %w", explain(err))
	}
	out := make([]messaging.Bulk, len(found))
	for i := range found {
		var err error
		if out[i], err = found[i].bulk(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
