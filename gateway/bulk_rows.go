package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
	"portaria/outbox/bulk"
)

const (
	// maxRowBytes is the longest row of JSON: as a row of CSV, more than any
	// message needs.
	maxRowBytes = 1 << 20
	// rowsBuffer is how much of the rows is read ahead.
	rowsBuffer = 64 << 10
	// yieldRows is after how many rows it is looked whether anybody still waits.
	yieldRows = 1024
)

// jsonRows reads the recipients of a JSON body from the disk. It implements
// bulk.Rows.
type jsonRows struct{ upload *rowsUpload }

// Each implements bulk.Rows. Faults: ErrInvalidJSON with the row and its place
// in the body; fault.ErrValidation for a row that is too long.
func (r jsonRows) Each(ctx context.Context, f func(*bulk.Row) error) error {
	guarded := &rowGuard{r: r.upload.file.reader()}
	decoder := jsontext.NewDecoder(guarded)
	guarded.left = maxRowBytes
	if _, err := decoder.ReadToken(); err != nil {
		return r.unreadable(err, 1)
	}
	var row rowReader
	for n := int64(1); decoder.PeekKind() != ']'; n++ {
		if n%yieldRows == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		guarded.left = maxRowBytes
		raw, err := decoder.ReadValue()
		if err != nil {
			return r.unreadable(err, n)
		}
		if err := f(row.read(raw, n, 0)); err != nil {
			return err
		}
	}
	if _, err := decoder.ReadToken(); err != nil { // the end of the list, or what stands in its place
		return r.unreadable(err, 0)
	}
	return nil
}

// unreadable says where the list is broken. row is the one that was to be read;
// 0: they had ended.
func (r jsonRows) unreadable(err error, row int64) error {
	if errors.Is(err, errLongRow) {
		return longRow(rowsMember+"["+strconv.FormatInt(row-1, 10)+"]", "")
	}
	broken, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	at := r.upload.split.taken
	if ok {
		at = r.upload.split.from + broken.ByteOffset
	}
	f := brokenAt(at)
	if row > 0 {
		f = f.With("row", row)
	}
	return f
}

// brokenAt is the fault of a body that is not JSON from a byte on.
func brokenAt(offset int64) *fault.Fault {
	return ErrInvalidJSON.Saying("The body is not valid JSON; it is broken at byte "+strconv.FormatInt(offset, 10)+
		". It has to be one object in UTF-8, with no name twice and nothing behind it.").With("offset", offset)
}

// longRow is the fault of a row that nobody needs; at says where it is.
func longRow(at, where string) error {
	return fault.Fields{{Field: at, Rule: "max_bytes", Message: where + "must not be longer than 1 MiB"}}.Err()
}

// errLongRow ends the reading of a row that is too long to be held.
var errLongRow = errors.New("the row is too long")

// rowGuard bounds how much is read for one row, and so what a decoder holds.
type rowGuard struct {
	r    io.Reader
	left int // bytes that the row may still take
}

// Read implements io.Reader.
func (g *rowGuard) Read(p []byte) (int, error) {
	if g.left <= 0 {
		return 0, errLongRow
	}
	n, err := g.r.Read(p)
	g.left -= n
	return n, err
}

// lineRows reads a file with a JSON object on each line (NDJSON). It implements
// bulk.Rows.
type lineRows struct{ upload *rowsUpload }

// Each implements bulk.Rows. Lines with nothing on them are passed over. Faults:
// ErrInvalidJSON with the line, fault.ErrValidation for one that is too long.
func (r lineRows) Each(ctx context.Context, f func(*bulk.Row) error) error {
	lines := bufio.NewScanner(r.upload.file.reader())
	lines.Buffer(make([]byte, 0, rowsBuffer), maxRowBytes)
	var row rowReader
	var line, n int64
	for lines.Scan() {
		if line++; line%yieldRows == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		raw := lines.Bytes()
		if line == 1 {
			raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
		}
		if raw = bytes.TrimSpace(raw); len(raw) == 0 {
			continue
		}
		n++
		if !jsontext.Value(raw).IsValid() {
			return ErrInvalidJSON.Saying("Line "+strconv.FormatInt(line, 10)+
				" of the file is not valid JSON: each line has to be one object in UTF-8, as {\"to\":\"+5511912345678\"}.").
				With("line", line).With("row", n)
		}
		if err := f(row.read(raw, n, line)); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return longRow(filePart, "has a line that is too long: line "+strconv.FormatInt(line+1, 10)+" ")
	}
	return lines.Err()
}
