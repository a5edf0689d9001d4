package bulk

import (
	"context"
	"fmt"
)

// rowReader reads a bulk's rows from the store, a few chunks at a time. It is for
// one goroutine at a time.
type rowReader struct {
	store  Turns
	bulkID string
	ahead  []StoredRow // rows that follow each other
	other  []StoredRow // the chunk that a retry was read from
}

// chunksAhead is how many chunks are read at once.
const chunksAhead = 2

// from returns rows from a number on, as many as are at hand; none behind the
// last.
func (r *rowReader) from(ctx context.Context, number int64) ([]StoredRow, error) {
	for len(r.ahead) > 0 && r.ahead[0].Number < number {
		r.ahead = r.ahead[1:]
	}
	if len(r.ahead) > 0 && r.ahead[0].Number == number {
		return r.ahead, nil
	}
	rows, err := r.read(ctx, number, chunksAhead)
	r.ahead = rows
	return rows, err
}

// one returns a row by its number.
func (r *rowReader) one(ctx context.Context, number int64) (*StoredRow, error) {
	if row := find(r.other, number); row != nil {
		return row, nil
	}
	rows, err := r.read(ctx, number, 1)
	if err != nil {
		return nil, err
	}
	if row := find(rows, number); row != nil {
		r.other = rows
		return row, nil
	}
	return nil, fmt.Errorf("row %d of %s is not there", number, r.bulkID)
}

func find(rows []StoredRow, number int64) *StoredRow {
	if len(rows) == 0 {
		return nil
	}
	if i := number - rows[0].Number; i >= 0 && i < int64(len(rows)) {
		return &rows[i]
	}
	return nil
}

// read returns the rows from a number on that a few chunks hold.
func (r *rowReader) read(ctx context.Context, number int64, chunks int) (rows []StoredRow, err error) {
	found, err := r.store.Chunks(ctx, r.bulkID, number, chunks)
	if err != nil {
		return nil, fmt.Errorf("chunks: %w", err)
	}
	for i := range found {
		more, err := found[i].Decode()
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	for len(rows) > 0 && rows[0].Number < number {
		rows = rows[1:]
	}
	return rows, nil
}
