// Package migrations embeds the schema, one SQL text for both engines.
//
// A line that ends in "-- only: postgres" or "-- only: sqlite" is left out for
// the other engine; every other line runs on both. Files are goose migrations
// (github.com/pressly/goose), named NNNNN_what.sql, and are never edited once
// released.
package migrations

import (
	"bytes"
	"embed"
	"io"
	"io/fs"
)

//go:embed *.sql
var files embed.FS

// For returns the migrations as one engine ("postgres" or "sqlite") reads them.
func For(engine string) fs.FS { return marked{engine} }

// Select leaves out of text the lines that are marked for another engine.
func Select(engine, text string) string {
	var out bytes.Buffer
	for line := range bytes.Lines([]byte(text)) {
		if only, ok := onlyMark(line); !ok || only == engine {
			out.Write(line)
		}
	}
	return out.String()
}

var onlyPrefix = []byte("-- only: ")

func onlyMark(line []byte) (engine string, ok bool) {
	_, after, ok := bytes.Cut(line, onlyPrefix)
	return string(bytes.TrimSpace(after)), ok
}

// marked is the embedded folder, read through Select.
type marked struct{ engine string }

func (m marked) Open(name string) (fs.File, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return f, err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	return &selected{File: f, r: bytes.NewReader([]byte(Select(m.engine, string(text))))}, nil
}

// selected is a file whose text has been through Select. Its Stat keeps the
// name; its size is that of the embedded text, an upper bound.
type selected struct {
	fs.File
	r *bytes.Reader
}

func (s *selected) Read(p []byte) (int, error) { return s.r.Read(p) }
