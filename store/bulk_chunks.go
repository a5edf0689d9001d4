package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"portaria/outbox/bulk"
)

// StageBulk writes one chunk of a bulk that is being accepted. Nobody sees it
// before CreateBulk.
func (s *Store) StageBulk(ctx context.Context, bulkID string, c bulk.Chunk) error {
	j := &job{station: stationStage, payload: &staging{bulkID, c}, weight: chunkWeight(len(c.Data))}
	if err := s.committer.submit(ctx, j); err != nil {
		return fmt.Errorf("stage bulk: %w", err)
	}
	return nil
}

type staging struct {
	bulkID string
	chunk  bulk.Chunk
}

// applyStagings writes chunks. One that is there already was written by a commit
// whose answer was lost.
func applyStagings(ctx context.Context, b *batchConn, jobs []*job) error {
	const q = `INSERT INTO bulk_chunks (bulk_id, first_row, row_count, data) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`
	for _, j := range jobs {
		p := j.payload.(*staging)
		if _, err := b.exec(ctx, q, p.bulkID, p.chunk.First, int64(p.chunk.Rows), p.chunk.Data); err != nil {
			return fmt.Errorf("insert chunk: %w", err)
		}
	}
	return nil
}

// Chunks reads the chunks that hold rows from a number on, in order, at most
// limit of them.
func (s *Store) Chunks(ctx context.Context, bulkID string, from int64, limit int) ([]bulk.Chunk, error) {
	const q = `SELECT first_row, row_count, data FROM bulk_chunks
		WHERE bulk_id = $1 AND first_row + row_count > $2
			AND first_row >= COALESCE((SELECT MAX(c.first_row) FROM bulk_chunks c WHERE c.bulk_id = $1 AND c.first_row <= $2), 0)
		ORDER BY first_row LIMIT $3`
	var found []struct {
		First int64  `db:"first_row"`
		Rows  int    `db:"row_count"`
		Data  []byte `db:"data"`
	}
	if err := s.r.SelectContext(ctx, &found, q, bulkID, from, limit); err != nil {
		return nil, fmt.Errorf("chunks: %w", explain(err))
	}
	out := make([]bulk.Chunk, len(found))
	for i, f := range found {
		out[i] = bulk.Chunk{First: f.First, Rows: f.Rows, Data: f.Data}
	}
	return out, nil
}

// dropChunks is how many chunks go in one transaction, so that nobody waits for
// long.
const dropChunks = 8

// DropBulk forgets the chunks of a bulk that was never created.
func (s *Store) DropBulk(ctx context.Context, bulkID string) error {
	const q = `DELETE FROM bulk_chunks WHERE bulk_id = $1 AND first_row IN (
			SELECT first_row FROM bulk_chunks WHERE bulk_id = $1 ORDER BY first_row LIMIT $2)
		AND NOT EXISTS (SELECT 1 FROM bulks k WHERE k.id = $1)`
	for n := int64(dropChunks); n == dropChunks; {
		err := s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
			res, err := tx.ExecContext(ctx, q, bulkID, dropChunks)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if err != nil {
			return fmt.Errorf("drop bulk: %w", err)
		}
	}
	return nil
}

// selectStray goes from one bulk to the next by the key, however many chunks each
// has, and keeps those that were never created.
const selectStray = `WITH RECURSIVE n (id) AS (
		SELECT MIN(bulk_id) FROM bulk_chunks
		UNION ALL
		SELECT (SELECT MIN(c.bulk_id) FROM bulk_chunks c WHERE c.bulk_id > n.id) FROM n WHERE n.id IS NOT NULL
	) SELECT id FROM n WHERE id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM bulks k WHERE k.id = n.id)`

// SweepBulks forgets the chunks of bulks that were never created. It must be
// called before the first StageBulk.
func (s *Store) SweepBulks(ctx context.Context) error {
	var stray []string
	if err := s.r.SelectContext(ctx, &stray, selectStray); err != nil {
		return fmt.Errorf("sweep bulks: %w", explain(err))
	}
	for _, id := range stray {
		if err := s.DropBulk(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
