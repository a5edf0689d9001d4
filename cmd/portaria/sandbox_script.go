package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
)

// errScript is the fault of a file that is no script.
var errScript = fault.New(fault.Malformed, "SCRIPT_INVALID", "The file is not a script.")

// script is a file of a run: the body of POST /v1/sandbox/runs, and where in the
// file its values stand.
type script struct {
	file   string
	body   map[string]jsontext.Value
	places places
}

// maxScript is the largest file: that of a body with files in base64.
const maxScript = 24 << 20

// readScript reads a file of YAML or JSON. Fault: errScript, which says where.
func readScript(file string, in io.Reader) (*script, error) {
	text, err := readScriptText(file, in)
	if err != nil {
		return nil, err
	}
	s := &script{file: scriptName(file)}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // some editors begin a file with it
	var value jsontext.Value
	switch offset := invalidUTF8(text); {
	case offset >= 0:
		err = &misplacedError{placeOf(text, offset), "this is not UTF-8"}
	case strings.EqualFold(filepath.Ext(file), ".json") || jsontext.Value(text).IsValid():
		value, s.places, err = readJSON(text)
	default:
		value, s.places, err = readYAML(text)
	}
	if misplaced, ok := errors.AsType[*misplacedError](err); ok {
		return nil, errScript.Saying(misplaced.place.in(s.file) + ": " + misplaced.message)
	}
	if err != nil {
		return nil, errScript.Saying(s.file + ": cannot be read").Because(err)
	}
	if json.Unmarshal(value, &s.body) != nil || s.body == nil {
		return nil, errScript.Saying(s.places.find("").in(s.file) + ": a script is an object with steps")
	}
	return s, nil
}

func readScriptText(file string, in io.Reader) ([]byte, error) {
	if file != standardInput {
		opened, err := os.Open(file)
		if err != nil {
			return nil, errScript.Saying(scriptName(file) + ": " + withoutPath(err))
		}
		defer opened.Close()
		in = opened
	}
	text, err := io.ReadAll(io.LimitReader(in, maxScript+1))
	switch {
	case err != nil:
		return nil, errScript.Saying(scriptName(file) + ": " + withoutPath(err))
	case len(text) > maxScript:
		return nil, errScript.Saying(scriptName(file) + ": is larger than 24 MiB")
	default:
		return text, nil
	}
}

// invalidUTF8 finds the first byte that is no text; -1: there is none.
func invalidUTF8(text []byte) int {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// withoutPath says what is wrong with a file whose name stands before it.
func withoutPath(err error) string {
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		err = wrapped.Err
	}
	return err.Error()
}

// scriptName is the file as people are told of it.
func scriptName(file string) string {
	if file == standardInput {
		return "standard input"
	}
	return printable(file)
}

// maxRunName is the longest name of a run, in characters.
const maxRunName = 100

// title is what a run is called when neither the script nor a flag says it: the
// file's name.
func (s *script) title() string {
	name := filepath.Base(s.file)
	name = strings.TrimSuffix(name, filepath.Ext(name))
	return string([]rune(name)[:min(maxRunName, utf8.RuneCountInString(name))])
}

// misplacedError is what is wrong at a place of a file.
type misplacedError struct {
	place   place
	message string
}

// Error implements error.
func (e *misplacedError) Error() string { return e.message }

// readJSON checks a text and finds the places of its values.
func readJSON(text []byte) (jsontext.Value, places, error) {
	found, at := make(places), newCursor(text)
	decoder := jsontext.NewDecoder(bytes.NewReader(text))
	walked := 0
	for ended := false; ; ended = decoder.StackDepth() == 0 {
		at.walk(len(at.text) - len(bytes.TrimLeft(at.text, " \t\r\n,:")))
		walked = len(text) - len(at.text)
		token, err := decoder.ReadToken()
		wrong, broken := errors.AsType[*jsontext.SyntacticError](err)
		switch {
		case errors.Is(err, io.EOF) && ended:
			return text, found, nil
		case errors.Is(err, io.EOF):
			return nil, nil, &misplacedError{at.place, "the file is empty"}
		case broken:
			return nil, nil, &misplacedError{placeOf(text, int(wrong.ByteOffset)), sentenceOf(wrong)}
		case err != nil:
			return nil, nil, err
		case ended:
			return nil, nil, &misplacedError{at.place, "a second value: a file is one script"}
		case token.Kind() != '}' && token.Kind() != ']':
			found[decoder.StackPointer()] = at.place // of a member: first its name's, then its value's
		}
		at.walk(int(decoder.InputOffset()) - walked)
	}
}

// sentenceOf says what is wrong with JSON, without what the place says.
func sentenceOf(wrong *jsontext.SyntacticError) string {
	message := "not JSON"
	if wrong.Err != nil {
		message = wrong.Err.Error()
	}
	return strings.TrimPrefix(message, "jsontext: ")
}
