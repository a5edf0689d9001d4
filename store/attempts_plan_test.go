package store

import (
	"regexp"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"portaria/internal/testpg"
)

// Results come in while tens of thousands of deliveries wait or are kept, and the
// committer keeps the plan that PostgreSQL made when there were none: it must not
// go through all that waits, nor through all that an endpoint has ever been told.
func TestResultsAreFoundByTheirKeysHoweverManyDeliveriesThereAre(t *testing.T) {
	s, err := Open(t.Context(), Options{DataDir: t.TempDir(), DatabaseURL: testpg.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := s.w.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, setting := range s.engine.session {
		if _, err := conn.ExecContext(t.Context(), setting); err != nil {
			t.Fatal(err)
		}
	}
	for _, before := range []string{
		"SELECT 1", // an empty table
		`INSERT INTO webhook_deliveries (workspace_id, environment, webhook_id, id, sequence, event_id, event_type, instance_id, node, created_at, due_at)
			SELECT 'wsp_1', 'test', 'whk_1', 'dlv_' || i, i, 'evt_' || i, 'message.sent', 'ins_1', 'nod_1', i, i FROM generate_series(1, 20000) i`,
		"UPDATE webhook_deliveries SET state = 'delivered'",
		"ANALYZE webhook_deliveries",
	} {
		if _, err := conn.ExecContext(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		keys := []any{"whk_1", "dlv_19000", "nod_1"}
		result := []any{int64(1), "delivered", int64(0), int64(0), int64(200), int64(0), "", "", int64(19000)}
		byOneRow(t, s, conn, before, updateAttempts, append(keys[:3:3], result...))
		byOneRow(t, s, conn, before, deleteUnwanted, append(keys[:3:3], int64(19000)))
	}
}

// byOneRow fails unless a statement of eight rows looks each of them up by an
// index that finds no other.
func byOneRow(t *testing.T, s *Store, conn *sqlx.Conn, when string, statement *rows, row []any) {
	t.Helper()
	var args []any
	for range 8 {
		args = append(args, row...)
	}
	key := regexp.MustCompile(`Index Cond: \(.*\bwebhook_id = .*\b(id|sequence) = `)
	err := s.engine.each(statement, args, func(p piece) error {
		var lines []string
		err := conn.SelectContext(t.Context(), &lines, "EXPLAIN "+s.engine.text(statement, p.rows, p.alike), p.args...)
		plan := strings.Join(lines, "\n")
		if err == nil && (!key.MatchString(plan) || strings.Contains(plan, "webhook_deliveries_pending")) {
			t.Errorf("after %.40s:\n%s", when, plan)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
