package store

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/jmoiron/sqlx"
)

// conn is what writes a transaction: the committer's connection, or a
// transaction of its own.
type conn interface {
	dialect() engine
	query(ctx context.Context, text string, args ...any) (*sql.Rows, error)
	exec(ctx context.Context, text string, args ...any) (sql.Result, error)
	write(ctx context.Context, r *rows, args []any) error
}

// txConn is a transaction outside the committer.
type txConn struct {
	engine engine
	tx     *sqlx.Tx
}

func (t txConn) dialect() engine { return t.engine }

func (t txConn) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(ctx, t.engine.sql(text), args...)
}

func (t txConn) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	return t.tx.ExecContext(ctx, t.engine.sql(text), args...)
}

func (t txConn) write(ctx context.Context, r *rows, args []any) error {
	return t.engine.each(r, args, func(n int, args []any) error {
		_, err := t.tx.ExecContext(ctx, t.engine.sql(t.engine.text(r, n)), args...)
		return err
	})
}

// batchConn is the committer's own connection with the statements prepared on
// it. A connection that breaks is thrown away and opened anew at the next
// begin.
type batchConn struct {
	store *Store
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	texts map[textKey]string // of multi-row statements
}

// begin opens a transaction. A connection that broke while it was idle shows
// only now; nothing was said on it yet, so another one is tried.
func (b *batchConn) begin(ctx context.Context) error {
	kept := b.conn != nil
	err := b.connect(ctx)
	if err == nil {
		err = b.end(ctx, b.store.engine.begin)
	}
	if err != nil && kept {
		return b.begin(ctx)
	}
	return err
}

func (b *batchConn) connect(ctx context.Context) error {
	if b.conn != nil {
		return nil
	}
	conn, err := b.store.w.Conn(ctx)
	if err != nil {
		return err
	}
	b.conn, b.stmts, b.texts = conn, make(map[string]*sql.Stmt), make(map[textKey]string)
	for _, q := range b.store.engine.session {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			b.close()
			return err
		}
	}
	return nil
}

// end runs one of BEGIN, COMMIT and ROLLBACK; an error costs the connection,
// because its transaction is in doubt.
func (b *batchConn) end(ctx context.Context, verb string) error {
	_, err := b.exec(ctx, verb)
	if err != nil {
		b.close()
	}
	return err
}

func (b *batchConn) close() {
	if b.conn == nil {
		return
	}
	for _, s := range b.stmts {
		_ = s.Close() // the connection goes with them
	}
	// ErrBadConn keeps the pool from handing out a connection with an open transaction.
	_ = b.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = b.conn.Close()
	b.conn, b.stmts = nil, nil
}

func (b *batchConn) dialect() engine { return b.store.engine }

func (b *batchConn) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	if s, ok := b.stmts[text]; ok {
		return s, nil
	}
	s, err := b.conn.PrepareContext(ctx, b.store.engine.sql(text))
	if err != nil {
		return nil, err
	}
	b.stmts[text] = s
	return s, nil
}

func (b *batchConn) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	s, err := b.stmt(ctx, text) //nolint:sqlclosecheck // it is kept for the next batch
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

func (b *batchConn) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	s, err := b.stmt(ctx, text) //nolint:sqlclosecheck // it is kept for the next batch
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// each runs a statement over many rows through run, once or in a few parts.
func (b *batchConn) each(r *rows, args []any, run func(text string, n int, args []any) error) error {
	return b.store.engine.each(r, args, func(n int, args []any) error {
		key := textKey{r, n}
		if b.store.engine.arrays {
			key.n = 0 // one text for any number of rows
		}
		text, ok := b.texts[key]
		if !ok {
			text = b.store.engine.text(r, n)
			b.texts[key] = text
		}
		return run(text, n, args)
	})
}

// textKey names the text of a statement over n rows.
type textKey struct {
	rows *rows
	n    int
}

// write runs a statement over many rows that returns nothing.
func (b *batchConn) write(ctx context.Context, r *rows, args []any) error {
	return b.each(r, args, func(text string, _ int, args []any) error {
		_, err := b.exec(ctx, text, args...)
		return err
	})
}

// insertOne inserts one row, and reports whether it was new.
func (b *batchConn) insertOne(ctx context.Context, r *rows, args []any) (fresh bool, err error) {
	err = b.each(r, args, func(text string, _ int, args []any) error {
		res, err := b.exec(ctx, text, args...)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		fresh = n > 0
		return err
	})
	return fresh, err
}
