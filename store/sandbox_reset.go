package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"portaria/messaging"
)

// A reset clears the test world of a workspace: what happened goes, what was set
// up stays. It deletes in many short transactions, so that no writer waits long;
// one that was broken off is begun again.
//
// Keys, instances, endpoints, the log of requests, the clock, and how far the
// events have been numbered and read stay: a sequence is never given twice, so
// that the cursors of streams stay good.

// clearing deletes rows of one owner, each time up to as many as its last
// parameter says.
type clearing struct {
	// owners lists who has rows, in a workspace; empty: the workspace itself.
	owners string
	// clear deletes the rows that come first. Its parameters are the workspace,
	// unless there are owners; the owner; and how many rows go at once.
	clear string
}

const (
	testInstancesWith = `SELECT i.id FROM instances i WHERE i.workspace_id = $1 AND i.environment = 'test' AND EXISTS (SELECT 1 FROM `
	testEndpointsWith = `SELECT w.id FROM webhooks w WHERE w.workspace_id = $1 AND w.environment = 'test' AND EXISTS (SELECT 1 FROM `
	ofTestWorld       = ` WHERE workspace_id = $1 AND environment = 'test'`
)

// The rows of one table go in the order of a key, up to the key of the last one
// that may go: both engines read no others, however they plan it.
var (
	clearClaims = clearing{clear: `DELETE FROM idempotency_keys` + ofTestWorld + ` AND scope <= (SELECT MAX(scope) FROM (
		SELECT scope FROM idempotency_keys` + ofTestWorld + ` ORDER BY scope LIMIT $2) first)`}

	clearOutbox = clearing{
		owners: testInstancesWith + `outbox o WHERE o.instance_id = i.id)`,
		clear: `DELETE FROM outbox WHERE (instance_id, priority, position) IN (
			SELECT instance_id, priority, position FROM outbox WHERE instance_id = $1 ORDER BY priority, position LIMIT $2)`,
	}
	clearCarriages = clearing{
		owners: testInstancesWith + `sandbox_carriages c WHERE c.instance_id = i.id)`,
		clear: `DELETE FROM sandbox_carriages WHERE instance_id = $1 AND wa_message_id <= (SELECT MAX(wa_message_id) FROM (
			SELECT wa_message_id FROM sandbox_carriages WHERE instance_id = $1 ORDER BY wa_message_id LIMIT $2) first)`,
	}
	clearCalls = clearing{
		owners: testInstancesWith + `calls c WHERE c.instance_id = i.id)`,
		clear: `DELETE FROM calls WHERE instance_id = $1 AND call_id <= (SELECT MAX(call_id) FROM (
			SELECT call_id FROM calls WHERE instance_id = $1 ORDER BY call_id LIMIT $2) first)`,
	}
	clearDeliveries = clearing{
		owners: testEndpointsWith + `webhook_deliveries d WHERE d.webhook_id = w.id)`,
		clear: `DELETE FROM webhook_deliveries WHERE webhook_id = $1 AND id <= (SELECT MAX(id) FROM (
			SELECT id FROM webhook_deliveries WHERE webhook_id = $1 ORDER BY id LIMIT $2) first)`,
	}
	clearEvents = clearing{clear: `DELETE FROM events` + ofTestWorld + ` AND sequence <= (SELECT MAX(sequence) FROM (
		SELECT sequence FROM events` + ofTestWorld + ` ORDER BY sequence LIMIT $2) first)`}

	clearMessages = clearing{clear: `DELETE FROM messages` + ofTestWorld + ` AND id <= (SELECT MAX(id) FROM (
		SELECT id FROM messages` + ofTestWorld + ` ORDER BY id LIMIT $2) first)`}

	clearOptOuts = clearing{clear: `DELETE FROM opt_outs` + ofTestWorld + ` AND person <= (SELECT MAX(person) FROM (
		SELECT person FROM opt_outs` + ofTestWorld + ` ORDER BY person LIMIT $2) first)`}

	clearPaceSends = clearing{clear: `DELETE FROM pace_sends` + ofTestWorld + ` AND instance_id <= (SELECT MAX(instance_id) FROM (
		SELECT instance_id FROM pace_sends` + ofTestWorld + ` ORDER BY instance_id LIMIT $2) first)`}

	clearPaceNumbers = clearing{clear: `DELETE FROM pace_numbers` + ofTestWorld + ` AND instance_id <= (SELECT MAX(instance_id) FROM (
		SELECT instance_id FROM pace_numbers` + ofTestWorld + ` ORDER BY instance_id LIMIT $2) first)`}

	clearPairings = clearing{clear: `DELETE FROM pairings` + ofTestWorld + ` AND instance_id <= (SELECT MAX(instance_id) FROM (
		SELECT instance_id FROM pairings` + ofTestWorld + ` ORDER BY instance_id LIMIT $2) first)`}

	clearPairingLinks = clearing{
		owners: testInstancesWith + `pairing_links l WHERE l.instance_id = i.id)`,
		clear: `DELETE FROM pairing_links WHERE token_hash IN (
			SELECT token_hash FROM pairing_links WHERE instance_id = $1 LIMIT $2)`,
	}
	clearRuns = clearing{clear: `DELETE FROM sandbox_runs` + ofTestWorld + ` AND id <= (SELECT MAX(id) FROM (
		SELECT id FROM sandbox_runs` + ofTestWorld + ` ORDER BY id LIMIT $2) first)`}

	clearSeeds = clearing{clear: `DELETE FROM sandbox_seeds WHERE workspace_id = $1 AND seed <= (SELECT MAX(seed) FROM (
		SELECT seed FROM sandbox_seeds WHERE workspace_id = $1 ORDER BY seed LIMIT $2) first)`}

	clearMarks = clearing{clear: `DELETE FROM sandbox_marks WHERE topic = $1 AND at <= (SELECT MAX(at) FROM (
		SELECT at FROM sandbox_marks WHERE topic = $1 ORDER BY at LIMIT $2) first)`}

	// clearDeleted lets a deleted instance go unless an endpoint or a bulk still
	// names it.
	clearDeleted = clearing{clear: `DELETE FROM instances` + ofTestWorld + ` AND id IN (
		SELECT i.id FROM instances i WHERE i.workspace_id = $1 AND i.environment = 'test' AND i.deleted_at > 0` + unnamed + ` LIMIT $2)`}
)

