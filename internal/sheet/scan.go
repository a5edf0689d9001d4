package sheet

import (
	"bytes"
	"fmt"
	"io"
)

// readRow reads the next row that has something on it; it may have limit cells.
func (r *Reader) readRow(limit int) error {
	for {
		b, ok, err := r.src.peek()
		if !ok {
			return orEOF(err)
		}
		r.text, r.ends, r.quoted, r.began = r.text[:0], r.ends[:0], false, r.line
		if b == '\n' || b == '\r' { // a file may be nothing but these
			if err := r.endLine(b); err != nil {
				return err
			}
			continue
		}
		for more := true; more; {
			if len(r.ends) == limit {
				return r.tooMany(limit)
			}
			if more, err = r.readCell(); err != nil {
				return err
			}
			r.ends = append(r.ends, len(r.text))
		}
		if !r.blank() {
			return nil
		}
	}
}

func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// blank reports whether the row is a line with nothing but spaces on it.
func (r *Reader) blank() bool {
	return len(r.ends) == 1 && !r.quoted && len(bytes.TrimLeft(r.text, " ")) == 0
}

func (r *Reader) tooMany(limit int) error {
	if r.header == nil {
		return r.wrong(r.began, limit, CodeTooManyColumns, fmt.Sprintf("The header has more than %d columns.", limit))
	}
	return r.wrong(r.began, limit, CodeTooManyCells, fmt.Sprintf(
		"The row has more cells than the header, which has %d: put a cell that holds the separator (%s) in quotes.", limit, separatorName(r.separator)))
}

// readCell reads one cell and what ends it; more: that was a separator.
func (r *Reader) readCell() (more bool, err error) {
	begin, line := len(r.text), r.line
	b, ok, err := r.src.peek()
	if err != nil {
		return false, err
	}
	if ok && b == '"' {
		r.src.skip()
		r.quoted = true
		more, err = r.readQuoted(begin)
		if lineBreak := []byte("\r\n"); bytes.Contains(r.text[begin:], lineBreak) {
			r.text = append(r.text[:begin], bytes.ReplaceAll(r.text[begin:], lineBreak, lineBreak[1:])...)
		}
	} else {
		more, err = r.readPlain(begin)
	}
	if err != nil {
		return false, err
	}
	if code, message := wrongText(r.text[begin:]); code != "" {
		return false, r.wrong(line, len(r.ends), code, message)
	}
	return more, nil
}

// readPlain reads a cell without quotes, which begins at a place of the text.
func (r *Reader) readPlain(begin int) (more bool, err error) {
	for {
		run, err := r.src.until(&r.marked)
		if err != nil {
			return false, err
		}
		if err := r.take(run, begin, r.line); err != nil {
			return false, err
		}
		b, ok, err := r.src.peek()
		switch {
		case !ok:
			return false, err
		case b == r.separator:
			r.src.skip()
			return true, nil
		case b == '\n', b == '\r':
			return false, r.endLine(b)
		case b == '"':
			return false, r.wrong(r.line, len(r.ends), CodeBareQuote,
				"A quote in a cell that does not begin with one: put the whole cell in quotes and write each quote in it twice.")
		}
	}
}

// readQuoted reads a cell behind its opening quote.
func (r *Reader) readQuoted(begin int) (more bool, err error) {
	line := r.line
	for {
		run, err := r.src.untilQuote()
		if err != nil {
			return false, err
		}
		r.line += int64(bytes.Count(run, []byte("\n")))
		if err := r.take(run, begin, line); err != nil {
			return false, err
		}
		b, ok, err := r.src.peek()
		switch {
		case err != nil:
			return false, err
		case !ok:
			return false, r.wrong(line, len(r.ends), CodeOpenQuote, "The quote that opens this cell is never closed.")
		case b != '"':
			continue
		}
		r.src.skip()
		doubled, more, err := r.afterQuote(line)
		if !doubled || err != nil {
			return more, err
		}
		if err := r.take([]byte{'"'}, begin, line); err != nil {
			return false, err
		}
	}
}

// afterQuote reads what follows a quote inside of a quoted cell: a second one,
// which makes both a quote of the text, or the cell's end.
func (r *Reader) afterQuote(line int64) (doubled, more bool, err error) {
	b, ok, err := r.src.peek()
	switch {
	case !ok:
		return false, false, err
	case b == '"':
		r.src.skip()
		return true, false, nil
	case b == r.separator:
		r.src.skip()
		return false, true, nil
	case b == '\n', b == '\r':
		return false, false, r.endLine(b)
	}
	return false, false, r.wrong(line, len(r.ends), CodeAfterQuote, fmt.Sprintf(
		"Text follows the quote that closes the cell on line %d: write each quote inside of the cell twice, and nothing behind the last one.", r.line))
}

// endLine passes over the end of a line, of which b is the next byte.
func (r *Reader) endLine(b byte) error {
	r.src.skip()
	if b == '\r' {
		next, ok, err := r.src.peek()
		if !ok {
			return err
		}
		if next != '\n' {
			return r.wrong(r.line, len(r.ends), CodeBareCR,
				"A carriage return that ends no line: lines end with LF or CR LF. Save the file again as CSV UTF-8, or put the cell in quotes.")
		}
		r.src.skip()
	}
	r.line++
	return nil
}

// take adds a stretch to the cell that begins at a place of the text and on a
// line.
func (r *Reader) take(run []byte, begin int, line int64) error {
	r.text = append(r.text, run...)
	if len(r.text)-begin > MaxCellBytes {
		message := fmt.Sprintf("The cell is longer than %d bytes.", MaxCellBytes)
		if r.line > line {
			message += " Perhaps the quote that opens it is never closed."
		}
		return r.wrong(line, len(r.ends), CodeCellTooLong, message)
	}
	if len(r.text) > MaxRowBytes {
		return r.wrong(line, len(r.ends), CodeRowTooLong, fmt.Sprintf("The row is longer than %d bytes.", MaxRowBytes))
	}
	return nil
}
