package store

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"portaria/internal/testpg"
	"portaria/messaging"
)

// worldRow makes rows of a world that belong together. In the texts, {w} and {e}
// stand for the world, {i} for an instance of it, {h} for an endpoint, {k} for a
// number that is never the same, {u} for a ULID, {at} for a time, {place} for a
// place in the outbox at it.
type worldRow struct {
	name     string
	testOnly bool
	texts    []string
}

var worldRows = []worldRow{
	{"message", false, []string{`INSERT INTO messages (workspace_id, environment, id, instance_id, direction, peer_input, peer_wa_id, kind, content,
		metadata, priority, position, wa_message_id, key_id, lineage, bulk_id, sandbox, created_at, send_at, expires_at, status, events)
		VALUES ('{w}', '{e}', 'msg_{u}', '{i}', 'outbound', 'x', 'x', 'text', '', '', 2, {place}, 'WA{k}', '', '', '', '', {at}, 0, 0, 'sent', '')`}},
	{"inbound", false, []string{`INSERT INTO messages (workspace_id, environment, id, instance_id, direction, peer_input, peer_wa_id, kind, content,
		metadata, priority, position, wa_message_id, key_id, lineage, bulk_id, sandbox, created_at, send_at, expires_at, status, events)
		VALUES ('{w}', '{e}', 'msg_{u}', '{i}', 'inbound', 'x', 'x', 'text', '', '', 2, 0, 'WA{k}', '', '', '', '', {at}, 0, 0, 'received', '')`}},
	{"waiting", false, []string{
		`INSERT INTO messages (workspace_id, environment, id, instance_id, direction, peer_input, peer_wa_id, kind, content,
			metadata, priority, position, wa_message_id, key_id, lineage, bulk_id, sandbox, created_at, send_at, expires_at, status, events)
			VALUES ('{w}', '{e}', 'msg_{u}', '{i}', 'outbound', 'x', 'x', 'text', '', '', 2, {place}, 'WA{k}', '', '', '', '', {at}, 0, 0, 'queued', '')`,
		`INSERT INTO outbox (position, instance_id, priority, workspace_id, environment, message_id, due_at, expires_at)
			VALUES ({place}, '{i}', 2, '{w}', '{e}', 'msg_{u}', 0, {at})`,
	}},
	{"event", false, []string{
		`INSERT INTO events (workspace_id, environment, sequence, id, type, instance_id, message_id, occurred_at, data)
		VALUES ('{w}', '{e}', {k}, 'evt_{u}', 'message.sent', '{i}', '', {at}, '')`,
		`UPDATE event_heads SET sequence = {k} WHERE workspace_id = '{w}' AND environment = '{e}'`,
	}},
	{"claim", false, []string{`INSERT INTO idempotency_keys (workspace_id, environment, scope, request_hash, status, body, created_at)
		VALUES ('{w}', '{e}', 'scope{k}', '', 201, '', {at})`}},
	{"log", false, []string{`INSERT INTO api_logs (workspace_id, environment, at, request_id, key_id, lineage, method, route, status, error_code,
		duration_us, instance_id, ip, user_agent) VALUES ('{w}', '{e}', {at}, 'req_{k}', '', '', 'GET', '/', 200, '', 1, '{i}', '', '')`}},
	{"carriage", true, []string{
		`INSERT INTO sandbox_carriages (workspace_id, environment, instance_id, wa_message_id, message_id, peer_input, peer_wa_id, kind, content,
			sandbox, carried_at) VALUES ('{w}', '{e}', '{i}', 'WA{k}', 'msg_{u}', '', '', 'text', '', '', {at})`,
		`INSERT INTO sandbox_owed (id, instance_id, wa_message_id) VALUES ('{i}/WA{k}', '{i}', 'WA{k}')`,
	}},
	{"pairing", false, []string{
		newTestInstance("ins_p{k}", "0"),
		`INSERT INTO pairings (workspace_id, environment, instance_id, qr, code, expires_at) VALUES ('{w}', '{e}', 'ins_p{k}', 'qr', '', {at})`,
		`INSERT INTO pairing_links (token_hash, workspace_id, environment, instance_id, salt, pin_hash, wrong_pins, created_at, expires_at, used_at)
			VALUES ('token{k}', '{w}', '{e}', 'ins_p{k}', '', '', 0, {at}, {at}, 0)`,
	}},
	{"deleted", false, []string{
		newTestInstance("ins_d{k}", "{at}"),
		`INSERT INTO calls (instance_id, call_id, workspace_id, environment, received_at) VALUES ('ins_d{k}', 'call{k}', '{w}', '{e}', {at})`,
	}},
	{"deleted but named", false, []string{
		newTestInstance("ins_n{k}", "{at}"),
		`INSERT INTO webhook_instances (workspace_id, environment, webhook_id, instance_id) VALUES ('{w}', '{e}', '{h}', 'ins_n{k}')`,
	}},
	{"media", false, []string{`INSERT INTO media (workspace_id, environment, id, instance_id, lineage, mime, filename, size, sha256, created_at)
		VALUES ('{w}', '{e}', 'med_{u}', '', '', '', '', 1, '', {at})`}},
	{"call", false, []string{`INSERT INTO calls (instance_id, call_id, workspace_id, environment, received_at)
		VALUES ('{i}', 'call{k}', '{w}', '{e}', {at})`}},
	{"pace", false, []string{
		`INSERT INTO pace_sends (workspace_id, environment, instance_id, phone, slot, step, messages, last_at) VALUES ('{w}', '{e}', '{i}', '1', {k}, 1, 1, {at})`,
		`INSERT INTO pace_numbers (workspace_id, environment, instance_id, phone, began_at) VALUES ('{w}', '{e}', '{i}', '{k}', {at})`,
	}},
	{"delivery", false, []string{`INSERT INTO webhook_deliveries (workspace_id, environment, webhook_id, id, sequence, event_id, event_type, instance_id,
		node, created_at, due_at, state) VALUES ('{w}', '{e}', '{h}', 'dlv_{u}', {k}, '', '', '{i}', '', {at}, {at}, 'delivered')`}},
	{"bulk", false, []string{
		newTestBulk("completed"),
		`INSERT INTO bulk_instances (workspace_id, environment, bulk_id, instance_id) VALUES ('{w}', '{e}', 'blk_{u}', '{i}')`,
		`INSERT INTO bulk_chunks (bulk_id, first_row, row_count, data) VALUES ('blk_{u}', 1, 1, 'x')`,
		`INSERT INTO bulk_recipients (workspace_id, environment, bulk_id, row_number, person, instance_id, message_id, reason, at)
			VALUES ('{w}', '{e}', 'blk_{u}', 1, 'p{k}', '{i}', '', 'x', {at})`,
	}},
	{"running bulk", false, []string{
		newTestBulk("running"),
		`INSERT INTO bulk_chunks (bulk_id, first_row, row_count, data) VALUES ('blk_{u}', 1, 1, 'x')`,
	}},
	{"opt-out", false, []string{`INSERT INTO opt_outs (workspace_id, environment, instance_id, person, peer_input, peer_wa_id, keyword, key_id, created_at)
		VALUES ('{w}', '{e}', '', 'p{k}', '', '', '', '', {at})`}},
	{"run", true, []string{`INSERT INTO sandbox_runs (workspace_id, environment, id, instance_id, own_instance, lineage, name, state, passed, started_at,
		ended_at, report, first_sequence, last_sequence)
		VALUES ('{w}', '{e}', 'run_{u}', '{i}', FALSE, '', '', 'ended', TRUE, {at}, {at}, '{}', 0, 0)`}},
	{"seed", true, []string{`INSERT INTO sandbox_seeds (workspace_id, seed, requests) VALUES ('{w}', 'seed{k}', 1)`}},
	{"mark", true, []string{`INSERT INTO sandbox_marks (topic, at, value) VALUES ('{w}', {k}, 0)`}},
}

