package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
)

// bulkParts are the parts of a bulk's form, in whatever order they come: the
// file with the rows, the message, and options in parts of their own.
type bulkParts struct {
	upload  *rowsUpload
	hasFile bool
	options map[string]jsontext.Value // by name; message among them
	held    int64                     // bytes of options
	wrong   fault.Fields
}

// optionForm says how an option stands in a part of its own.
type optionForm uint8

const (
	noOption   optionForm = iota // there is no such part
	jsonOption                   // as JSON
	textOption                   // as plain text, or as a JSON string
	listOption                   // as a JSON list, or as texts with commas between
)

// optionFormOf returns how the part of a name is read.
func optionFormOf(name string) optionForm {
	switch name {
	case messagePart, "mapping", "pace", "quiet_hours", "dedupe", "frequency_cap", "metadata", "sandbox":
		return jsonOption
	case "name", "send_at", "time_zone", "dedupe_window", "priority", "on_invalid", "expires_in":
		return textOption
	case "instances":
		return listOption
	default:
		return noOption
	}
}

// take reads the parts in the order in which they come. What is wrong with one
// ends it: the rest is not worth its while.
func (p *bulkParts) take(form *multipart.Reader) error {
	p.options = make(map[string]jsontext.Value)
	for parts := 0; ; parts++ {
		part, err := form.NextRawPart()
		switch {
		case errors.Is(err, io.EOF) && parts > 0:
			return nil
		case errors.Is(err, io.EOF):
			return errBrokenBody
		case err != nil:
			return err
		}
		name := part.FormName()
		switch {
		case name == filePart && !p.hasFile:
			p.hasFile = true
			err = p.takeFile(part)
		case name == filePart, p.options[name] != nil:
			p.wrong.Add(name, "repeated", "appears more than once")
		case optionFormOf(name) == noOption:
			p.wrong.Add(printable(trimmedTo(name, 64)), "unknown", "is not a part of this form; they are file, message and the options of a bulk")
		default:
			err = p.takeOption(name, part)
		}
		if err != nil {
			return err
		}
		if err := p.wrong.Err(); err != nil {
			return err
		}
	}
}

// takeFile writes the rows to the disk.
func (p *bulkParts) takeFile(part *multipart.Part) error {
	p.upload.format = rowsCSV
	if isNDJSON(part.Header.Get("Content-Type"), part.FileName()) {
		p.upload.format = rowsNDJSON
	}
	disk := bufio.NewWriterSize(p.upload.file, spoolPiece)
	to := io.Writer(disk)
	if p.upload.sum != nil {
		to = io.MultiWriter(disk, p.upload.sum)
	}
	if _, err := io.Copy(to, &cut{r: part, left: bulkLimit}); err != nil {
		return err
	}
	return disk.Flush()
}

// isNDJSON reports whether a file has an object on each line, by what is said of
// it or by its name. Any other is CSV: what it is not, its reader finds out.
func isNDJSON(contentType, name string) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	switch media {
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines":
		return true
	case "text/csv":
		return false
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".ndjson", ".jsonl":
		return true
	default:
		return false
	}
}

// takeOption reads one option and makes JSON of it.
func (p *bulkParts) takeOption(name string, part io.Reader) error {
	raw, err := readAll(nil, part, -1, jsonLimit-p.held)
	if errors.Is(err, ErrPayloadTooLarge) {
		return errLongHead
	}
	if err != nil {
		return err
	}
	p.held += int64(len(raw))
	raw = bytes.TrimSpace(raw)
	p.options[name] = raw
	if jsontext.Value(raw).IsValid() && (optionFormOf(name) != textOption || raw[0] == '"') {
		return nil
	}
	switch form := optionFormOf(name); {
	case name == messagePart:
		return ErrInvalidJSON.Saying("The part message is not valid JSON: it is the content of the message, as {\"text\":\"Hello {{name}}\"}.")
	case form == jsonOption:
		p.wrong.Add(name, "format", "is not valid JSON")
	case form == textOption:
		p.options[name], err = jsontext.AppendQuote(nil, raw)
	case form == listOption:
		p.options[name], err = quoteList(string(raw))
	}
	if err != nil {
		p.wrong.Add(name, "format", "is not UTF-8")
	}
	return nil
}

// quoteList makes a JSON list of texts with commas between.
func quoteList(text string) (list jsontext.Value, err error) {
	list = append(list, '[')
	for one := range strings.SplitSeq(text, ",") {
		if len(list) > 1 {
			list = append(list, ',')
		}
		if list, err = jsontext.AppendQuote(list, strings.TrimSpace(one)); err != nil {
			return nil, err
		}
	}
	return append(list, ']'), nil
}

// assemble appends the object that a JSON body would have been, without its
// rows. The part message may be that object already: then it has a member
// message.
func (p *bulkParts) assemble(b []byte) ([]byte, error) {
	if whole, ok := membersIn(p.options[messagePart]); ok && whole[messagePart] != nil {
		delete(p.options, messagePart)
		for _, name := range slices.Sorted(maps.Keys(whole)) {
			if p.options[name] != nil {
				p.wrong.Add(name, "repeated", "is a part of its own and stands in the part message too")
			}
			p.options[name] = whole[name]
		}
	}
	if err := p.wrong.Err(); err != nil {
		return b, err
	}
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(p.options)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(appendQuoted(b, name), ':'), p.options[name]...)
	}
	return append(b, '}'), nil
}

// membersIn returns the members of an object; false when valid JSON is none.
func membersIn(object jsontext.Value) (members map[string]jsontext.Value, ok bool) {
	decoder := jsontext.NewDecoder(bytes.NewBuffer(object)) // a buffer is not copied
	if opening, err := decoder.ReadToken(); err != nil || opening.Kind() != '{' {
		return nil, false
	}
	members = make(map[string]jsontext.Value)
	for decoder.PeekKind() == '"' {
		token, err := decoder.ReadToken()
		if err != nil {
			return nil, false
		}
		name := token.String() // the token is void after the next read
		value, err := decoder.ReadValue()
		if err != nil {
			return nil, false
		}
		members[name] = bytes.Clone(value)
	}
	return members, true
}
