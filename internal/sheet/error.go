package sheet

import "fmt"

// The codes of an Error. They never change.
const (
	CodeEmpty           = "empty_file"
	CodeNotCSV          = "not_csv" // a workbook
	CodeUTF16           = "utf16"
	CodeNotUTF8         = "not_utf8"
	CodeNUL             = "nul_byte"
	CodeBareCR          = "bare_cr"
	CodeBareQuote       = "bare_quote"
	CodeAfterQuote      = "text_after_quote"
	CodeOpenQuote       = "open_quote"
	CodeEmptyHeader     = "empty_header"
	CodeDuplicateHeader = "duplicate_header"
	CodeTooManyColumns  = "too_many_columns"
	CodeTooFewCells     = "too_few_cells"
	CodeTooManyCells    = "too_many_cells"
	CodeCellTooLong     = "cell_too_long"
	CodeRowTooLong      = "row_too_long"
)

// Error is what is wrong with a file, and where.
type Error struct {
	Row     int64  // from 1, the first row below the header; 0: the header, or the file as a whole
	Line    int64  // of the file, from 1; 0: the file as a whole
	Column  string // its header, or its letters as spreadsheets show them; empty: the row as a whole
	Code    string // one of Code…
	Message string // one or two sentences that say what to do, without the place
}

// Error implements error with the place and the sentence.
func (e *Error) Error() string {
	switch {
	case e.Line == 0:
		return e.Message
	case e.Column == "":
		return fmt.Sprintf("%s: %s", e.row(), e.Message)
	default:
		return fmt.Sprintf("%s, column %q: %s", e.row(), e.Column, e.Message)
	}
}

func (e *Error) row() string {
	if e.Row == 0 {
		return fmt.Sprintf("header (line %d)", e.Line)
	}
	return fmt.Sprintf("row %d (line %d)", e.Row, e.Line)
}

// letters returns what spreadsheets call a column, counted from 0.
func letters(column int) string {
	name := ""
	for n := column + 1; n > 0; n = (n - 1) / 26 {
		name = string(rune('A'+(n-1)%26)) + name
	}
	return name
}
