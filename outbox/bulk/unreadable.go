package bulk

import (
	"context"
	"errors"
)

// unreadable is what is wrong with stored rows: it stays so, whoever tries again.
type unreadable struct{ error }

// rowsFault tells apart what is wrong with rows from what is wrong with the store
// at the moment.
func rowsFault(err error) error {
	var now passingFault
	if err == nil || errors.As(err, &now) {
		return err
	}
	return unreadable{err}
}

// passing is a store whose faults pass.
type passing struct{ Turns }

type passingFault struct{ error }

func (f passingFault) Unwrap() error { return f.error }

// Chunks implements Turns.
func (p passing) Chunks(ctx context.Context, bulkID string, from int64, limit int) ([]Chunk, error) {
	found, err := p.Turns.Chunks(ctx, bulkID, from, limit)
	if err != nil {
		return nil, passingFault{err}
	}
	return found, nil
}
