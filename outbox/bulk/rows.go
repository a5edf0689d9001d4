package bulk

import "context"

// Rows are the recipients of a bulk as they were uploaded.
type Rows interface {
	// Each calls f for every row, in order, until f returns an error, and returns
	// that error. It is called once. What is wrong with a single row is told in
	// Row.Fault; an error of its own (a fault) says that the upload cannot be read
	// at all.
	Each(ctx context.Context, f func(*Row) error) error
}

// Row is one recipient as it was uploaded. It, its lists and their texts may be
// used again once f has returned, as far as they are memory of the reader's:
// strings themselves never change.
type Row struct {
	Number int64 // from 1, rising by one
	Line   int64 // where it begins in its file; 0: the recipients are members of a JSON document
	To     string
	Names  []string // of the variables; no two are the same
	Values []string // of the variables, in the order of Names
	Fault  *RowFault
	// Column names what a variable (or "to") is called where it was uploaded: the
	// header of a file's column, the path of a member below a JSON row. nil: by its
	// own name.
	Column func(variable string) string
}

// RowFault says what is wrong with a row. Values are not echoed.
type RowFault struct {
	Row     int64
	Line    int64  // in the file; 0: of a JSON document
	Column  string // of a file, or the member of a JSON row; empty: the row as a whole
	Code    string // one of messaging.Skipped…, or the reader's own
	Message string // a sentence
}
