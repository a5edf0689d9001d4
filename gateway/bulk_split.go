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
	length := len(p)
	for len(p) > 0 {
		var n int
		var err error
		if s.diverted {
			n = s.inList(p)
			_, err = s.rows.Write(p[:n])
		} else {
			n = s.outside(p)
			err = s.pass(p[:n])
		}
		if err != nil {
			return 0, err
		}
		s.taken += int64(n)
		p = p[n:]
	}
	return length, nil
}

// pass hands on what is not the list, and the empty one before it begins.
func (s *splitter) pass(p []byte) error {
	if err := s.head(p); err != nil || !s.diverted {
		return err
	}
	return s.head([]byte("[]"))
}

// outside takes what comes before the list begins, and behind it, and returns
// how much that is.
func (s *splitter) outside(p []byte) (n int) {
	for i, c := range p {
		if s.step(c); s.diverted {
			s.from = s.taken + int64(i)
			return i
		}
	}
	return len(p)
}

// inList takes what belongs to the list and returns how much that is. It is the
// same as step, but that it looks at nothing else: nearly all of a bulk is its
// list.
func (s *splitter) inList(p []byte) (n int) {
	depth, quoted := s.depth, s.quoted
	i := 0
	if s.escaped {
		s.escaped, i = false, 1
	}
	for ; i < len(p); i++ {
		c := p[i]
		switch {
		case quoted && c == '\\':
			if i++; i == len(p) {
				s.escaped = true
			}
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[', c == '{':
			depth++
		case c == ']', c == '}':
			if depth--; depth == 1 {
				s.depth, s.quoted, s.diverted = 1, false, false
				s.to = s.taken + int64(i) + 1
				return i + 1
			}
		}
	}
	s.depth, s.quoted = depth, quoted
	return len(p)
}

// step takes one byte that is not of the list, or its first.
func (s *splitter) step(c byte) {
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
				s.depth = 1 // inList counts it
				s.diverted, s.found = true, true
			}
		}
		s.fresh = c == '{' && s.depth == 1
	case '}', ']':
		s.depth--
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
