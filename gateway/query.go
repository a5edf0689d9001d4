package gateway

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"portaria/internal/fault"
	"portaria/messaging"
)

// query reads the parameters of a request's query and collects what is wrong
// with them. Names that nobody asks for are refused: a misspelt filter would
// silently list everything.
type query struct {
	args  *fasthttp.Args
	asked []string
	wrong fault.Fields
}

// queryReader is a request with parameters in the query.
type queryReader interface {
	readQuery(q *query)
}

// text returns a parameter; "" when it is absent. A value that is no plain text
// is refused here, for all parameters: a database may not take it.
func (q *query) text(name string) string {
	q.asked = append(q.asked, name)
	if q.args.Len() == 0 {
		return ""
	}
	value := string(q.args.Peek(name))
	if !plainText(value) {
		q.wrong = append(q.wrong, notPlain(name))
		return ""
	}
	return value
}

// plainText reports whether a text is valid UTF-8 without control characters.
// Of what comes in paths and queries, nothing else names anything; PostgreSQL
// refuses to compare the one, and both would garble a log.
func plainText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// notPlain is what is said of a parameter that is no plain text.
func notPlain(name string) fault.Field {
	return fault.Field{Field: name, Rule: "format", Message: "must be UTF-8 without control characters"}
}

// printable keeps of a text what plainText lets pass.
func printable(s string) string {
	if plainText(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// number returns a whole number between low and high, or otherwise when the
// parameter is absent.
func (q *query) number(name string, low, high, otherwise int) int {
	text := q.text(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		q.wrong.Add(name, "range", "must be a whole number from "+strconv.Itoa(low)+" to "+strconv.Itoa(high))
		return otherwise
	}
	return n
}

// enum returns one of the values, or "".
func (q *query) enum(name string, values ...string) string {
	text := q.text(name)
	if text != "" && !slices.Contains(values, text) {
		q.wrong.Add(name, "enum", "is not one of the possible values")
		return ""
	}
	return text
}

// time returns a time; zero when the parameter is absent.
func (q *query) time(name string) time.Time {
	text := q.text(name)
	if text == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		q.wrong.Add(name, "time", "must be an RFC 3339 time with a zone, as 2026-01-31T12:00:00Z")
	}
	return at
}

// id returns an object's id; "" when the parameter is absent.
func (q *query) id(name string, prefix messaging.IDPrefix) string {
	text := q.text(name)
	if text != "" && !messaging.ValidID(prefix, text) {
		q.wrong.Add(name, "format", "must be an id that begins with "+string(prefix))
		return ""
	}
	return text
}

// The bounds of ?limit=.
const (
	defaultLimit = 50
	maxLimit     = 200
)

// page returns which part of a list is asked for. valid tells a list's own
// cursors from others.
func (q *query) page(valid func(last string) bool) messaging.Page {
	page := messaging.Page{Limit: q.number("limit", 1, maxLimit, defaultLimit)}
	cursor := q.text("cursor")
	if cursor == "" {
		return page
	}
	last, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || !valid(string(last)) {
		q.wrong.Add("cursor", "format", "is not a cursor of this list")
		return page
	}
	page.Cursor = string(last)
	return page
}

// cursorTo writes the cursor of the page behind a row.
func cursorTo(last string) string { return base64.RawURLEncoding.EncodeToString([]byte(last)) }

// isID returns what tells the cursors of a list of objects.
func isID(prefix messaging.IDPrefix) func(string) bool {
	return func(last string) bool { return messaging.ValidID(prefix, last) }
}

// isPosition tells the cursors of lists whose rows are numbered.
func isPosition(last string) bool {
	n, err := strconv.ParseInt(last, 10, 64)
	return err == nil && n > 0 && strconv.FormatInt(n, 10) == last
}

// close returns what was wrong: values, names that nobody asked for, and names
// that came twice.
func (q *query) close() error {
	if q.args.Len() > 0 {
		q.findStrangers()
	}
	if len(q.wrong) == 0 {
		return nil
	}
	return refusedQuery(q.wrong)
}

// refusedQuery is the fault of a query with these parameters.
func refusedQuery(wrong fault.Fields) error {
	return fault.ErrBadRequest.Saying("The query has parameters that are unknown or not valid.").
		With("fields", []fault.Field(wrong))
}

func (q *query) findStrangers() {
	var seen []string
	q.args.VisitAll(func(key, _ []byte) {
		name := string(key)
		switch {
		case !slices.Contains(q.asked, name):
			q.wrong.Add(printable(trimmedTo(name, 64)), "unknown", "is not a parameter of this route")
		case slices.Contains(seen, name):
			q.wrong.Add(name, "repeated", "appears more than once")
		}
		seen = append(seen, name)
	})
}

// listOf cuts a page to its limit and converts its rows. Stores return one row
// more than the page shows when there is a next one.
func listOf[Row, View any](rows []Row, page messaging.Page, view func(Row) View, last func(Row) string) List[View] {
	list := List[View]{Limit: page.Limit, Items: make([]View, 0, min(len(rows), page.Limit))}
	if len(rows) > page.Limit {
		rows = rows[:page.Limit]
		list.Next = cursorTo(last(rows[len(rows)-1]))
	}
	for _, row := range rows {
		list.Items = append(list.Items, view(row))
	}
	return list
}
