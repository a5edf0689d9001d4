package sheet

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// What a file may have at most.
const (
	MaxColumns   = 256
	MaxCellBytes = 64 << 10
	MaxRowBytes  = 1 << 20
)

// Reader reads the rows of a file. It is not safe for concurrent use.
type Reader struct {
	src       *source
	separator byte
	marked    [256]bool // the bytes that end a stretch of an unquoted cell

	header []string
	row    int64 // the one that is being read; 0: the header
	err    error // the one that ended the reading

	line   int64  // the one that is being read
	began  int64  // the line on which the row begins
	text   []byte // the row's cells, one after the other
	ends   []int  // where each of them ends in text
	quoted bool   // one of them was in quotes
	cells  []string
}

// Open reads the header of a file that is size bytes long. r stays the caller's
// and must outlive the reader. Errors: *Error, and those of r.
func Open(r io.ReaderAt, size int64) (*Reader, error) {
	begin, err := contents(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, err
	}
	separator, err := separatorOf(io.NewSectionReader(r, begin, size-begin))
	if err != nil {
		return nil, err
	}
	reader := &Reader{src: newSource(io.NewSectionReader(r, begin, size-begin)), separator: separator, line: 1}
	for _, b := range []byte{separator, '\n', '\r', '"'} {
		reader.marked[b] = true
	}
	if err := reader.readHeader(); err != nil {
		return nil, err
	}
	return reader, nil
}

// Header returns the names of the columns without the spaces around them: none
// is empty, and all are different. It stays the reader's.
func (r *Reader) Header() []string { return r.header }

// Read returns the next row, always with as many cells as the header has, and
// the line on which it begins. Lines with nothing on them are passed over; line
// breaks inside of quotes become LF. The slice is used again by the next call,
// its strings are not. Errors: io.EOF behind the last row, *Error, and those of
// the file; each ends the reading.
func (r *Reader) Read() (cells []string, line int64, err error) {
	if r.err != nil {
		return nil, 0, r.err
	}
	r.row++
	if r.err = r.readRow(len(r.header)); r.err != nil {
		return nil, 0, r.err
	}
	if n := len(r.ends); n < len(r.header) {
		r.err = r.wrong(r.began, n, CodeTooFewCells, fmt.Sprintf(
			"The row ends before this column: it has %d of %d cells. Empty cells need their separator (%s) too.",
			n, len(r.header), separatorName(r.separator)))
		return nil, 0, r.err
	}
	r.cut()
	return r.cells, r.began, nil
}

// cut makes cells of the row's text, which is copied once.
func (r *Reader) cut() {
	text, begin := string(r.text), 0
	r.cells = r.cells[:0]
	for _, end := range r.ends {
		r.cells = append(r.cells, text[begin:end])
		begin = end
	}
}

func (r *Reader) readHeader() error {
	err := r.readRow(MaxColumns)
	if err == io.EOF { //nolint:errorlint // as it is promised, unwrapped
		return &Error{Code: CodeEmpty, Message: sentenceEmpty}
	}
	if err != nil {
		return err
	}
	r.cut()
	header := make([]string, 0, len(r.cells))
	for column, name := range r.cells {
		name = strings.TrimSpace(name)
		if name == "" {
			return r.wrong(r.began, column, CodeEmptyHeader, "This column has no header: name it, or remove the column.")
		}
		if first := slices.Index(header, name); first >= 0 {
			return &Error{
				Line: r.began, Column: name, Code: CodeDuplicateHeader,
				Message: fmt.Sprintf("The columns %s and %s have the same header: rename or remove one.", letters(first), letters(column)),
			}
		}
		header = append(header, name)
	}
	r.header = header
	return nil
}

// wrong is an error of the row that is being read.
func (r *Reader) wrong(line int64, column int, code, message string) *Error {
	name := letters(column)
	if column < len(r.header) {
		name = r.header[column]
	}
	return &Error{Row: r.row, Line: line, Column: name, Code: code, Message: message}
}
