package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"

	"portaria/messaging"
	"portaria/sandbox/runs"
)

// forgetPage is how many events go at once, with all deliveries of them.
const forgetPage = 200

// ForgetRun deletes a run. When it had an instance of its own, all goes that this
// left: what was sent through it and to it, its events and their deliveries, and
// the instance itself; of events that came behind the run's end, those of
// messages alone. It deletes in many short transactions, the run's row last: one
// that was broken off is begun again. A run that is gone is no error.
func (s *Store) ForgetRun(ctx context.Context, r runs.Run) error {
	if r.OwnInstance {
		if err := s.forgetOwnInstance(ctx, &r); err != nil {
			return fmt.Errorf("forget run %s: %w", r.ID, err)
		}
	}
	const q = `DELETE FROM sandbox_runs WHERE workspace_id = $1 AND environment = 'test' AND id = $2`
	if _, err := s.deleteSome(ctx, q, r.WorkspaceID, r.ID); err != nil {
		return fmt.Errorf("forget run %s: %w", r.ID, err)
	}
	return nil
}

// instanceClearings delete what an instance left. The first parameter is the
// instance.
var instanceClearings = []string{
	clearOutbox.clear, clearCarriages.clear, clearCalls.clear, clearPairingLinks.clear,
	`DELETE FROM messages WHERE instance_id = $1 AND id <= (SELECT MAX(id) FROM (
		SELECT id FROM messages WHERE instance_id = $1 ORDER BY id LIMIT $2) first)`,
}

// worldClearings delete what an instance left in tables whose keys begin with the
// world. The parameters are the workspace and the instance.
var worldClearings = []string{
	`DELETE FROM pace_sends` + ofTestWorld + ` AND instance_id = $2`,
	`DELETE FROM pace_numbers` + ofTestWorld + ` AND instance_id = $2`,
	`DELETE FROM opt_outs` + ofTestWorld + ` AND instance_id = $2`,
	`DELETE FROM pairings` + ofTestWorld + ` AND instance_id = $2`,
}

func (s *Store) forgetOwnInstance(ctx context.Context, r *runs.Run) error {
	world := messaging.World{WorkspaceID: r.WorkspaceID, Environment: messaging.Test}
	if err := s.forgetMessageEvents(ctx, world, r.InstanceID); err != nil {
		return err
	}
	if err := s.forgetRunEvents(ctx, world, r); err != nil {
		return err
	}
	if err := s.SettleInstance(ctx, r.InstanceID); err != nil {
		return err
	}
	for _, q := range instanceClearings {
		if err := s.drain(ctx, q, r.InstanceID); err != nil {
			return err
		}
	}
	for _, q := range worldClearings {
		if _, err := s.deleteSome(ctx, q, r.WorkspaceID, r.InstanceID); err != nil {
			return err
		}
	}
	if err := s.forgetMedia(ctx, world, func(q *query) { q.and("instance_id = ", r.InstanceID) }); err != nil {
		return err
	}
	return s.forgetInstance(ctx, r)
}

// forgetInstance deletes the row of a run's own instance, unless an endpoint or a
// bulk still names it.
func (s *Store) forgetInstance(ctx context.Context, r *runs.Run) error {
	const unlock = `DELETE FROM api_key_instances` + ofTestWorld + ` AND instance_id = $2`
	const forget = `DELETE FROM instances` + ofTestWorld + ` AND id = $2 AND EXISTS (
		SELECT 1 FROM instances i WHERE i.workspace_id = $1 AND i.environment = 'test' AND i.id = $2` + unnamed + `)`
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		for _, step := range []struct{ topic, query string }{{"keys", unlock}, {"instances", forget}} {
			res, err := tx.ExecContext(ctx, step.query, r.WorkspaceID, r.InstanceID)
			if err != nil {
				return fmt.Errorf("forget instance: %w", err)
			}
			n, err := res.RowsAffected()
			if err == nil && n > 0 {
				err = bump(ctx, tx, step.topic)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// forgetMessageEvents deletes the events that the messages of an instance name.
func (s *Store) forgetMessageEvents(ctx context.Context, w messaging.World, instanceID string) error {
	const q = `SELECT id, events FROM messages WHERE instance_id = $1 AND id > $2 ORDER BY id LIMIT $3`
	for after := ""; ; {
		var page []struct {
			ID     string `db:"id"`
			Events string `db:"events"`
		}
		if err := s.r.SelectContext(ctx, &page, q, instanceID, after, sweepChunk); err != nil {
			return fmt.Errorf("messages: %w", explain(err))
		}
		var sequences []int64
		for _, m := range page {
			for text := range strings.FieldsSeq(m.Events) {
				n, err := strconv.ParseInt(text, 10, 64)
				if err != nil {
					return fmt.Errorf("events of message %s: %w", m.ID, err)
				}
				sequences = append(sequences, n)
			}
		}
		if err := s.forgetEvents(ctx, w, sequences); err != nil {
			return err
		}
		if len(page) < sweepChunk {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

// forgetRunEvents deletes the events of a run's own instance that came while it
// was played.
func (s *Store) forgetRunEvents(ctx context.Context, w messaging.World, r *runs.Run) error {
	const bounds = `SELECT first_sequence, last_sequence FROM sandbox_runs` + ofTestWorld + ` AND id = $2`
	const q = `SELECT sequence FROM events` + ofTestWorld + ` AND sequence > $2 AND sequence <= $3 AND instance_id = $4
		ORDER BY sequence LIMIT $5`
	var after, last int64
	err := s.r.QueryRowContext(ctx, bounds, r.WorkspaceID, r.ID).Scan(&after, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("run: %w", explain(err))
	}
	for {
		var sequences []int64
		if err := s.r.SelectContext(ctx, &sequences, q, r.WorkspaceID, after, last, r.InstanceID, sweepChunk); err != nil {
			return fmt.Errorf("events: %w", explain(err))
		}
		if len(sequences) == 0 {
			return nil
		}
		after = sequences[len(sequences)-1]
		if err := s.forgetEvents(ctx, w, sequences); err != nil {
			return err
		}
	}
}

// forgetEvents deletes events and their deliveries.
func (s *Store) forgetEvents(ctx context.Context, w messaging.World, sequences []int64) error {
	const endpoints = `SELECT id FROM webhooks WHERE workspace_id = $1 AND environment = $2`
	var ids []string
	if err := s.r.SelectContext(ctx, &ids, endpoints, w.WorkspaceID, string(w.Environment)); err != nil {
		return fmt.Errorf("endpoints: %w", explain(err))
	}
	slices.Sort(sequences)
	for page := range slices.Chunk(sequences, forgetPage) {
		err := s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
			for _, id := range ids {
				q := newQuery(`DELETE FROM webhook_deliveries WHERE workspace_id = $1 AND environment = $2`, worldTenancy(w))
				q.and("webhook_id = ", id)
				within(q, "sequence", page)
				if _, err := tx.ExecContext(ctx, q.text(), q.args...); err != nil {
					return fmt.Errorf("delete deliveries: %w", err)
				}
			}
			q := newQuery(`DELETE FROM events WHERE workspace_id = $1 AND environment = $2`, worldTenancy(w))
			within(q, "sequence", page)
			if _, err := tx.ExecContext(ctx, q.text(), q.args...); err != nil {
				return fmt.Errorf("delete events: %w", err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
