package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
	"github.com/jmoiron/sqlx"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox/runs"
)

var _ runs.Store = (*Store)(nil)

// runRow is a row of sandbox_runs.
type runRow struct {
	WorkspaceID string `db:"workspace_id"`
	ID          string `db:"id"`
	InstanceID  string `db:"instance_id"`
	OwnInstance bool   `db:"own_instance"`
	Lineage     string `db:"lineage"`
	Name        string `db:"name"`
	State       string `db:"state"`
	Passed      bool   `db:"passed"`
	StartedAt   int64  `db:"started_at"`
	EndedAt     int64  `db:"ended_at"`
	Report      string `db:"report"`
}

const selectRuns = `SELECT u.workspace_id, u.id, u.instance_id, u.own_instance, u.lineage, u.name, u.state, u.passed, u.started_at, u.ended_at,
		u.report
	FROM sandbox_runs u WHERE `

func (r *runRow) run() (runs.Run, error) {
	report, err := decodeReport(r.Report)
	if err != nil {
		return runs.Run{}, fmt.Errorf("run %s: %w", r.ID, err)
	}
	return runs.Run{
		ID: r.ID, WorkspaceID: r.WorkspaceID, InstanceID: r.InstanceID, OwnInstance: r.OwnInstance, Lineage: r.Lineage, Name: r.Name,
		State: runs.State(r.State), Passed: r.Passed, StartedAt: fromMicros(r.StartedAt), EndedAt: fromMicros(r.EndedAt), Report: report,
	}, nil
}

// encodeReport writes a report. Spans of time are in nanoseconds.
func encodeReport(r *runs.Report) (string, error) {
	b, err := json.Marshal(r, jsonv1.FormatDurationAsNano(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	return string(b), nil
}

func decodeReport(text string) (r runs.Report, err error) {
	if err := json.Unmarshal([]byte(text), &r, jsonv1.FormatDurationAsNano(true)); err != nil {
		return r, fmt.Errorf("report: %w", err)
	}
	return r, nil
}

// insertRun notes how far the events of the workspace have got.
const insertRun = `INSERT INTO sandbox_runs (workspace_id, environment, id, instance_id, own_instance, lineage, name, state, passed, started_at,
		ended_at, report, first_sequence, last_sequence)
	VALUES ($1, 'test', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
		COALESCE((SELECT h.sequence FROM event_heads h WHERE h.workspace_id = $1 AND h.environment = 'test'), 0), 0)`

// InsertRun stores a run that begins. Fault: fault.ErrConflict when there is a
// run with its id.
func (s *Store) InsertRun(ctx context.Context, r runs.Run) error {
	report, err := encodeReport(&r.Report)
	if err != nil {
		return fmt.Errorf("insert run: %w", err)
	}
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, insertRun, r.WorkspaceID, r.ID, r.InstanceID, r.OwnInstance, r.Lineage, storable(r.Name), string(r.State),
			r.Passed, micros(r.StartedAt), micros(r.EndedAt), report)
		if isUnique(err) {
			return fault.ErrConflict
		}
		if err != nil {
			return fmt.Errorf("insert run: %w", err)
		}
		return nil
	})
}

const endRun = `UPDATE sandbox_runs SET state = $1, passed = $2, ended_at = $3, report = $4,
		last_sequence = COALESCE((SELECT h.sequence FROM event_heads h WHERE h.workspace_id = $5 AND h.environment = 'test'), 0)
	WHERE workspace_id = $5 AND environment = 'test' AND id = $6 AND state = 'running'`

// EndRun stores what came of a run. One that has ended already stays as it is,
// and one that is gone is no error: its workspace has been reset.
func (s *Store) EndRun(ctx context.Context, r runs.Run) error {
	report, err := encodeReport(&r.Report)
	if err != nil {
		return fmt.Errorf("end run: %w", err)
	}
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, endRun, string(r.State), r.Passed, micros(r.EndedAt), report, r.WorkspaceID, r.ID); err != nil {
			return fmt.Errorf("end run: %w", err)
		}
		return nil
	})
}

// FindRun finds a run of a tenancy; fault.ErrNotFound, also for one of an
// instance that the tenancy does not open.
func (s *Store) FindRun(ctx context.Context, t messaging.Tenancy, id string) (runs.Run, error) {
	q := newQuery(selectRuns+`u.workspace_id = $1 AND u.environment = $2`, t)
	q.instances("u.instance_id", t.Allowlist(), "")
	q.and("u.id = ", id)
	var row runRow
	err := s.r.GetContext(ctx, &row, q.text(), q.args...)
	if errors.Is(err, sql.ErrNoRows) {
		return runs.Run{}, fault.ErrNotFound
	}
	if err != nil {
		return runs.Run{}, fmt.Errorf("run: %w", explain(err))
	}
	return row.run()
}

// OpenRuns lists the runs of all workspaces that have not ended, in the order of
// their ids: it is a recovery scan.
func (s *Store) OpenRuns(ctx context.Context) ([]runs.Run, error) {
	return s.selectRuns(ctx, selectRuns+`u.state = 'running' ORDER BY u.id`)
}

func (s *Store) selectRuns(ctx context.Context, q string, args ...any) ([]runs.Run, error) {
	var found []runRow
	if err := s.r.SelectContext(ctx, &found, q, args...); err != nil {
		return nil, fmt.Errorf("runs: %w", explain(err))
	}
	out := make([]runs.Run, len(found))
	for i := range found {
		var err error
		if out[i], err = found[i].run(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
