package store

import (
	"context"
	"fmt"

	"portaria/messaging"
)

// MediaGone sets who is told the ids of files that a reset, a forgotten run or
// retention has deleted, after the commit: nothing knows the bytes any more. It
// is set once, before the first write. A process that dies before it has told
// leaves the bytes behind.
func (s *Store) MediaGone(f func(ids []string)) { s.mediaGone = f }

const (
	selectTestMedia = `SELECT id FROM media WHERE workspace_id = $1 AND environment = $2`
	deleteTestMedia = `DELETE FROM media WHERE workspace_id = $1 AND environment = $2`
)

// forgetMedia deletes what is known of files of a world, as far as narrow lets
// it.
func (s *Store) forgetMedia(ctx context.Context, w messaging.World, narrow func(*query)) error {
	for after := ""; ; {
		q := newQuery(selectTestMedia, worldTenancy(w))
		q.and("id > ", after)
		narrow(q)
		q.tail(" ORDER BY id LIMIT ", sweepChunk)
		var ids []string
		if err := s.r.SelectContext(ctx, &ids, q.text(), q.args...); err != nil {
			return fmt.Errorf("media: %w", explain(err))
		}
		if len(ids) == 0 {
			return nil
		}
		after = ids[len(ids)-1]
		gone := newQuery(deleteTestMedia, worldTenancy(w))
		within(gone, "id", ids)
		if _, err := s.deleteSome(ctx, gone.text(), gone.args...); err != nil {
			return fmt.Errorf("delete media: %w", err)
		}
		if s.mediaGone != nil {
			s.mediaGone(ids)
		}
	}
}

// within narrows to the values of a sorted list. PostgreSQL need not look up
// what is in a list by an index, but does so for what lies between two bounds.
func within[T any](q *query, column string, sorted []T) {
	q.and(column+" >= ", sorted[0])
	q.and(column+" <= ", sorted[len(sorted)-1])
	q.b.WriteString(" AND " + column + " IN (")
	for i, v := range sorted {
		if i > 0 {
			q.b.WriteString(", ")
		}
		q.tail("", v)
	}
	q.b.WriteString(")")
}
