package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"portaria/events/natssink"
	"portaria/messaging"
)

var _ natssink.Store = (*Store)(nil)

// SinkCursors returns how far a sink has got in each world that it knows.
func (s *Store) SinkCursors(ctx context.Context, sink string) (map[messaging.World]int64, error) {
	const q = `SELECT workspace_id, environment, sequence FROM sink_cursors WHERE sink = $1`
	var found []struct {
		messaging.World

		Sequence int64 `db:"sequence"`
	}
	if err := s.r.SelectContext(ctx, &found, q, sink); err != nil {
		return nil, fmt.Errorf("sink cursors: %w", explain(err))
	}
	cursors := make(map[messaging.World]int64, len(found))
	for _, f := range found {
		cursors[f.World] = f.Sequence
	}
	return cursors, nil
}

// MoveSinkCursor notes how far a sink has got in a world, in a commit shared
// with other callers. A cursor never goes back.
func (s *Store) MoveSinkCursor(ctx context.Context, sink string, w messaging.World, sequence int64) error {
	if err := s.committer.submit(ctx, &job{station: stationSink, payload: &sinkMove{sink, w, sequence}, weight: 1}); err != nil {
		return fmt.Errorf("move sink cursor: %w", err)
	}
	return nil
}

// sinkMove is one call of MoveSinkCursor.
type sinkMove struct {
	sink     string
	world    messaging.World
	sequence int64
}

var upsertSinkCursors = &rows{
	head:    insertInto + `sink_cursors (sink, workspace_id, environment, sequence) `,
	columns: append(repeat(text, 3), number),
	tail: ` ON CONFLICT (sink, workspace_id, environment) DO UPDATE SET sequence = excluded.sequence
		WHERE sink_cursors.sequence < excluded.sequence`,
}

// applySinkMoves writes each cursor once, where it has got to, in the order of
// the keys.
func applySinkMoves(ctx context.Context, b *batchConn, jobs []*job) error {
	moves := make([]*sinkMove, len(jobs))
	for i, j := range jobs {
		moves[i] = j.payload.(*sinkMove)
	}
	slices.SortFunc(moves, func(a, b *sinkMove) int {
		return cmp.Or(strings.Compare(a.sink, b.sink), strings.Compare(a.world.WorkspaceID, b.world.WorkspaceID),
			cmp.Compare(a.world.Environment, b.world.Environment), cmp.Compare(b.sequence, a.sequence))
	})
	moves = slices.CompactFunc(moves, func(a, b *sinkMove) bool { return a.sink == b.sink && a.world == b.world })
	var args []any
	for _, m := range moves {
		args = append(args, m.sink, m.world.WorkspaceID, string(m.world.Environment), m.sequence)
	}
	if err := b.write(ctx, upsertSinkCursors, args); err != nil {
		return fmt.Errorf("move sink cursors: %w", err)
	}
	return nil
}
