package store

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"portaria/internal/testpg"
	"portaria/messaging"
)

// What is asked of bulks must find its rows by an index that leads to them,
// however many rows there are beside them: a turn is decided while all other
// writers wait.
func TestWhatIsAskedOfBulksIsFoundByAnIndex(t *testing.T) {
	for _, url := range []string{"", testpg.Database(t)} {
		s, err := Open(t.Context(), Options{DataDir: t.TempDir(), DatabaseURL: url})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		fillBulks(t, s)
		messages := bulkMessages(messaging.NewTenancy("wsp_1", messaging.Test, messaging.AllInstances()), "blk_7")
		messages.tail(" ORDER BY m.id DESC LIMIT ", 51)
		for _, c := range []struct {
			name, query string
			args        []any
			index       string // what the plan must name
		}{
			{"messages of a bulk", messages.text(), messages.args, "messages_bulk"},
			{"rows", selectTurned, []any{"blk_7", int64(10), int64(20)}, "bulk_recipients_pkey|bulk_recipients_1|PRIMARY KEY"},
			{"rows again", selectAgain, []any{"blk_7", 10}, "bulk_recipients_again"},
			{"opt-outs", s.engine.text(selectOptedOut, 2, distinct), keysOf(selectOptedOut), "opt_outs_pkey|opt_outs_1|PRIMARY KEY"},
			{"what persons had", s.engine.text(selectHeard, 2, distinct), keysOf(selectHeard), "bulk_recipients_person"},
			{"open bulks", selectOpenBulks, nil, "bulks_open"},
			{"stray chunks", selectStray, nil, "bulk_chunks_pkey|bulk_chunks_1|PRIMARY KEY"},
		} {
			plan := explainPlan(t, s, c.query, c.args)
			if !regexp.MustCompile(c.index).MatchString(plan) || regexp.MustCompile(`SCAN (m|r|o|messages|bulk_recipients|opt_outs)\b|Seq Scan on (messages|bulk_recipients|opt_outs)`).MatchString(plan) {
				t.Errorf("%s: %s is not asked by %s:\n%s", s.engine.name, c.name, c.index, plan)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What the committer asks is planned once, perhaps while there is nothing, and
// PostgreSQL may keep that plan.
func TestPlansOfTurnsAreGoodEverAfter(t *testing.T) {
	s, conn := genericPlans(t)
	for _, when := range []string{"empty", "full"} {
		if when == "full" {
			fillBulks(t, s)
		}
		for name, c := range map[string]struct {
			statement *rows
			keys      []string // what the conditions of the indexes must name
		}{
			"opt_outs": {selectOptedOut, []string{`person = v\.column3`}},
			"heard":    {selectHeard, []string{`person = v\.column3\) AND \(at >`, `id = r\.message_id`, `id = r_1\.message_id`}},
			"marked":   {selectMarked, []string{`bulk_id = v\.column1\) AND \(row_number = v\.column2`}},
			"mark":     {markAgain, []string{`bulk_id = v\.column1\) AND \(row_number = v\.column2`}},
			"bulks":    {selectBulksToChange, []string{`id = v\.column1`}},
			"counts":   {updateBulks, []string{`id = v\.column1`}},
			"states":   {selectStates, []string{`id = v\.column3`}},
		} {
			plan := genericPlan(t, s, conn, name+"_"+when, c.statement)
			for _, key := range c.keys {
				if !regexp.MustCompile(`Index Cond: .*\b` + key).MatchString(plan) {
					t.Errorf("%s, %s: no index is asked for %s:\n%s", when, name, key, plan)
				}
			}
		}
	}
}

// A message's row of the outbox is found by its key, by plans of the first start
// and by those that know how many there are.
func TestPlansOfTheOutboxAskForItsKey(t *testing.T) {
	s, conn := genericPlans(t)
	key := regexp.MustCompile(`Index Cond: \(\(instance_id = v\.column1\) AND \(priority = v\.column2\) AND \("position" = v\.column3\)\)`)
	for _, when := range []string{"new", "counted"} {
		if when == "counted" {
			fillBulks(t, s)
			fillTestWorld(t, s)
		}
		for name, statement := range map[string]*rows{"moved": updateOutbox, "sent": deleteOutbox} {
			if plan := genericPlan(t, s, conn, name+"_"+when, statement); !key.MatchString(plan) {
				t.Errorf("%s, %s: the key is not asked for:\n%s", when, name, plan)
			}
		}
	}
}

// genericPlans opens a database of PostgreSQL, and a connection that plans as the
// committer's does once it knows a statement.
func genericPlans(t *testing.T) (*Store, *sqlx.Conn) {
	t.Helper()
	s, err := Open(t.Context(), Options{DataDir: t.TempDir(), DatabaseURL: testpg.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := s.w.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	for _, setting := range append(s.engine.session, "SET plan_cache_mode = force_generic_plan") {
		if _, err := conn.ExecContext(t.Context(), setting); err != nil {
			t.Fatal(err)
		}
	}
	return s, conn
}

func genericPlan(t *testing.T, s *Store, conn *sqlx.Conn, name string, r *rows) string {
	t.Helper()
	values := make([]string, len(r.columns))
	for i := range values {
		values[i] = "'{1,2}'"
	}
	if _, err := conn.ExecContext(t.Context(), "PREPARE "+name+" AS "+s.engine.sql(s.engine.text(r, 2, distinct))); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var lines []string
	if err := conn.SelectContext(t.Context(), &lines, "EXPLAIN EXECUTE "+name+"("+strings.Join(values, ",")+")"); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.Join(lines, "\n")
}

// keysOf makes two rows of keys for a statement, in the form of its engine.
func keysOf(r *rows) (args []any) {
	for range 2 {
		for _, k := range r.columns {
			if k == text {
				args = append(args, "x")
				continue
			}
			args = append(args, int64(1))
		}
	}
	return args
}

func explainPlan(t *testing.T, s *Store, query string, args []any) string {
	t.Helper()
	verb := "EXPLAIN "
	if s.engine.name == sqliteEngine.name {
		verb = "EXPLAIN QUERY PLAN "
	} else if strings.Contains(query, "unnest(") {
		args = arraysOf(query, args)
	}
	found, err := s.r.QueryxContext(t.Context(), verb+s.engine.sql(query), args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, query)
	}
	defer found.Close()
	var lines []string
	for found.Next() {
		columns, err := found.SliceScan()
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s", columns[len(columns)-1]))
	}
	return strings.Join(lines, "\n")
}

// arraysOf turns the keys of keysOf into one array for each column.
func arraysOf(query string, args []any) []any {
	for _, r := range []*rows{selectOptedOut, selectHeard} {
		if strings.HasPrefix(query, r.head) {
			return r.arrays(args, distinct)
		}
	}
	return args
}

// fillBulks makes many rows of other bulks, and has PostgreSQL count them.
func fillBulks(t *testing.T, s *Store) {
	t.Helper()
	const numbers = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) `
	for _, statement := range []string{
		`INSERT INTO messages (workspace_id, environment, id, instance_id, direction, peer_input, peer_wa_id, kind, content, metadata, priority, position,
			wa_message_id, key_id, lineage, bulk_id, sandbox, created_at, send_at, expires_at, status, events)
			` + numbers + `SELECT 'wsp_1', 'test', 'msg_' || i, 'ins_1', 'outbound', 'x', 'x', 'text', '{}', '', 2, i, 'WA' || i, 'key_1', 'key_1',
				CASE WHEN i % 2 = 0 THEN '' ELSE 'blk_' || (i % 100) END, '', i, 0, 0, 'sent', '' FROM n`,
		`INSERT INTO bulk_recipients (workspace_id, environment, bulk_id, row_number, person, instance_id, message_id, reason, at)
			` + numbers + `SELECT 'wsp_1', 'test', 'blk_' || (i % 100), i, 'p' || i, 'ins_1', 'msg_' || i, '', i FROM n`,
		`INSERT INTO bulk_chunks (bulk_id, first_row, row_count, data) ` + numbers + `SELECT 'blk_' || (i % 100), i, 1, '[]' FROM n`,
		`INSERT INTO workspaces (id, name, created_at) VALUES ('wsp_1', 'w', 1)`,
		`INSERT INTO opt_outs (workspace_id, environment, instance_id, person, peer_input, peer_wa_id, keyword, key_id, created_at)
			` + numbers + `SELECT 'wsp_1', 'test', 'ins_1', 'p' || i, '', '', '', '', i FROM n`,
		`INSERT INTO bulks (workspace_id, environment, id, name, instances, key_id, lineage, state, kind, template, metadata, options, total, queued, sent,
			delivered, read, failed, skipped, canceled, pending, next_row, created_at, send_at, started_at, paused_at, ended_at)
			` + numbers + `SELECT 'wsp_1', 'test', 'blk_' || i, '', 'ins_1', '', '', 'completed', 'text', '{}', '', '{}', 1, 0, 1, 0, 0, 0, 0, 0, 0, 2, i, 0, 1, 0, 1 FROM n`,
		"ANALYZE -- only: postgres\n",
	} {
		if statement = s.engine.sql(statement); statement == "" {
			continue
		}
		if _, err := s.w.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%v\n%s", err, statement)
		}
	}
}
