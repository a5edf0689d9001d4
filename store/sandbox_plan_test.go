package store

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"portaria/messaging"
)

// A reset and the retention of test worlds hold everybody up for as long as one
// of their statements takes: each must be led to its rows by an index, however
// many rows there are beside them.
func TestWhatTestWorldsLeaveIsFoundByAnIndex(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		fillBulks(t, s)
		fillTestWorld(t, s)
		const ws, ins = "wsp_1", "ins_7"
		limit, now := sweepChunk, time.Now().UnixMicro()
		w := messaging.World{WorkspaceID: ws, Environment: messaging.Test}
		deliveries := newQuery(`DELETE FROM webhook_deliveries WHERE workspace_id = $1 AND environment = $2`, worldTenancy(w))
		deliveries.and("webhook_id = ", "whk_7")
		within(deliveries, "sequence", []int64{7, 9, 12})
		events := newQuery(`DELETE FROM events WHERE workspace_id = $1 AND environment = $2`, worldTenancy(w))
		within(events, "sequence", []int64{7, 9, 12})
		for _, c := range []struct {
			name, query string
			args        []any
		}{
			{"claims", clearClaims.clear, []any{ws, limit}},
			{"outbox", clearOutbox.clear, []any{ins, limit}},
			{"instances with an outbox", clearOutbox.owners, []any{ws}},
			{"carriages", clearCarriages.clear, []any{ins, limit}},
			{"instances with carriages", clearCarriages.owners, []any{ws}},
			{"calls", clearCalls.clear, []any{ins, limit}},
			{"deliveries", clearDeliveries.clear, []any{"whk_7", limit}},
			{"endpoints with deliveries", clearDeliveries.owners, []any{ws}},
			{"events", clearEvents.clear, []any{ws, limit}},
			{"messages", clearMessages.clear, []any{ws, limit}},
			{"pace", clearPaceSends.clear, []any{ws, limit}},
			{"recipients", clearRecipients, []any{"blk_7", limit}},
			{"bulks with recipients", selectStrayRecipients, nil},
			{"messages of an instance", instanceClearings[len(instanceClearings)-1], []any{ins, limit}},
			{"deliveries of events", deliveries.text(), deliveries.args},
			{"events of an instance", events.text(), events.args},
			{"debts", selectDebts, []any{"", limit}},
			{"old debts", sweepDebts, []any{"ins_1", "ins_11"}},
			{"next messages", nextMessages, []any{ws, "msg_1", "msg_9", limit}},
			{"old messages", sweepMessages, []any{ws, "msg_1", "msg_11", now, now << nodeBits, now}},
			{"next events", nextTestEvents, []any{ws, int64(0), int64(math.MaxInt32), limit}},
			{"old carriages", sweepCarriages, []any{int64(5000), limit}},
			{"old calls", sweepCalls, []any{ws, int64(5000), limit}},
		} {
			if plan := planByKeys(t, s, c.query, c.args); readsAll(plan) {
				t.Errorf("%s are found by reading all:\n%s", c.name, plan)
			}
		}
	})
}

// readsAll reports whether a plan goes through a table that may be large, or
// through an index of it.
func readsAll(plan string) bool {
	const large = `(messages|outbox|events|sandbox_carriages|sandbox_owed|webhook_deliveries|calls|media|idempotency_keys|bulk_recipients|pace_sends)`
	if regexp.MustCompile(`SCAN ` + large + `\b|Seq Scan on ` + large + `\b`).MatchString(plan) {
		return true
	}
	scan := regexp.MustCompile(`Index (Only )?Scan using \S+ on ` + large + `\b`)
	lines := strings.Split(plan, "\n")
	for i, line := range lines {
		if scan.MatchString(line) && (i+1 == len(lines) || !strings.Contains(lines[i+1], "Index Cond:")) {
			return true
		}
	}
	return false
}

