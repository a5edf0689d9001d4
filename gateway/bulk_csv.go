package gateway

import (
	"bytes"
	"context"
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/messaging"
)

// resultPage is how many rows of a table are read at a time.
const resultPage = 1000

// resultTable is the whole result of a bulk as CSV, in UTF-8 with a header. It is
// written while it is read, page by page; should the database fail meanwhile, the
// answer ends before its end and the caller notices. Which variables there are is
// found out before: what cannot be read at all is a fault.
func (s *Server) resultTable(ctx context.Context, b messaging.Bulk, status string) (*form, error) {
	ctx = context.WithoutCancel(ctx)
	pages := func(after int64) ([]messaging.BulkRecipient, error) {
		ctx, cancel := context.WithTimeout(ctx, defaultDeadline)
		defer cancel()
		page := messaging.Page{Limit: resultPage}
		if after > 0 {
			page.Cursor = strconv.FormatInt(after, 10)
		}
		rows, err := s.bulks.Recipients(ctx, b, status, page)
		return rows[:min(len(rows), resultPage)], err
	}
	variables, err := variablesOf(pages)
	if err != nil {
		return nil, err
	}
	table := &resultReader{pages: pages, variables: variables}
	table.out = csv.NewWriter(&table.buffer)
	table.begin()
	return &form{mediaType: formCSV + "; charset=utf-8", file: &fileBody{
		ReadCloser: io.NopCloser(table), size: -1, disposition: `attachment; filename="` + b.ID + `.csv"`,
	}}, nil
}

// resultReader writes a table of results as it is read.
type resultReader struct {
	pages     func(after int64) ([]messaging.BulkRecipient, error)
	variables []string

	buffer bytes.Buffer
	out    *csv.Writer
	cells  []string
	last   int64 // the row that was written last
	over   bool
}

// Read implements io.Reader.
func (t *resultReader) Read(p []byte) (int, error) {
	for t.buffer.Len() == 0 {
		if t.over {
			return 0, io.EOF
		}
		if err := t.more(); err != nil {
			return 0, err
		}
	}
	return t.buffer.Read(p)
}

// begin writes the header.
func (t *resultReader) begin() {
	t.cells = append(slices.Clone(resultColumns), variableColumns(t.variables)...)
	for i := range t.cells {
		t.cells[i] = harmless(t.cells[i])
	}
	_ = t.out.Write(t.cells) // into memory, which does not fail
	t.out.Flush()
}

// more writes the next page.
func (t *resultReader) more() error {
	rows, err := t.pages(t.last)
	if err != nil {
		return err
	}
	for i := range rows {
		t.write(&rows[i])
		t.last = rows[i].Row
	}
	t.over = len(rows) < resultPage
	t.out.Flush()
	return t.out.Error()
}

func (t *resultReader) write(r *messaging.BulkRecipient) {
	problem := messaging.SendError{}
	if r.Error != nil {
		problem = *r.Error
	}
	t.cells = append(t.cells[:0], strconv.FormatInt(r.Row, 10), r.To.Input, r.To.WAID, r.Status, problem.Code, problem.Message,
		r.MessageID, r.InstanceID, cellTime(r.State.SentAt), cellTime(r.State.DeliveredAt), cellTime(r.State.ReadAt), cellTime(r.State.FailedAt))
	var values map[string]string
	if len(r.Variables) > 0 {
		_ = json.Unmarshal(r.Variables, &values) // Portaria has written it
	}
	for _, name := range t.variables {
		t.cells = append(t.cells, values[name])
	}
	for i := range t.cells {
		t.cells[i] = harmless(t.cells[i])
	}
	_ = t.out.Write(t.cells) // into memory, which does not fail
}

// cellTime is a time in a table; empty when there is none.
func cellTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeLayout)
}

// variablesOf lists the variables that any of a result's rows has, in the order
// in which they appear; at most as many as a row may have.
func variablesOf(pages func(after int64) ([]messaging.BulkRecipient, error)) (names []string, err error) {
	var last []byte
	for after := int64(0); ; {
		rows, err := pages(after)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			if bytes.Equal(rows[i].Variables, last) {
				continue
			}
			last = rows[i].Variables
			names = appendNames(names, last)
		}
		if len(rows) < resultPage {
			return names, nil
		}
		after = rows[len(rows)-1].Row
	}
}

// appendNames appends the names of an object's members that are not there yet.
func appendNames(names []string, object []byte) []string {
	decoder := jsontext.NewDecoder(bytes.NewBuffer(object)) // a buffer is not copied
	if _, err := decoder.ReadToken(); err != nil {
		return names
	}
	for decoder.PeekKind() == '"' && len(names) < maxVariables {
		token, err := decoder.ReadToken()
		if err != nil {
			return names
		}
		if name := token.String(); !slices.Contains(names, name) {
			names = append(names, name)
		}
		if err := decoder.SkipValue(); err != nil {
			return names
		}
	}
	return names
}
