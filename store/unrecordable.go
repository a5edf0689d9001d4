package store

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/lib/pq"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// isUnrecordable reports whether a write failed for what it says, so that it
// would fail in the same way for ever. A broken unique constraint is none:
// another process may have taken a number first.
func isUnrecordable(err error) bool {
	if isUnique(err) {
		return false
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlitelib.SQLITE_CONSTRAINT, sqlitelib.SQLITE_TOOBIG, sqlitelib.SQLITE_MISMATCH:
			return true
		}
		return false
	}
	if e, ok := errors.AsType[*pq.Error](err); ok {
		switch e.Code.Class() {
		case "22", "23", "54": // data, a constraint, a limit as that of an index's rows
			return true
		}
		return false
	}
	if _, ok := errors.AsType[*json.SemanticError](err); ok {
		return true
	}
	_, ok := errors.AsType[*jsontext.SyntacticError](err)
	return ok
}
