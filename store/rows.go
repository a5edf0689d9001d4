package store

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// rows is a statement over many rows at once: head, the rows, tail. Each
// engine is given the rows in the form that costs it least.
type rows struct {
	head    string
	form    form
	columns []kind
	tail    string

	// name is what other parts of a larger statement call this one.
	name string

	// exact says that every row must meet one of the table: errStale otherwise.
	// On PostgreSQL the statement returns a row for each that it meets.
	exact bool
}

// form is what a statement wants its rows to be.
type form uint8

const (
	// asInsert: the source of an INSERT.
	asInsert form = iota
	// asTable: a table v with the columns column1, column2, …
	asTable
	// asList: the right side of an IN, for rows of one column.
	asList
	// asKeys: the right side of an IN on SQLite, a table like asTable on PostgreSQL,
	// which joins keys of several columns for less than it compares lists of them.
	asKeys
)

// kind is what a column holds, and which rows hold the same in it.
type kind struct {
	name  string // of its SQL type
	oid   int    // the number of that type in PostgreSQL (its pg_type.dat)
	alike likeness
}

var (
	text   = kind{name: "TEXT", oid: 25}
	number = kind{name: "BIGINT", oid: 20}
)

// likeness says which rows nearly always have the same value in a column. Each
// includes those before it. Where all rows of a statement have it, the value is
// given once: what a row costs is mostly its parameters.
type likeness uint8

const (
	distinct   likeness = iota // none
	byWorld                    // those of a workspace and environment
	byCaller                   // those that one key has caused in one way
	byInstance                 // those of one instance
)

// of returns the kind of a column that is alike in these rows.
func (k kind) of(rows likeness) kind {
	k.alike = rows
	return k
}

func repeat(k kind, n int) []kind {
	out := make([]kind, n)
	for i := range out {
		out[i] = k
	}
	return out
}

// insertInto begins an INSERT of many rows. A row that fails makes the
// committer roll everything back, so SQLite need not keep a journal of its own
// to undo the statement's other rows: it costs a copy of every page.
const insertInto = `INSERT
	OR FAIL -- only: sqlite
	INTO `

// rowShapes are the numbers of rows that one statement with lists of values
// may carry. A few sizes keep the number of prepared statements small.
var rowShapes = [...]int{64, 56, 48, 40, 32, 28, 24, 20, 16, 12, 8, 6, 4, 3, 2, 1}

// piece is what one statement is given: the number of its rows, how much alike
// they are, and the values as the engine takes them.
type piece struct {
	rows  int
	alike likeness
	args  []any
}

// each calls run for the rows in args, row by row: with all of them as one
// array for each column, or with as many values as a few shapes allow.
func (e engine) each(r *rows, args []any, run func(p piece) error) error {
	width := len(r.columns)
	if e.arrays && len(args) > 0 {
		alike := distinct
		if r.form == asInsert { // what is joined keeps its form: PostgreSQL would plan otherwise with a value in an array's place
			alike = r.alike(args)
		}
		return run(piece{len(args) / width, alike, r.arrays(args, alike)})
	}
	for len(args) > 0 {
		n := len(args) / width
		for _, shape := range rowShapes {
			if shape <= n {
				n = shape
				break
			}
		}
		rows := args[:n*width]
		alike := r.alike(rows)
		if err := run(piece{n, alike, r.list(rows, alike)}); err != nil {
			return err
		}
		args = args[n*width:]
	}
	return nil
}

// A value of a row is an int64, a string or, so that it need not be copied to be
// told from the rows beside it, the address of a string that stays as it is until
// the statement has run.

// plain returns a value as databases take it.
func plain(v any) any {
	if s, ok := v.(*string); ok {
		return *s
	}
	return v
}

func same(a, b any) bool {
	s, ok := a.(*string)
	t, and := b.(*string)
	if ok && and {
		return *s == *t
	}
	return plain(a) == plain(b)
}

// fewRows are too few for a statement of their own that names a value once.
const fewRows = 4

// alike tells how much alike rows are.
func (r *rows) alike(args []any) likeness {
	width := len(r.columns)
	if len(args) < fewRows*width {
		return distinct
	}
	alike := byInstance
	for c, k := range r.columns {
		if k.alike == distinct || k.alike > alike {
			continue
		}
		for i := c + width; i < len(args); i += width {
			if !same(args[i], args[c]) {
				alike = k.alike - 1
				break
			}
		}
	}
	return alike
}

