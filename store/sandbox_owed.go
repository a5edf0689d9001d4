package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// What is owed has no index by instance: it is short, and written all the time.
// It is gone through in pages, outside any transaction.

// debtRow is a row of sandbox_owed.
type debtRow struct {
	ID         string `db:"id"`
	InstanceID string `db:"instance_id"`
}

const (
	selectDebts = `SELECT id, instance_id FROM sandbox_owed WHERE id > $1 ORDER BY id LIMIT $2`

	nextDebts = `SELECT COALESCE(MAX(id), '') FROM (SELECT id FROM sandbox_owed WHERE id > $1 ORDER BY id LIMIT $2) next`

	// sweepDebts deletes what nobody can pay: the carriage is gone.
	sweepDebts = `DELETE FROM sandbox_owed WHERE id > $1 AND id <= $2 AND NOT EXISTS (
		SELECT 1 FROM sandbox_carriages c WHERE c.instance_id = sandbox_owed.instance_id AND c.wa_message_id = sandbox_owed.wa_message_id)`
)

// SettleInstance forgets what the network owes for the messages of an instance.
// What is owed from now on may stay.
func (s *Store) SettleInstance(ctx context.Context, instanceID string) error {
	if err := s.settleAll(ctx, func(d *debtRow) bool { return d.InstanceID == instanceID }); err != nil {
		return fmt.Errorf("settle instance: %w", err)
	}
	return nil
}

// settleWorld forgets what is owed to the instances of a workspace, also to
// deleted ones.
func (s *Store) settleWorld(ctx context.Context, workspace string) error {
	const q = `SELECT id FROM instances WHERE workspace_id = $1 AND environment = 'test'`
	var ids []string
	if err := s.r.SelectContext(ctx, &ids, q, workspace); err != nil {
		return fmt.Errorf("settle world: %w", explain(err))
	}
	own := make(map[string]bool, len(ids))
	for _, id := range ids {
		own[id] = true
	}
	return s.settleAll(ctx, func(d *debtRow) bool { return own[d.InstanceID] })
}

// settleAll forgets the debts for which f is true.
func (s *Store) settleAll(ctx context.Context, f func(*debtRow) bool) error {
	for after := ""; ; {
		var page []debtRow
		if err := s.r.SelectContext(ctx, &page, selectDebts, after, sweepChunk); err != nil {
			return fmt.Errorf("owed: %w", explain(err))
		}
		var gone []any
		for i := range page {
			if f(&page[i]) {
				gone = append(gone, page[i].ID)
			}
		}
		if len(gone) > 0 {
			err := s.inWriteTx(ctx, func(tx *sqlx.Tx) error { return txConn{s, tx}.write(ctx, deleteOwed, gone) })
			if err != nil {
				return fmt.Errorf("delete owed: %w", err)
			}
		}
		if len(page) < sweepChunk {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

// sweepDebts forgets what is owed for carriages that are gone.
func (w *sweeper) sweepDebts(ctx context.Context) error {
	for after := ""; ; {
		var last string
		if err := w.store.r.GetContext(ctx, &last, nextDebts, after, sweepChunk); err != nil {
			return fmt.Errorf("sweep: %w", explain(err))
		}
		if last == "" {
			return nil
		}
		if _, err := w.delete(ctx, sweepDebts, after, last); err != nil {
			return err
		}
		after = last
	}
}