func newTestInstance(id, deleted string) string {
	return `INSERT INTO instances (workspace_id, environment, id, name, driver, desired, state, state_reason, state_since, state_until, phone,
		push_name, metadata, settings, created_at, deleted_at)
		VALUES ('{w}', '{e}', '` + id + `', '` + id + `', 'sandbox', 'connected', 'connected', '', 1, 0, '', '', '', '', {at}, ` + deleted + `)`
}

func newTestBulk(state string) string {
	return `INSERT INTO bulks (workspace_id, environment, id, name, instances, key_id, lineage, state, kind, template, metadata, options, total,
		queued, sent, delivered, read, failed, skipped, canceled, pending, next_row, created_at, send_at, started_at, paused_at, ended_at)
		VALUES ('{w}', '{e}', 'blk_{u}', '', '{i}', '', '', '` + state + `', 'text', '{}', '', '{}', 1, 0, 1, 0, 0, 0, 0, 0, 0, 2, {at}, 0, {at}, 0, {at})`
}

// world is what is set up of a world before anything happens.
var worldSetup = []string{
	newTestInstance("{i}", "0"),
	`INSERT INTO api_keys (workspace_id, environment, id, name, hash, tag, last4, scopes, all_instances, rate_per_minute, rate_burst,
		messages_per_minute, lineage, successor_id, created_at, expires_at, revoked_at, last_used_at)
		VALUES ('{w}', '{e}', 'key_{k}', '', '', '', '', '', FALSE, 1, 1, 1, '', '', {at}, 0, 0, 0)`,
	`INSERT INTO api_key_instances (workspace_id, environment, key_id, instance_id) VALUES ('{w}', '{e}', 'key_{k}', '{i}')`,
	`INSERT INTO webhooks (workspace_id, environment, id, url, description, events, all_instances, chats, ordered, enabled, max_attempts, schedule,
		disabled_reason, disabled_at, failing_since, secret, previous_secret, previous_until, created_at)
		VALUES ('{w}', '{e}', '{h}', '', '', '*', FALSE, 'all', FALSE, TRUE, 1, '', '', 0, 0, '', '', 0, {at})`,
	`INSERT INTO webhook_instances (workspace_id, environment, webhook_id, instance_id) VALUES ('{w}', '{e}', '{h}', '{i}')`,
	`INSERT INTO event_heads (workspace_id, environment, sequence) VALUES ('{w}', '{e}', 0)`,
	`INSERT INTO sink_cursors (sink, workspace_id, environment, sequence) VALUES ('nats', '{w}', '{e}', 1000000)`,
}

