package bulk

import (
	"context"
	"errors"
	"testing"
)

// impatient is a shelf whose caller goes away while it writes the first chunk.
type impatient struct {
	Shelf
	leave  context.CancelFunc
	staged int
}

func (s *impatient) StageBulk(ctx context.Context, _ string, _ Chunk) error {
	s.leave()
	if err := ctx.Err(); err != nil {
		return err // the caller is told so, and the chunk is written nevertheless
	}
	s.staged++
	return nil
}

// A store cannot take back what is in its queue: a chunk that was not waited for
// would be written after the bulk is dropped, and stay until the next start.
func TestNoChunkIsLeftInTheQueueByWhoGoesAway(t *testing.T) {
	file, err := newChunkFile(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer file.close()
	for i := range 3 * chunkRows {
		if err := file.add(int64(i+1), []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	shelf := &impatient{leave: cancel}
	if err := file.stage(ctx, shelf, "blk_1"); !errors.Is(err, context.Canceled) {
		t.Errorf("stage = %v, want %v", err, context.Canceled)
	}
	if shelf.staged != 1 {
		t.Errorf("%d chunks are staged, want the one that was in hand", shelf.staged)
	}
}