// once reports whether a column's value is given once for rows so much alike.
func (k kind) once(alike likeness) bool { return k.alike != distinct && k.alike <= alike }

// list leaves out of rows what stands in the first of them already.
func (r *rows) list(args []any, alike likeness) []any {
	width := len(r.columns)
	out := make([]any, 0, len(args))
	for i, v := range args {
		if i < width || !r.columns[i%width].once(alike) {
			out = append(out, plain(v))
		}
	}
	return out
}

// arrays turns rows into one array for each column, or one value for those that
// are given once.
func (r *rows) arrays(args []any, alike likeness) []any {
	out := make([]any, len(r.columns))
	for c, k := range r.columns {
		if k.once(alike) {
			out[c] = plain(args[c])
		} else {
			out[c] = r.array(args, c)
		}
	}
	return out
}

// array writes a column as PostgreSQL takes an array in binary: its dimensions,
// whether one is NULL, the type of the elements, their number and the index of the
// first, then each with its length. (PostgreSQL 15's source, array_recv)
func (r *rows) array(args []any, column int) []byte {
	const (
		headerSize = 5 * 4
		numberSize = 4 + 8
	)
	width, size := len(r.columns), headerSize
	for i := column; i < len(args); i += width {
		size += numberSize
		switch v := args[i].(type) {
		case string:
			size += len(v)
		case *string:
			size += len(*v)
		}
	}
	b := make([]byte, 0, size)
	for _, n := range [...]int{1, 0, r.columns[column].oid, len(args) / width, 1} {
		b = binary.BigEndian.AppendUint32(b, uint32(n)) //nolint:gosec // none is negative or large
	}
	for i := column; i < len(args); i += width {
		switch v := args[i].(type) {
		case int64:
			b = binary.BigEndian.AppendUint32(b, 8)
			b = binary.BigEndian.AppendUint64(b, uint64(v)) //nolint:gosec // two's complement, as it is sent
		case string:
			b = appendText(b, v)
		case *string:
			b = appendText(b, *v)
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) //nolint:gosec // a text is no gigabytes
}

// text writes the statement for n rows so much alike. With arrays, n does not
// matter.
func (e engine) text(r *rows, n int, alike likeness) string {
	if e.arrays {
		return r.head + r.unnest(0, alike) + r.tail
	}
	values := r.values(n, alike)
	switch r.form {
	case asInsert:
		values = "VALUES " + values
	case asTable:
		values = "(VALUES " + values + ") v"
	case asList:
		values = "(" + values + ")"
	case asKeys:
		values = "(VALUES " + values + ")"
	}
	return r.head + values + r.tail
}

// unnest makes rows of the parameters behind the first ones. In a list of what is
// selected, PostgreSQL takes the arrays apart together and keeps no table of each.
func (r *rows) unnest(behind int, alike likeness) string {
	params, names, selected := make([]string, len(r.columns)), make([]string, len(r.columns)), make([]string, len(r.columns))
	for i, k := range r.columns {
		names[i] = fmt.Sprintf("column%d", i+1)
		params[i] = fmt.Sprintf("CAST($%d AS %s[])", behind+i+1, k.name)
		selected[i] = "unnest(" + params[i] + ")"
		if k.once(alike) {
			selected[i] = fmt.Sprintf("CAST($%d AS %s)", behind+i+1, k.name)
		}
	}
	switch r.form {
	case asTable, asKeys:
		return "unnest(" + strings.Join(params, ", ") + ") v (" + strings.Join(names, ", ") + ")"
	case asList:
		return "(SELECT " + selected[0] + ")"
	case asInsert:
	}
	return "SELECT " + strings.Join(selected, ", ")
}

// values lists n rows of parameters. What is given once is in the first row,
// where a parameter has the number of its column.
func (r *rows) values(n int, alike likeness) string {
	first, further := make([]string, len(r.columns)), make([]string, len(r.columns))
	for i, k := range r.columns {
		first[i], further[i] = "?", "?"
		if k.once(alike) {
			further[i] = fmt.Sprintf("?%d", i+1)
		}
	}
	row := "), (" + strings.Join(further, ", ")
	return "(" + strings.Join(first, ", ") + strings.Repeat(row, n-1) + ")"
}
