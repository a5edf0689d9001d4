package gateway

import (
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// rowsMember is the member of a bulk's body that holds its rows.
const rowsMember = "recipients"

// splitter parts the JSON of a bulk as it arrives: the list of its recipients
// goes one way, and everything else another, with an empty list in its place.
// It only counts brackets and quotes; whether both parts are JSON is found out
// by who reads them. The whole is JSON when both parts are.
type splitter struct {
	head  func(p []byte) error // takes what is not the list
	rows  io.Writer            // takes the list
	taken int64                // bytes so far

	depth   int
	quoted  bool
	escaped bool
	name    []byte // of a member of the body, with its quotes, while it is read
	inName  bool
	fresh   bool // a name may begin: behind { and , of the body
	listed  bool // the name before was that of the list

	diverted bool  // what comes is the list
	found    bool  // there was a list
	from, to int64 // where it stands in the body; to is 0 until its end
}

// longestName is more than any spelling of rowsMember needs.
const longestName = 6*len(rowsMember) + 2

// Write implements io.Writer. Errors are those of where the parts go.
func (s *splitter) Write(p []byte) (int, error) {
	begin := 0 // of what has not been passed on
	for i, c := range p {
		wasDiverted := s.diverted
		s.step(c, s.taken+int64(i))
		if s.diverted == wasDiverted {
			continue
		}
		end := i
		if wasDiverted {
			end = i + 1 // the bracket that ends the list is its last byte
		}
		if err := s.pass(p[begin:end], wasDiverted); err != nil {
			return 0, err
		}
		begin = end
		if s.diverted {
			if err := s.head([]byte("[]")); err != nil {
				return 0, err
			}
		}
	}
	s.taken += int64(len(p))
	return len(p), s.pass(p[begin:], s.diverted)
}

func (s *splitter) pass(p []byte, toRows bool) error {
	if len(p) == 0 {
		return nil
	}
	if !toRows {
		return s.head(p)
	}
	_, err := s.rows.Write(p)
	return err
}

// step takes one byte; at is its place in the body.
func (s *splitter) step(c byte, at int64) {
	if s.quoted {
		s.inText(c)
		return
	}
	switch c {
	case '"':
		s.quoted = true
		s.inName = s.depth == 1 && s.fresh && !s.found
		s.name = append(s.name[:0], c)
		s.fresh, s.listed = false, false
	case '{', '[':
		s.depth++
		if s.listed && s.depth == 2 {
			s.listed = false
			if c == '[' {
				s.diverted, s.found, s.from = true, true, at
			}
		}
		s.fresh = c == '{' && s.depth == 1
	case '}', ']':
		s.depth--
		if s.diverted && s.depth == 1 {
			s.diverted, s.to = false, at+1
		}
	case ',':
		s.fresh = s.depth == 1
	}
}

// inText takes a byte of a text, or the quote behind it.
func (s *splitter) inText(c byte) {
	if s.inName && len(s.name) < longestName {
		s.name = append(s.name, c)
	}
	switch {
	case s.escaped:
		s.escaped = false
	case c == '\\':
		s.escaped = true
	case c == '"':
		s.quoted = false
		if s.inName {
			s.inName, s.listed = false, isRowsMember(s.name)
		}
	}
}

// isRowsMember reports whether a JSON string, with its quotes, is the list's
// name. It may be written with escapes.
func isRowsMember(quoted []byte) bool {
	if string(quoted) == `"`+rowsMember+`"` {
		return true
	}
	name, err := jsontext.AppendUnquote(nil, quoted)
	return err == nil && string(name) == rowsMember
}

// inBody returns where a place in the head stands in the body.
func (s *splitter) inBody(at int64) int64 {
	if !s.found || at <= s.from {
		return at
	}
	to := s.to
	if to == 0 {
		to = s.taken
	}
	return at - int64(len("[]")) + to - s.from
}
