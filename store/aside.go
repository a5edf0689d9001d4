package store

import (
	"context"
	"sync"
)

// aside is a connection of its own for rows of which nobody was told that they
// are durable. They go in one prepared statement, which is a transaction by
// itself and does not wait for the disk. It is opened when it is needed. Only
// where statements are journeys is it worth having.
type aside struct {
	mu   sync.Mutex
	conn *batchConn
}

func newAside(s *Store) *aside {
	return &aside{conn: &batchConn{store: s, session: s.engine.lazy}}
}

// write writes what fill hands over. When the connection was lost since it was
// last used, or is lost meanwhile, all is said once more on a new one: the rows
// may then be there twice.
func (a *aside) write(ctx context.Context, fill func(b *batchConn) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	kept := a.conn.conn != nil
	err := a.try(ctx, fill)
	if err != nil && kept && !isRefusal(err) {
		err = a.try(ctx, fill)
	}
	return explain(err)
}

func (a *aside) try(ctx context.Context, fill func(b *batchConn) error) error {
	if err := a.conn.begin(ctx); err != nil {
		return err
	}
	if err := fill(a.conn); err != nil {
		return err
	}
	return a.conn.commit(ctx)
}

func (a *aside) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conn.close()
}
