package store

import (
	"context"
	"fmt"
	"strings"

	"portaria/messaging"
)

// CreateBulk makes a staged bulk real: its row, its event and its claim are one
// commit. created is called after that commit and before CreateBulk returns; it
// must not block. A bulk that runs and has no row to be sent is completed at
// once.
//
// Faults: ErrIdempotencyRace when another request has stored the same claim.
func (s *Store) CreateBulk(ctx context.Context, b messaging.Bulk, claim *messaging.Claim, created func()) error {
	row, err := newBulkRow(&b)
	if err != nil {
		return fmt.Errorf("create bulk: %w", err)
	}
	return s.committer.submit(ctx, &job{
		station: stationCreate, payload: &creation{row, claim}, after: created, weight: createWeight,
	})
}

type creation struct {
	row   bulkRow
	claim *messaging.Claim
}

// applyCreations puts new bulks into the book. One that is there already was
// created by a commit whose answer was lost: its claim is its own.
func applyCreations(ctx context.Context, b *batchConn, jobs []*job, book *bulkBook) error {
	for _, j := range jobs {
		c := j.payload.(*creation)
		var known, staged int64
		if err := b.one(ctx, `SELECT COUNT(*) FROM bulks WHERE id = $1`, &known, c.row.ID); err != nil {
			return fmt.Errorf("create bulk: %w", err)
		}
		if known > 0 {
			continue
		}
		if err := b.one(ctx, `SELECT COALESCE(SUM(row_count), 0) FROM bulk_chunks WHERE bulk_id = $1`, &staged, c.row.ID); err != nil {
			return fmt.Errorf("create bulk: %w", err)
		}
		if staged != c.row.Total {
			j.err = fmt.Errorf("create bulk %s: %d of its %d rows are staged", c.row.ID, staged, c.row.Total)
			continue
		}
		if c.claim != nil {
			won, err := claim(ctx, b, c.row.WorkspaceID, messaging.Environment(c.row.Environment), c.claim)
			if err != nil {
				return err
			}
			if !won {
				j.err = ErrIdempotencyRace
				continue
			}
		}
		book.create(c.row)
	}
	return nil
}

// create notes a bulk that is yet to be inserted.
func (k *bulkBook) create(row bulkRow) {
	o := &openBulk{row: row, tenths: row.tenths(), changed: true, fresh: true}
	k.open[row.ID] = o
	o.at = fromMicros(row.CreatedAt)
	if messaging.BulkState(row.State) != messaging.BulkRunning {
		return
	}
	if o.row.StartedAt == 0 {
		o.row.StartedAt = o.row.CreatedAt
	}
	o.tell(messaging.EventBulkStarted, fromMicros(o.row.StartedAt))
}

// insertBulk inserts a bulk and names its instances.
func insertBulk(ctx context.Context, b *batchConn, r *bulkRow) error {
	const bulk = `INSERT INTO bulks (workspace_id, environment, id, name, instances, key_id, lineage, state, kind, template, metadata,
			options, total, queued, sent, delivered, read, failed, skipped, canceled, pending, next_row, created_at, send_at, started_at,
			paused_at, ended_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)`
	const instance = `INSERT INTO bulk_instances (workspace_id, environment, bulk_id, instance_id) VALUES ($1, $2, $3, $4)`
	if _, err := b.exec(ctx, bulk, r.WorkspaceID, r.Environment, r.ID, r.Name, r.Instances, r.KeyID, r.Lineage, r.State, r.Kind, r.Template,
		r.Metadata, r.Options, r.Total, r.Queued, r.Sent, r.Delivered, r.Read, r.Failed, r.Skipped, r.Canceled, r.Pending, r.Next,
		r.CreatedAt, r.SendAt, r.StartedAt, r.PausedAt, r.EndedAt); err != nil {
		return fmt.Errorf("insert bulk: %w", err)
	}
	for id := range strings.FieldsSeq(r.Instances) {
		if _, err := b.exec(ctx, instance, r.WorkspaceID, r.Environment, r.ID, id); err != nil {
			return fmt.Errorf("insert a bulk's instance: %w", err)
		}
	}
	return nil
}
