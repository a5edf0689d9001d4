package store_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"

	"portaria/migrations"
	"portaria/store"
	"portaria/store/storetest"
)

// older is an empty database as an earlier version left it, and what brings it to
// other ones.
func older(t *testing.T, engine string, version int64) (store.Options, *sql.DB, *goose.Provider) {
	t.Helper()
	o := storetest.Empty(t, engine)
	name, dsn, dialect := "postgres", o.DatabaseURL, goose.DialectPostgres
	if engine == "sqlite" {
		name, dsn, dialect = "sqlite", filepath.Join(o.DataDir, "portaria.db"), goose.DialectSQLite3
	}
	db, err := sql.Open(name, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	p, err := goose.NewProvider(dialect, db, migrations.For(engine))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	return o, db, p
}

// outboxRow is one of either version.
type outboxRow struct {
	Position    int64  `db:"position"`
	Instance    string `db:"instance_id"`
	Priority    int    `db:"priority"`
	Workspace   string `db:"workspace_id"`
	Environment string `db:"environment"`
	Message     string `db:"message_id"`
	DueAt       int64  `db:"due_at"`
	ExpiresAt   int64  `db:"expires_at"`
	Attempts    int64  `db:"attempts"`
	Parked      bool   `db:"parked"`
}

// What waited when the server was replaced by a newer one, or by the one before
// it, is still to be sent, and in its order.
func TestWhatWaitsOutlivesTheOutboxsNewKey(t *testing.T) {
	const before, after = 10, 11
	waiting := []outboxRow{
		{1<<40 + 1, "ins_a", 2, "w", "live", "msg_1", 0, 9, 0, false},
		{1<<40 + 2, "ins_b", 0, "w", "test", "msg_2", 7, 9, 3, true},
		{1<<40 + 3, "ins_a", 0, "w", "live", "msg_3", 0, 9, 1, false},
		{1<<40 + 4, "ins_a", 2, "w", "live", "msg_4", 8, 9, 0, false},
	}
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			_, db, p := older(t, engine, before)
			for _, r := range waiting {
				if _, err := db.ExecContext(t.Context(), `INSERT INTO outbox (position, instance_id, priority, workspace_id, environment, message_id,
					due_at, expires_at, attempts, parked) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, r.Position, r.Instance, r.Priority,
					r.Workspace, r.Environment, r.Message, r.DueAt, r.ExpiresAt, r.Attempts, r.Parked); err != nil {
					t.Fatal(err)
				}
			}
			for _, version := range []int64{after, before, after} {
				move := p.UpTo
				if version == before {
					move = p.DownTo
				}
				if _, err := move(t.Context(), version); err != nil {
					t.Fatalf("to version %d: %v", version, err)
				}
				var got []outboxRow
				if err := sqlx.NewDb(db, engine).SelectContext(t.Context(), &got, `SELECT * FROM outbox ORDER BY position`); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(waiting, got); diff != "" {
					t.Errorf("at version %d (-want +got):\n%s", version, diff)
				}
			}
		})
	}
}
