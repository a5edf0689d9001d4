package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"
)

// conn is what writes a transaction: the committer's connection, or a
// transaction of its own.
type conn interface {
	query(ctx context.Context, text string, args ...any) (*sql.Rows, error)
	exec(ctx context.Context, text string, args ...any) (sql.Result, error)
	write(ctx context.Context, r *rows, args []any) error
}

// txConn is a transaction outside the committer.
type txConn struct {
	engine engine
	tx     *sqlx.Tx
}

func (t txConn) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(ctx, t.engine.sql(text), args...)
}

func (t txConn) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	return t.tx.ExecContext(ctx, t.engine.sql(text), args...)
}

func (t txConn) write(ctx context.Context, r *rows, args []any) error {
	_, err := t.tx.ExecContext(ctx, t.engine.sql(r.text(len(args)/r.params())), args...)
	return err
}

// batchConn is the committer's own connection with the statements prepared on
// it. A connection that breaks is thrown away and opened anew at the next
// begin.
type batchConn struct {
	store *Store
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	shape map[shapeKey]string
}

type shapeKey struct {
	head string
	rows int
}

func (b *batchConn) begin(ctx context.Context) error {
	if b.conn == nil {
		conn, err := b.store.w.Conn(ctx)
		if err != nil {
			return err
		}
		b.conn, b.stmts = conn, make(map[string]*sql.Stmt)
		b.shape = make(map[shapeKey]string)
		for _, q := range b.store.engine.session {
			if _, err := conn.ExecContext(ctx, q); err != nil {
				b.close()
				return err
			}
		}
	}
	return b.end(ctx, b.store.engine.begin)
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
	s, err := b.stmt(ctx, text)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

func (b *batchConn) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	s, err := b.stmt(ctx, text)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// rowShapes are the numbers of rows that one statement may carry. A few sizes
// keep the number of prepared statements small.
var rowShapes = [...]int{64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1}

// rows is a multi-row statement: head, VALUES lists of so many columns, tail.
type rows struct {
	head    string   // "INSERT INTO … VALUES " or "… FROM (VALUES "
	columns []string // a cast for each column of the first row, such as "CAST(? AS BIGINT)", or "?"
	tail    string
}

// insertInto begins a multi-row INSERT. A row that fails makes the committer
// roll everything back, so SQLite need not keep a journal of its own to undo
// the statement's other rows: it costs a copy of every page.
const insertInto = `INSERT
	OR FAIL -- only: sqlite
	INTO `

// params is the number of values that one row takes.
func (r *rows) params() int {
	n := 0
	for _, c := range r.columns {
		n += strings.Count(c, "?")
	}
	return n
}

// each runs the statement over args, which hold params values a row, in as few
// statements as its shapes allow.
func (b *batchConn) each(ctx context.Context, r *rows, args []any, run func(text string, args []any) error) error {
	width := r.params()
	for len(args) > 0 {
		n := len(args) / width
		for _, shape := range rowShapes {
			if shape <= n {
				n = shape
				break
			}
		}
		if err := run(b.text(r, n), args[:n*width]); err != nil {
			return err
		}
		args = args[n*width:]
	}
	return nil
}

// write runs a multi-row statement that returns nothing.
func (b *batchConn) write(ctx context.Context, r *rows, args []any) error {
	return b.each(ctx, r, args, func(text string, args []any) error {
		_, err := b.exec(ctx, text, args...)
		return err
	})
}

func (b *batchConn) text(r *rows, n int) string {
	key := shapeKey{r.head, n}
	text, ok := b.shape[key]
	if !ok {
		text = r.text(n)
		b.shape[key] = text
	}
	return text
}

func (r *rows) text(n int) string {
	var s strings.Builder
	s.WriteString(r.head)
	param := 0
	for row := range n {
		if row > 0 {
			s.WriteString(", ")
		}
		s.WriteByte('(')
		for i, column := range r.columns {
			if i > 0 {
				s.WriteString(", ")
			}
			if strings.Contains(column, "?") {
				param++
				column = strings.Replace(column, "?", "$"+strconv.Itoa(param), 1)
			}
			s.WriteString(column)
		}
		s.WriteByte(')')
	}
	s.WriteString(r.tail)
	return s.String()
}

// text and number are columns of a VALUES list; a bare parameter there has no
// type in PostgreSQL but text.
const (
	textColumn   = "?"
	numberColumn = "CAST(? AS BIGINT)"
)

func repeat(kind string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = kind
	}
	return out
}
