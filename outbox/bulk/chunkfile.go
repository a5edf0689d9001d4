package bulk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// A chunk is full when it has either of these: staged in a transaction of its
// own, it keeps nobody waiting.
const (
	chunkRows  = 500
	chunkBytes = 128 << 10
)

// chunkFile keeps the chunks of a bulk that is being accepted on the disk, until
// it is known that all of them can be.
type chunkFile struct {
	file   *os.File
	chunks []chunkPlace
	size   int64
	open   []byte // the chunk that is not full yet
	first  int64  // its first row
	rows   int    // how many it has
}

// chunkPlace is where a chunk stands in the file.
type chunkPlace struct {
	first  int64
	rows   int
	offset int64
	size   int
}

// newChunkFile makes a file that nobody else sees, and that goes when it is
// closed or the process ends.
func newChunkFile(dir string) (*chunkFile, error) {
	f, err := os.CreateTemp(dir, "bulk-*.chunks")
	if err != nil {
		return nil, fmt.Errorf("bulk: %w", err)
	}
	_ = os.Remove(f.Name()) // where an open file cannot go, close removes it
	return &chunkFile{file: f}, nil
}

// add appends a row that is encoded, and writes the chunk if that makes it full.
func (f *chunkFile) add(number int64, encoded []byte) error {
	if f.rows == 0 {
		f.first, f.open = number, append(f.open[:0], '[')
	} else {
		f.open = append(f.open, ',')
	}
	f.open = append(f.open, encoded...)
	f.rows++
	if f.rows == chunkRows || len(f.open) >= chunkBytes {
		return f.flush()
	}
	return nil
}

// flush writes the chunk that is not full.
func (f *chunkFile) flush() error {
	if f.rows == 0 {
		return nil
	}
	f.open = append(f.open, ']')
	if _, err := f.file.Write(f.open); err != nil {
		return fmt.Errorf("bulk: %w", err)
	}
	f.chunks = append(f.chunks, chunkPlace{first: f.first, rows: f.rows, offset: f.size, size: len(f.open)})
	f.size += int64(len(f.open))
	f.rows = 0
	return nil
}

// stage has the store write every chunk, until ctx is done. Each chunk is waited
// for whatever happens: one that somebody has left in the store's queue would be
// written after the bulk was dropped.
func (f *chunkFile) stage(ctx context.Context, shelf Shelf, bulkID string) error {
	var data []byte
	whole := context.WithoutCancel(ctx)
	for _, place := range f.chunks {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stage rows from %d: %w", place.first, err)
		}
		if cap(data) < place.size {
			data = make([]byte, max(place.size, 2*cap(data)))
		}
		data = data[:place.size]
		if _, err := f.file.ReadAt(data, place.offset); err != nil {
			return fmt.Errorf("bulk: %w", err)
		}
		if err := shelf.StageBulk(whole, bulkID, Chunk{First: place.first, Rows: place.rows, Data: data}); err != nil {
			return fmt.Errorf("stage rows from %d: %w", place.first, err)
		}
	}
	return nil
}

func (f *chunkFile) close() error {
	err := f.file.Close()
	if gone := os.Remove(f.file.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}
