package gateway

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
	"portaria/internal/sheet"
	"portaria/outbox/bulk"
)

// toVariable is what the recipient's column is called in a mapping, and in a
// file without one.
const toVariable = "to"

// sheetRows reads the rows of a CSV file. It implements bulk.Rows.
type sheetRows struct {
	file    *spool
	mapping columnMap
}

// Each implements bulk.Rows. Fault: fault.ErrValidation for a file that cannot be
// read, or has not the columns that are asked for.
func (s sheetRows) Each(ctx context.Context, f func(*bulk.Row) error) error {
	table, err := sheet.Open(s.file, s.file.size)
	if err != nil {
		return sheetFault(err)
	}
	columns, err := s.mapping.over(table.Header())
	if err != nil {
		return err
	}
	header := table.Header()
	row := bulk.Row{
		Names: columns.names, Values: make([]string, len(columns.names)),
		Column: func(variable string) string { return columns.headerOf(variable, header) },
	}
	for {
		cells, line, err := table.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return sheetFault(err)
		}
		row.Number, row.Line, row.To = row.Number+1, line, cells[columns.to]
		for i, at := range columns.at {
			row.Values[i] = cells[at]
		}
		if row.Number%yieldRows == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := f(&row); err != nil {
			return err
		}
	}
}

// sheetFault puts what is wrong with a file among the fields of a refusal.
func sheetFault(err error) error {
	wrong, ok := errors.AsType[*sheet.Error](err)
	if !ok {
		return err
	}
	f := fault.As(fault.Fields{{Field: filePart, Rule: wrong.Code, Message: wrong.Error()}}.Err())
	if wrong.Line > 0 {
		f = f.With("line", wrong.Line).With("row", wrong.Row)
	}
	if wrong.Column != "" {
		f = f.With("column", wrong.Column)
	}
	return f
}

// columnMap says in which column of a file a variable stands, and the recipient
// (to). Columns that it does not name are variables under their headers.
type columnMap map[string]string

// columns are where a row's parts stand.
type columns struct {
	to    int
	names []string // of the variables
	at    []int    // their columns
}

// over finds the columns in a file's header. Fault: fault.ErrValidation, with the
// columns that are there.
func (m columnMap) over(header []string) (c columns, err error) {
	var wrong fault.Fields
	used := make(map[int]bool)
	c.to = -1
	for _, name := range slices.Sorted(maps.Keys(m)) {
		at := slices.Index(header, strings.TrimSpace(m[name]))
		if at < 0 {
			wrong.Add("mapping."+trimmedTo(name, 64), "not_found", "is not a column of the file")
			continue
		}
		used[at] = true
		if name == toVariable {
			c.to = at
		} else {
			c.add(name, at)
		}
	}
	if _, mapped := m[toVariable]; !mapped {
		if c.to = slices.Index(header, toVariable); c.to < 0 {
			wrong.Add(filePart, "required", `has no column "to" with the recipients: name theirs, as mapping {"to":"phone"}`)
		}
	}
	if err := wrong.Err(); err != nil {
		return c, fault.As(err).With("columns", shown(header))
	}
	for at, name := range header {
		if !used[at] && at != c.to && !slices.Contains(c.names, name) {
			c.add(name, at)
		}
	}
	return c, nil
}

func (c *columns) add(name string, at int) {
	c.names, c.at = append(c.names, name), append(c.at, at)
}

// headerOf returns the header of a variable's column; empty when there is none.
func (c *columns) headerOf(variable string, header []string) string {
	if variable == toVariable {
		return header[c.to]
	}
	if i := slices.Index(c.names, variable); i >= 0 {
		return header[c.at[i]]
	}
	return ""
}

// shown is a header as a refusal lists it: the caller's own text, cut.
func shown(header []string) []string {
	const most = 50
	list := make([]string, 0, min(len(header), most))
	for _, name := range header[:min(len(header), most)] {
		list = append(list, printable(trimmedTo(strings.TrimSpace(name), 64)))
	}
	return list
}

func (*columnMap) form(jsontext.Kind) any { return nil }

func (*columnMap) shape() string { return "must be an object of texts: the column of each variable" }
