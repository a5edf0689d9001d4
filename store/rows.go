package store

import (
	"fmt"
	"strings"

	"github.com/lib/pq"
)

// rows is a statement over many rows at once: head, the rows, tail. Each
// engine is given the rows in the form that costs it least.
type rows struct {
	head    string
	form    form
	columns []kind
	tail    string

	// A part of a larger statement can have a name, and be followed by another
	// part that reads under this name what it returned.
	name, also string
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
)

// kind is the type of a column.
type kind string

const (
	text   kind = "TEXT"
	number kind = "BIGINT"
)

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
var rowShapes = [...]int{64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1}

// each calls run for the rows in args, row by row: with all of them as one
// array for each column, or with as many values as a few shapes allow.
func (e engine) each(r *rows, args []any, run func(n int, args []any) error) error {
	width := len(r.columns)
	if e.arrays && len(args) > 0 {
		return run(len(args)/width, r.arrays(args))
	}
	for len(args) > 0 {
		n := len(args) / width
		for _, shape := range rowShapes {
			if shape <= n {
				n = shape
				break
			}
		}
		if err := run(n, args[:n*width]); err != nil {
			return err
		}
		args = args[n*width:]
	}
	return nil
}

// arrays turns rows into one array for each column.
func (r *rows) arrays(args []any) []any {
	width := len(r.columns)
	n := len(args) / width
	out := make([]any, width)
	for c, k := range r.columns {
		if k == text {
			column := make(pq.StringArray, n)
			for i := range n {
				column[i] = args[i*width+c].(string)
			}
			out[c] = column
			continue
		}
		column := make(pq.Int64Array, n)
		for i := range n {
			column[i] = args[i*width+c].(int64)
		}
		out[c] = column
	}
	return out
}

// text writes the statement for n rows. With arrays, n does not matter.
func (e engine) text(r *rows, n int) string {
	if e.arrays {
		return r.head + r.unnest(0) + r.tail
	}
	values := r.values(n)
	switch r.form {
	case asInsert:
		values = "VALUES " + values
	case asTable:
		values = "(VALUES " + values + ") v"
	case asList:
		values = "(" + values + ")"
	}
	return r.head + values + r.tail
}

// unnest makes rows of the parameters behind the first ones.
func (r *rows) unnest(behind int) string {
	params := make([]string, len(r.columns))
	names := make([]string, len(r.columns))
	for i, k := range r.columns {
		params[i] = fmt.Sprintf("CAST($%d AS %s[])", behind+i+1, k)
		names[i] = fmt.Sprintf("column%d", i+1)
	}
	unnest := "unnest(" + strings.Join(params, ", ") + ")"
	switch r.form {
	case asTable:
		return unnest + " v (" + strings.Join(names, ", ") + ")"
	case asList:
		return "(SELECT " + unnest + ")"
	case asInsert:
	}
	return "SELECT * FROM " + unnest
}

// values lists n rows of parameters.
func (r *rows) values(n int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(r.columns)), ", ") + ")"
	return strings.TrimSuffix(strings.Repeat(row+", ", n), ", ")
}
