package sheet

import (
	"bytes"
	"errors"
	"io"
)

// bufferBytes is how much is read at a time.
const bufferBytes = 64 << 10

// source reads a file piece by piece.
type source struct {
	from io.Reader
	buf  []byte
	rest []byte // of buf, what is not read yet
}

func newSource(from io.Reader) *source {
	return &source{from: from, buf: make([]byte, bufferBytes)}
}

// fill reads on when nothing is left of what was read. Errors: io.EOF, and
// those of the file.
func (s *source) fill() error {
	for len(s.rest) == 0 {
		n, err := s.from.Read(s.buf)
		s.rest = s.buf[:n]
		if n == 0 && err != nil {
			return err
		}
	}
	return nil
}

// peek returns the next byte and leaves it there. ok is false at the end.
func (s *source) peek() (b byte, ok bool, err error) {
	if len(s.rest) > 0 {
		return s.rest[0], true, nil
	}
	err = s.fill()
	if errors.Is(err, io.EOF) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return s.rest[0], true, nil
}

// skip passes over the byte that was peeked.
func (s *source) skip() { s.rest = s.rest[1:] }

// until returns what comes before the first byte that is marked, and passes
// over it; it may be only a part of that: then nothing that is marked follows
// yet. What it returns is good until the next call. At the end it returns
// nothing.
func (s *source) until(marked *[256]bool) ([]byte, error) {
	if _, ok, err := s.peek(); !ok {
		return nil, err
	}
	for i, b := range s.rest {
		if marked[b] {
			run := s.rest[:i]
			s.rest = s.rest[i:]
			return run, nil
		}
	}
	run := s.rest
	s.rest = nil
	return run, nil
}

// untilQuote is until for the one byte that matters inside of quotes; NUL is
// looked for when the cell is complete.
func (s *source) untilQuote() ([]byte, error) {
	if _, ok, err := s.peek(); !ok {
		return nil, err
	}
	n := bytes.IndexByte(s.rest, '"')
	if n < 0 {
		n = len(s.rest)
	}
	run := s.rest[:n]
	s.rest = s.rest[n:]
	return run, nil
}