// rowMaker writes rows of worlds behind the store's back, all at once with flush.
type rowMaker struct {
	t    rapid.TB
	s    *Store
	k    int
	made []string
}

// make makes rows of a kind, n times.
func (m *rowMaker) make(w messaging.World, at time.Time, n int, texts ...string) {
	for range n {
		m.k++
		named := strings.NewReplacer("{w}", w.WorkspaceID, "{e}", string(w.Environment), "{i}", "ins_"+w.WorkspaceID+string(w.Environment),
			"{h}", "whk_"+w.WorkspaceID+string(w.Environment), "{k}", strconv.Itoa(m.k), "{u}", messaging.NewID("", at),
			"{at}", strconv.FormatInt(at.UnixMicro(), 10), "{place}", strconv.FormatInt((at.UnixMicro()+int64(m.k))<<nodeBits, 10))
		for _, text := range texts {
			m.made = append(m.made, named.Replace(text))
		}
	}
}

func (m *rowMaker) flush() {
	m.t.Helper()
	run(m.t, m.s, m.made...)
	m.made = nil
}

// run runs statements in one transaction.
func run(t rapid.TB, s *Store, texts ...string) {
	t.Helper()
	tx, err := s.w.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for _, text := range texts {
		if _, err := tx.Exec(text); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// workspace makes a workspace with what is set up in both of its worlds.
func (m *rowMaker) workspace(id string, at time.Time) (test, live messaging.World) {
	test = messaging.World{WorkspaceID: id, Environment: messaging.Test}
	live = messaging.World{WorkspaceID: id, Environment: messaging.Live}
	m.make(test, at, 1, `INSERT INTO workspaces (id, name, created_at) VALUES ('{w}', '{w}', {at})`,
		`INSERT INTO sandbox_clocks (workspace_id, mode, offset_us, frozen_at) VALUES ('{w}', 'real', 0, 0)`)
	m.make(test, at, 1, worldSetup...)
	m.make(live, at, 1, worldSetup...)
	return test, live
}

// of inserts rows of the kind with a name.
func (m *rowMaker) of(name string, w messaging.World, at time.Time, n int) {
	m.t.Helper()
	for _, r := range worldRows {
		if r.name == name {
			m.make(w, at, n, r.texts...)
			return
		}
	}
	m.t.Fatalf("no rows of the kind %q", name)
}

// AllRows is readAll for tests outside the package.
func AllRows(t rapid.TB, s *Store) map[string][]string { return readAll(t, s) }

// contents are all rows of all tables, as text.
type contents map[string][]string

func readAll(t rapid.TB, s *Store) contents {
	t.Helper()
	all := make(contents)
	for _, table := range tableNames(t, s) {
		found, err := s.r.Queryx(`SELECT * FROM ` + table)
		if err != nil {
			t.Fatal(err)
		}
		columns, _ := found.Columns()
		all[table] = nil
		for found.Next() {
			values, err := found.SliceScan()
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for i, v := range values {
				if text, ok := v.([]byte); ok {
					v = string(text)
				}
				fmt.Fprintf(&b, "%s=%v;", columns[i], v)
			}
			all[table] = append(all[table], b.String())
		}
		if err := errorsJoinClose(found.Err(), found.Rows); err != nil {
			t.Fatal(err)
		}
		slices.Sort(all[table])
	}
	return all
}

func tableNames(t rapid.TB, s *Store) (names []string) {
	t.Helper()
	err := s.r.Select(&names, s.engine.sql(`
		SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'goose%' -- only: sqlite
		SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%' -- only: postgres
	`))
	if err != nil || len(names) == 0 {
		t.Fatalf("%v, %v", names, err)
	}
	return names
}

// split parts the rows of a world from all others. Rows without a tenancy name an
// instance, an endpoint, a bulk or a topic that does.
func (c contents) split(w messaging.World) (own, others contents) {
	own, others = make(contents), make(contents)
	tenancy := fmt.Sprintf("workspace_id=%s;environment=%s;", w.WorkspaceID, w.Environment)
	var bulks []string
	for _, row := range append(slices.Clone(c["bulks"]), c["bulk_recipients"]...) {
		if strings.Contains(row, tenancy) {
			bulks = append(bulks, idIn(row, "blk_"))
		}
	}
	for table, rows := range c {
		own[table], others[table] = nil, nil
		for _, row := range rows {
			belongs := strings.Contains(row, tenancy)
			switch table {
			case "sandbox_seeds":
				belongs = strings.HasPrefix(row, "workspace_id="+w.WorkspaceID+";")
			case "sandbox_marks":
				belongs = strings.HasPrefix(row, "topic="+w.WorkspaceID+";")
			case "sandbox_owed":
				belongs = strings.Contains(row, "instance_id=ins_"+w.WorkspaceID+string(w.Environment)+";")
			case "bulk_chunks":
				belongs = slices.Contains(bulks, idIn(row, "blk_"))
			case "outbox":
				belongs = strings.Contains(row, "workspace_id="+w.WorkspaceID+";environment="+string(w.Environment)+";")
			}
			if belongs {
				own[table] = append(own[table], row)
			} else {
				others[table] = append(others[table], row)
			}
		}
	}
	return own, others
}

// idIn returns the id with a prefix in a row.
func idIn(row, prefix string) string {
	_, rest, _ := strings.Cut(row, prefix)
	id, _, _ := strings.Cut(rest, ";")
	return prefix + id
}

// eachEngine runs a test inside the package on both engines.
func eachEngine(t *testing.T, f func(t *testing.T, s *Store)) {
	t.Helper()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			o := Options{DataDir: t.TempDir()}
			if engine == "postgres" {
				o.DatabaseURL = testpg.Database(t)
			}
			s, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			f(t, s)
		})
	}
}
