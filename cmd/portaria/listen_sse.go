package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// maxFrame bounds one event of a stream, and one line of it: more than the API
// lets a message hold.
const maxFrame = 8 << 20

// errLongFrame is the fault of a stream that is not Portaria's.
var errLongFrame = errStrangeAnswer.Because(errors.New("an event of more than 8 MiB"))

// frame is one event of an event stream.
type frame struct {
	id   string // that of this event or of the last one that had any
	name string // empty in a stream is "message"
	data []byte
}

// frameReader reads an event stream as the HTML standard says (section 9.2.6,
// "Interpreting an event stream"; html.spec.whatwg.org).
type frameReader struct {
	lastID string        // the id of the last event, which resumes behind it
	retry  time.Duration // how long to wait before connecting again; 0: not said

	in      *bufio.Reader
	begun   bool // the first line, which may have a byte order mark, has been read
	afterCR bool // a line feed that comes next belongs to the line before
	id      string
	name    string
	data    bytes.Buffer // each line with its line feed
}

func newFrameReader(in io.Reader) *frameReader { return &frameReader{in: bufio.NewReader(in)} }

// next returns the next event that has data. What stands at the end without a
// blank line behind it is no event. Errors: io.EOF, errLongFrame, and those of
// the reader.
func (r *frameReader) next() (frame, error) {
	for {
		line, err := r.line()
		if err != nil {
			return frame{}, err
		}
		if len(line) > 0 {
			if err := r.field(line); err != nil {
				return frame{}, err
			}
			continue
		}
		if f, ok := r.dispatch(); ok {
			return f, nil
		}
	}
}

// dispatch ends an event. An id counts also without data.
func (r *frameReader) dispatch() (frame, bool) {
	r.lastID = r.id
	f := frame{id: r.id, name: r.name, data: bytes.Clone(bytes.TrimSuffix(r.data.Bytes(), []byte("\n")))}
	if f.name == "" {
		f.name = "message"
	}
	some := r.data.Len() > 0
	r.name = ""
	r.data.Reset()
	return f, some
}

// field reads one line of an event.
func (r *frameReader) field(line []byte) error {
	name, value, _ := strings.Cut(string(line), ":")
	value = strings.TrimPrefix(value, " ")
	switch name { // "" is a comment
	case "data":
		if r.data.Len()+len(value) >= maxFrame {
			return errLongFrame
		}
		r.data.WriteString(value + "\n")
	case "event":
		r.name = value
	case "id":
		if !strings.ContainsRune(value, 0) {
			r.id = value
		}
	case "retry":
		if ms, err := strconv.ParseUint(value, 10, 31); err == nil {
			r.retry = time.Duration(ms) * time.Millisecond
		}
	}
	return nil
}

// line reads a line without its end: CR LF, LF, or CR. One that ends in CR is
// there at once, whatever comes behind it.
func (r *frameReader) line() ([]byte, error) {
	var line []byte
	for {
		b, err := r.in.ReadByte()
		if err != nil {
			return nil, err
		}
		second := b == '\n' && r.afterCR
		r.afterCR = b == '\r'
		switch {
		case second:
		case b == '\n' || b == '\r':
			if !r.begun {
				r.begun, line = true, bytes.TrimPrefix(line, []byte("\uFEFF"))
			}
			return line, nil
		case len(line) >= maxFrame:
			return nil, errLongFrame
		default:
			line = append(line, b)
		}
	}
}