// unnamed says that no row with a foreign key names an instance i.
const unnamed = `
	AND NOT EXISTS (SELECT 1 FROM webhook_instances w WHERE w.workspace_id = i.workspace_id AND w.environment = i.environment AND w.instance_id = i.id)
	AND NOT EXISTS (SELECT 1 FROM bulk_instances b WHERE b.workspace_id = i.workspace_id AND b.environment = i.environment AND b.instance_id = i.id)
	AND NOT EXISTS (SELECT 1 FROM api_key_instances k WHERE k.workspace_id = i.workspace_id AND k.environment = i.environment AND k.instance_id = i.id)
	AND NOT EXISTS (SELECT 1 FROM pairings p WHERE p.workspace_id = i.workspace_id AND p.environment = i.environment AND p.instance_id = i.id)
	AND NOT EXISTS (SELECT 1 FROM pairing_links l WHERE l.instance_id = i.id)`

// ResetSandbox deletes what happened in a workspace's test world. Answers that
// are kept for Idempotency-Key go first, since they tell of the rest, and what is
// to be sent goes before what was; the counts of seeds go last, because the ids
// that they stand for are drawn again from then on.
//
// Nobody may play a run or send a bulk meanwhile. What is handed in meanwhile may
// go with the rest, or stay.
func (s *Store) ResetSandbox(ctx context.Context, workspace string) error {
	world := messaging.World{WorkspaceID: workspace, Environment: messaging.Test}
	for _, step := range []func() error{
		func() error { return s.clear(ctx, workspace, clearClaims, clearOutbox) },
		func() error { return s.settleWorld(ctx, workspace) },
		func() error { return s.forgetBulks(ctx, workspace) },
		func() error {
			return s.clear(ctx, workspace, clearCarriages, clearDeliveries, clearEvents, clearMessages, clearCalls, clearOptOuts)
		},
		func() error { return s.forgetMedia(ctx, world, func(*query) {}) },
		func() error {
			return s.clear(ctx, workspace, clearPaceSends, clearPaceNumbers, clearPairings, clearPairingLinks, clearDeleted, clearRuns, clearMarks,
				clearSeeds)
		},
	} {
		if err := step(); err != nil {
			return fmt.Errorf("reset sandbox: %w", err)
		}
	}
	return nil
}

// clear deletes all that some clearings are about, in a workspace.
func (s *Store) clear(ctx context.Context, workspace string, all ...clearing) error {
	for _, c := range all {
		owners := []string{workspace}
		if c.owners != "" {
			owners = nil
			if err := s.r.SelectContext(ctx, &owners, c.owners, workspace); err != nil {
				return explain(err)
			}
		}
		for _, owner := range owners {
			if err := s.drain(ctx, c.clear, owner); err != nil {
				return err
			}
		}
	}
	return nil
}

// drain runs a statement that deletes up to as many rows as its last parameter
// says, until it finds none.
func (s *Store) drain(ctx context.Context, query string, args ...any) error {
	for n := int64(1); n > 0; {
		var err error
		if n, err = s.deleteSome(ctx, query, append(args[:len(args):len(args)], sweepChunk)...); err != nil {
			return err
		}
	}
	return nil
}

// byKeys has the statements of one transaction planned by their keys, as those of
// the committer are: PostgreSQL would rather read a whole table than look up some
// hundred rows of it. SQLite has no such choice.
const byKeys = `SELECT set_config('enable_seqscan', 'off', TRUE), set_config('enable_hashjoin', 'off', TRUE),
	set_config('enable_mergejoin', 'off', TRUE)`

// deleteSome runs one statement in a transaction of its own and returns how many
// rows it deleted.
func (s *Store) deleteSome(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		if s.engine.roundTrips {
			if _, err := tx.ExecContext(ctx, byKeys); err != nil {
				return err
			}
		}
		res, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}
