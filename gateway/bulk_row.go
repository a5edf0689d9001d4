package gateway

import (
	"github.com/go-json-experiment/json/jsontext"

	"portaria/messaging"
	"portaria/outbox/bulk"
)

// maxVariables is how many variables a row may have, as columns of a file.
const maxVariables = 256

// rowReader makes rows of valid JSON: {"to":…,"variables":{…}}. Nearly all of a
// bulk is such rows, so each costs one copy and little more. The row is used
// again by the next one.
type rowReader struct {
	row   bulk.Row
	fault bulk.RowFault
	text  string // the row's JSON
	at    int
}

// read reads one row from valid JSON.
func (r *rowReader) read(raw []byte, number, line int64) *bulk.Row {
	r.text, r.at = string(raw), 0
	r.row = bulk.Row{Number: number, Line: line, Names: r.row.Names[:0], Values: r.row.Values[:0]}
	if r.next() != '{' {
		return r.wrong("", messaging.SkippedUnfit, "A row must be an object, as {\"to\":\"+5511912345678\"}.")
	}
	given := false
	for r.enter(); !r.left(); {
		switch name := r.string(); name {
		case "to":
			given = true
			if r.next() != '"' {
				r.skip()
				r.wrong(name, messaging.SkippedUnfit, "The recipient must be a string.")
				continue
			}
			r.row.To = r.string()
		case "variables":
			r.variables()
		default:
			r.skip()
			r.wrong(trimmedTo(name, 64), messaging.SkippedUnfit, "This is not a known field: a row has to and variables.")
		}
	}
	if !given {
		return r.wrong("to", messaging.SkippedInvalid, "The recipient is missing.")
	}
	return &r.row
}

// wrong notes what is wrong with the row, unless something is noted already.
func (r *rowReader) wrong(member, code, message string) *bulk.Row {
	if r.row.Fault == nil {
		r.fault = bulk.RowFault{Row: r.row.Number, Line: r.row.Line, Column: member, Code: code, Message: message}
		r.row.Fault = &r.fault
	}
	return &r.row
}

// variables reads the object of a row's variables: strings, numbers, true and
// false. One that is null is as good as absent.
func (r *rowReader) variables() {
	switch r.next() {
	case '{':
	case 'n':
		r.skip()
		return
	default:
		r.skip()
		r.wrong("variables", messaging.SkippedUnfit, "The variables must be an object.")
		return
	}
	names := r.row.Names[:cap(r.row.Names)] // of the row before: most have the same
	for r.enter(); !r.left(); {
		known := ""
		if i := len(r.row.Names); i < len(names) {
			known = names[i]
		}
		name := r.stringLike(known)
		value, kind := r.scalar()
		switch {
		case kind == '{', kind == '[':
			r.wrong("variables."+trimmedTo(name, 64), messaging.SkippedUnfit, "A variable must be a string, a number, true or false.")
		case len(r.row.Names) == maxVariables:
			r.wrong("variables", messaging.SkippedUnfit, "A row must not have more than 256 variables.")
		case kind != 'n':
			r.row.Names, r.row.Values = append(r.row.Names, name), append(r.row.Values, value)
		}
	}
}

// scalar reads a value as text, and tells its kind by its first byte.
func (r *rowReader) scalar() (text string, kind byte) {
	kind = r.next()
	if kind == '"' {
		return r.string(), kind
	}
	begin := r.at
	r.skip()
	return r.text[begin:r.at], kind
}

// next passes over white space and what parts values, and returns the first
// byte of what comes.
func (r *rowReader) next() byte {
	for {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			r.at++
		default:
			return c
		}
	}
}

// enter goes into an object.
func (r *rowReader) enter() { r.at++ }

// left reports whether the object is over, and goes behind it if so.
func (r *rowReader) left() bool {
	if r.next() != '}' {
		return false
	}
	r.at++
	return true
}

// string reads a text.
func (r *rowReader) string() string { return r.stringLike("") }

// stringLike reads a text that is probably known: then nothing is made anew.
func (r *rowReader) stringLike(known string) string {
	r.next()
	begin := r.at
	if escaped := r.skipText(); escaped {
		plain, _ := jsontext.AppendUnquote(nil, r.text[begin:r.at]) // it is valid
		return string(plain)
	}
	inner := r.text[begin+1 : r.at-1]
	if inner == known {
		return known
	}
	return inner
}

// skip goes behind a value.
func (r *rowReader) skip() {
	switch r.next() {
	case '"':
		r.skipText()
	case '{', '[':
		r.skipNested()
	default:
		r.skipPlain()
	}
}

// skipPlain goes behind a number, true, false or null.
func (r *rowReader) skipPlain() {
	for ; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return
		}
	}
}

// skipText goes behind a text, and reports whether it has escapes.
func (r *rowReader) skipText() (escaped bool) {
	text, i := r.text, r.at+1
	for ; text[i] != '"'; i++ {
		if text[i] == '\\' {
			escaped = true
			i++
		}
	}
	r.at = i + 1
	return escaped
}

func (r *rowReader) skipNested() {
	for depth := 0; ; {
		switch r.text[r.at] {
		case '"':
			r.skipText()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if r.at++; depth == 0 {
			return
		}
	}
}
