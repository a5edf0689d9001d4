package gateway

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
)

// strict is how bodies are read: unknown members are refused. The library
// already refuses repeated names, wrong case, invalid UTF-8, trailing data and
// endless nesting.
var strict = json.RejectUnknownMembers(true)

// validator is a request that checks its own values. It notes refused fields;
// an error takes the place of them all.
type validator interface {
	validate(call *Call, fields *fault.Fields) error
}

// unknownRefuser is a request that has something better to say of an unknown
// member than that it is unknown. It is told the member's path.
type unknownRefuser interface {
	refuseUnknown(member string) error
}

// decode fills a request from the query and, when the row takes one, the body.
func (x *exchange) decode(req any) error {
	q := query{args: x.http.QueryArgs()}
	if x.row.Instance == InstanceQuery {
		q.text("instance")
	}
	if reader, ok := req.(queryReader); ok {
		reader.readQuery(&q)
	}
	if err := q.close(); err != nil {
		return err
	}
	if x.row.BodyLimit == 0 {
		return nil
	}
	return decodeBody(x.body, req, &x.call)
}

// decodeBody reads a JSON object into req and validates it. What decodes at
// once takes the short way; only a refused body is walked slowly, to say all
// that is wrong with it.
func decodeBody(body []byte, req any, call *Call) error {
	var fields fault.Fields
	if len(body) > 0 {
		if err := json.Unmarshal(body, req, strict); err != nil || !isObject(body) {
			if err := explain(body, req, &fields); err != nil {
				return err
			}
		}
	}
	if v, ok := req.(validator); ok {
		if err := v.validate(call, &fields); err != nil {
			return err
		}
	}
	return onePerField(fields).Err()
}

// isObject reports whether valid JSON is an object.
func isObject(body []byte) bool {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{'
}

// explain walks a body that does not decode. Broken JSON is an error; faults of
// types and names are noted, and what is sound is decoded into req, so that
// its values can be checked too.
func explain(body []byte, req any, fields *fault.Fields) error {
	if !jsontext.Value(body).IsValid() {
		return ErrInvalidJSON
	}
	if !isObject(body) {
		fields.Add("", "type", "the body must be an object")
		return nil
	}
	w := walker{fields: fields}
	if refuser, ok := req.(unknownRefuser); ok {
		w.refuse = refuser.refuseUnknown
	}
	w.object(body, req, "")
	return w.refused
}

// onePerField drops what is said twice of one field: a value of the wrong type
// also looks like a missing one, and so do all of its members.
func onePerField(fields fault.Fields) fault.Fields {
	kept := fields[:0]
	for _, field := range fields {
		if !slices.ContainsFunc(kept, func(earlier fault.Field) bool { return covers(earlier, field.Field) }) {
			kept = append(kept, field)
		}
	}
	return kept
}

// covers reports whether what was said of one field says enough of another.
func covers(said fault.Field, field string) bool {
	inside := said.Field == "" || strings.HasPrefix(field, said.Field+".")
	return said.Field == field || said.Rule == "type" && inside
}
