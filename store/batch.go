package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/jmoiron/sqlx"
)

// conn is what writes a transaction: a connection kept for it, or a transaction
// of its own.
type conn interface {
	dialect() engine
	query(ctx context.Context, text string, args ...any) (*sql.Rows, error)
	exec(ctx context.Context, text string, args ...any) (sql.Result, error)
	write(ctx context.Context, r *rows, args []any) error
	// head returns the last sequence of a tenancy, if it is known without asking.
	head(k tenancyKey) (int64, bool)
	// of returns the store that is written to.
	of() *Store
	// look reads what the transaction itself has not written, or has written
	// with exec.
	look(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

// txConn is a transaction outside the committer.
type txConn struct {
	store *Store
	tx    *sqlx.Tx
}

func (t txConn) dialect() engine { return t.store.engine }

func (t txConn) of() *Store { return t.store }

func (t txConn) head(tenancyKey) (int64, bool) { return 0, false }

func (t txConn) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(ctx, t.store.engine.sql(text), args...)
}

func (t txConn) look(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	return t.query(ctx, text, args...)
}

func (t txConn) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	return t.tx.ExecContext(ctx, t.store.engine.sql(text), args...)
}

func (t txConn) write(ctx context.Context, r *rows, args []any) error {
	return t.store.engine.each(r, args, func(p piece) error {
		_, err := t.exec(ctx, t.store.engine.text(r, p.rows, p.alike), p.args...)
		return err
	})
}

// batchConn is a connection, the committer's above all, with the statements
// prepared on it. A connection that breaks is thrown away and opened anew at the
// next begin.
type batchConn struct {
	store   *Store
	session []string // what is said first on a connection
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt
	texts   map[textKey]string // of multi-row statements

	last     backend // who works on what was said on the connection, or on the one before it
	opened   bool    // BEGIN has been said
	wary     bool    // a row that should be new was not: none is taken for new unseen
	left     []left  // what the transaction makes of messages
	held     []held  // what goes together with the next statement
	composed map[composition]string
}

// begin begins a transaction, which need not be opened yet.
func (b *batchConn) begin(ctx context.Context) error {
	b.opened, b.held, b.left = false, b.held[:0], nil
	if b.store.engine.roundTrips {
		return b.connect(ctx)
	}
	return b.open(ctx)
}

// open opens the transaction, unless it is open. A connection that broke while
// it was idle shows only now; nothing was said on it yet, so another one is
// tried.
func (b *batchConn) open(ctx context.Context) error {
	if b.opened {
		return nil
	}
	kept := b.conn != nil
	err := b.connect(ctx)
	if err == nil {
		err = b.say(ctx, b.store.engine.begin)
	}
	if err != nil && kept {
		return b.open(ctx)
	}
	b.opened = err == nil
	return err
}

// commit sends what is held and makes all of it durable. The error is a refusal
// when nothing was written, and otherwise says nothing about it.
func (b *batchConn) commit(ctx context.Context) error {
	if !b.opened {
		if len(b.held) == 0 {
			return nil
		}
		return b.lost(b.send(ctx))
	}
	if err := b.flush(ctx); err != nil {
		return errors.Join(err, b.rollback(ctx))
	}
	return b.say(ctx, "COMMIT")
}

// lost gives the connection up if a statement was not answered on it.
func (b *batchConn) lost(err error) error {
	if err != nil && !isRefusal(err) {
		b.close()
	}
	return err
}

func (b *batchConn) rollback(ctx context.Context) error {
	b.held = b.held[:0]
	if !b.opened {
		return nil
	}
	b.opened = false
	return b.say(ctx, "ROLLBACK")
}

// connect takes a connection of the pool. Those that rest there may all have
// broken, as when the database was started again: one after the other is given
// up, until one answers.
func (b *batchConn) connect(ctx context.Context) error {
	if b.conn != nil {
		return nil
	}
	for resting := b.store.w.Stats().Idle; ; resting-- {
		conn, err := b.store.w.Conn(ctx)
		if err != nil {
			return err
		}
		if err = b.use(ctx, conn); err == nil {
			return nil
		}
		b.close()
		if resting <= 0 || !isConnectionFault(err) {
			return err
		}
	}
}

// use makes a connection the one that is written on.
func (b *batchConn) use(ctx context.Context, conn *sql.Conn) error {
	b.conn, b.stmts, b.texts = conn, make(map[string]*sql.Stmt), make(map[textKey]string)
	b.composed = make(map[composition]string)
	last, err := b.store.engine.backend(ctx, conn)
	if err != nil {
		return err
	}
	b.last = last
	for _, q := range b.session {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// say runs one of BEGIN, COMMIT and ROLLBACK; an error costs the connection,
// because its transaction is in doubt.
func (b *batchConn) say(ctx context.Context, verb string) error {
	s, err := b.stmt(ctx, verb) //nolint:sqlclosecheck // it is kept for the next batch
	if err == nil {
		_, err = s.ExecContext(ctx)
	}
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
	b.conn, b.stmts, b.opened = nil, nil, false
}

func (b *batchConn) dialect() engine { return b.store.engine }

func (b *batchConn) of() *Store { return b.store }

func (b *batchConn) head(k tenancyKey) (int64, bool) {
	last, ok := b.store.heads[k]
	return last, ok
}

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

// exec runs a statement in the transaction, behind what is held.
func (b *batchConn) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	if err := b.ready(ctx); err != nil {
		return nil, err
	}
	s, err := b.stmt(ctx, text) //nolint:sqlclosecheck // it is kept for the next batch
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// query is exec for a statement that returns rows.
func (b *batchConn) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if err := b.ready(ctx); err != nil {
		return nil, err
	}
	return b.look(ctx, text, args...)
}

// ready opens the transaction and sends what is held.
func (b *batchConn) ready(ctx context.Context) error {
	if err := b.open(ctx); err != nil {
		return err
	}
	return b.flush(ctx)
}

// look reads what only committers write, so that no transaction is needed. What
// is held does not show.
func (b *batchConn) look(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	s, err := b.stmt(ctx, text) //nolint:sqlclosecheck // it is kept for the next batch
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// each runs a statement over many rows through run, once or in a few parts.
func (b *batchConn) each(r *rows, args []any, run func(text string, n int, args []any) error) error {
	return b.store.engine.each(r, args, func(p piece) error {
		key := textKey{r, p.rows, p.alike}
		if b.store.engine.arrays {
			key.n = 0 // one text for any number of rows
		}
		text, ok := b.texts[key]
		if !ok {
			text = b.store.engine.text(r, p.rows, p.alike)
			b.texts[key] = text
		}
		return run(text, p.rows, p.args)
	})
}

// textKey names the text of a statement over n rows.
type textKey struct {
	rows  *rows
	n     int
	alike likeness
}

// write runs a statement over many rows that returns nothing.
func (b *batchConn) write(ctx context.Context, r *rows, args []any) error {
	if b.store.engine.roundTrips {
		return b.hold(ctx, r, args)
	}
	return b.each(r, args, func(text string, n int, args []any) error {
		res, err := b.exec(ctx, text, args...)
		if err != nil || !r.exact {
			return err
		}
		if met, err := res.RowsAffected(); err != nil || met == int64(n) {
			return err
		}
		return errStale
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

// one reads a single number in the transaction.
func (b *batchConn) one(ctx context.Context, text string, into *int64, args ...any) error {
	found, err := b.query(ctx, text, args...)
	if err != nil {
		return err
	}
	if found.Next() {
		err = found.Scan(into)
	}
	return errorsJoinClose(errors.Join(err, found.Err()), found)
}
