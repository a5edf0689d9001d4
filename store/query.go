package store

import (
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"portaria/messaging"
)

// query builds a SELECT whose conditions depend on a filter. Values only ever
// become parameters.
type query struct {
	b    strings.Builder
	args []any
}

// newQuery begins with a text whose $1 and $2 are the tenancy's workspace and
// environment.
func newQuery(text string, t messaging.Tenancy) *query {
	q := &query{args: []any{t.Workspace(), string(t.Environment())}}
	q.b.WriteString(text)
	return q
}

// and adds "AND condition$n".
func (q *query) and(condition string, value any) {
	q.b.WriteString(" AND ")
	q.tail(condition, value)
}

// tail adds text and one parameter.
func (q *query) tail(text string, value any) {
	q.args = append(q.args, value)
	q.b.WriteString(text)
	q.b.WriteString("$" + strconv.Itoa(len(q.args)))
}

// instances narrows to what an allowlist opens, and to one instance if asked.
func (q *query) instances(column string, allow messaging.Allowlist, one string) {
	switch {
	case one != "" && allow.Opens(one):
		q.and(column+" = ", one)
	case one != "" || (!allow.All() && len(allow.IDs()) == 0):
		q.b.WriteString(" AND 1 = 0")
	case !allow.All():
		q.b.WriteString(" AND " + column + " IN (")
		for i, id := range allow.IDs() {
			if i > 0 {
				q.b.WriteString(", ")
			}
			q.tail("", id)
		}
		q.b.WriteString(")")
	}
}

func (q *query) text() string { return q.b.String() }

// errorsJoinClose closes rows and joins both errors.
func errorsJoinClose(err error, rows *sql.Rows) error {
	return errors.Join(err, rows.Close())
}