// planByKeys returns the plan of a statement as deleteSome has it made.
func planByKeys(t *testing.T, s *Store, query string, args []any) string {
	t.Helper()
	if !s.engine.roundTrips || !strings.HasPrefix(query, "DELETE") {
		return explainPlan(t, s, query, args)
	}
	tx, err := s.w.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var lines []string
	if _, err := tx.Exec(byKeys); err != nil {
		t.Fatal(err)
	}
	if err := tx.Select(&lines, "EXPLAIN "+query, args...); err != nil {
		t.Fatalf("%v\n%s", err, query)
	}
	return strings.Join(lines, "\n")
}

// fillTestWorld makes many rows of many instances and endpoints of wsp_1 beside
// those of fillBulks.
func fillTestWorld(t *testing.T, s *Store) {
	t.Helper()
	const numbers = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) `
	texts := []string{
		`INSERT INTO instances (workspace_id, environment, id, name, driver, desired, state, state_reason, state_since, state_until, phone,
			push_name, metadata, settings, created_at) ` + numbers + `SELECT 'wsp_1', 'test', 'ins_' || i, 'n' || i, '', '', '', '', 0, 0, '', '', '', '', 0
			FROM n WHERE i <= 100`,
		`INSERT INTO webhooks (workspace_id, environment, id, url, description, events, all_instances, chats, ordered, enabled, max_attempts, schedule,
			disabled_reason, disabled_at, failing_since, secret, previous_secret, previous_until, created_at)
			` + numbers + `SELECT 'wsp_1', 'test', 'whk_' || i, '', '', '*', TRUE, '', FALSE, TRUE, 1, '', '', 0, 0, '', '', 0, 0 FROM n WHERE i <= 20`,
		`INSERT INTO outbox (position, instance_id, priority, workspace_id, environment, message_id, due_at, expires_at)
			` + numbers + `SELECT i, 'ins_' || (i % 100), 2, 'wsp_1', 'test', 'msg_' || i, 0, 0 FROM n`,
		`INSERT INTO events (workspace_id, environment, sequence, id, type, instance_id, message_id, occurred_at, data)
			` + numbers + `SELECT 'wsp_1', 'test', i, 'evt_' || i, '', 'ins_' || (i % 100), '', i, '' FROM n`,
		`INSERT INTO sandbox_carriages (workspace_id, environment, instance_id, wa_message_id, message_id, peer_input, peer_wa_id, kind, content, sandbox,
			carried_at) ` + numbers + `SELECT 'wsp_1', 'test', 'ins_' || (i % 100), 'WA' || i, 'msg_' || i, '', '', 'text', '', '', i FROM n`,
		`INSERT INTO sandbox_owed (id, instance_id, wa_message_id) ` + numbers + `SELECT 'ins_' || (i % 100) || '/WA' || i, 'ins_' || (i % 100), 'WA' || i FROM n`,
		`INSERT INTO webhook_deliveries (workspace_id, environment, webhook_id, id, sequence, event_id, event_type, instance_id, node, created_at, due_at)
			` + numbers + `SELECT 'wsp_1', 'test', 'whk_' || (i % 20), 'dlv_' || i, i, '', '', 'ins_' || (i % 100), '', i, i FROM n`,
		`INSERT INTO calls (instance_id, call_id, workspace_id, environment, received_at)
			` + numbers + `SELECT 'ins_' || (i % 100), 'call' || i, 'wsp_1', 'test', i FROM n`,
		`INSERT INTO idempotency_keys (workspace_id, environment, scope, request_hash, status, body, created_at)
			` + numbers + `SELECT 'wsp_1', 'test', 's' || i, '', 201, '', i FROM n`,
		`INSERT INTO pace_sends (workspace_id, environment, instance_id, phone, slot, step, messages, last_at)
			` + numbers + `SELECT 'wsp_1', 'test', 'ins_' || (i % 100), '1', i, 1, 1, i FROM n`,
	}
	if s.engine.name == postgresEngine.name {
		texts = append(texts, "ANALYZE")
	}
	run(t, s, texts...)
}
