package main

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// place is where something stands in a file, counted from 1, in characters. The
// zero value is a place that nobody knows.
type place struct{ line, column int }

// in puts the place behind the name of its file, as compilers do.
func (p place) in(file string) string {
	if p.line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d:%d", file, p.line, max(p.column, 1))
}

// cursor walks through a text and knows the place that it has reached.
type cursor struct {
	text  []byte // what lies ahead
	place place
}

func newCursor(text []byte) *cursor { return &cursor{text: text, place: place{line: 1, column: 1}} }

// walk goes n bytes on.
func (c *cursor) walk(n int) {
	n = max(0, min(n, len(c.text)))
	passed := c.text[:n]
	c.text = c.text[n:]
	if lines := bytes.Count(passed, []byte("\n")); lines > 0 {
		c.place.line += lines
		c.place.column = 1
		passed = passed[bytes.LastIndexByte(passed, '\n')+1:]
	}
	c.place.column += utf8.RuneCount(passed)
}

// placeOf is the place of a byte of a text.
func placeOf(text []byte, offset int) place {
	c := newCursor(text)
	c.walk(offset)
	return c.place
}

// places say where the values of a file stand.
type places map[jsontext.Pointer]place

// find returns the place of a field, as the API names it: steps[2].send.to. One
// that is not there stands where it should have been.
func (p places) find(field string) place {
	at := pointerTo(field)
	for {
		if found, ok := p[at]; ok {
			return found
		}
		if at == "" {
			return place{}
		}
		at = at.Parent()
	}
}

// pointerTo turns the name of a field into a JSON pointer.
func pointerTo(field string) (at jsontext.Pointer) {
	steps := strings.NewReplacer("[", ".", "]", "").Replace(field)
	for step := range strings.SplitSeq(steps, ".") {
		if step != "" {
			at = at.AppendToken(step)
		}
	}
	return at
}
