package gateway

import (
	"bytes"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
)

// walker compares JSON with a Go type, member by member, and notes every
// member that is unknown or of the wrong type. It is slow and only runs for
// bodies that are refused anyway.
type walker struct {
	fields  *fault.Fields
	refuse  func(member string) error
	refused error
}

// maxFaults bounds what a refusal lists of one body.
const maxFaults = 100

// alternative is a value with several JSON forms, as text that is a string or
// an object.
type alternative interface {
	// form returns what an object or a list of this value is decoded into; nil
	// when it has no such form.
	form(kind jsontext.Kind) any
	// shape says which forms there are: "must be …".
	shape() string
}

// object decodes the members of an object one by one into the struct that
// target points to.
func (w *walker) object(raw jsontext.Value, target any, path string) {
	members := membersOf(reflect.ValueOf(target).Elem())
	decoder := jsontext.NewDecoder(bytes.NewBuffer(raw)) // a buffer is not copied
	if _, err := decoder.ReadToken(); err != nil {
		return
	}
	for decoder.PeekKind() == '"' && len(*w.fields) < maxFaults {
		name, err := decoder.ReadToken()
		if err != nil {
			return
		}
		member := name.String() // the token is void after the next read
		value, err := decoder.ReadValue()
		if err != nil {
			return
		}
		w.member(value, members[member], path, member)
	}
}

func (w *walker) member(raw jsontext.Value, field reflect.Value, path, name string) {
	at := join(path, name)
	if field.IsValid() {
		w.value(raw, field, at)
		return
	}
	if w.refuse != nil && w.refused == nil {
		w.refused = w.refuse(at)
	}
	w.fields.Add(at, "unknown", "is not a known field")
}

// value decodes one value, and looks into it when that fails.
func (w *walker) value(raw jsontext.Value, field reflect.Value, path string) {
	if json.Unmarshal(raw, field.Addr().Interface(), strict) == nil {
		return
	}
	target := field
	if target.Kind() == reflect.Pointer {
		target.Set(reflect.New(target.Type().Elem()))
		target = target.Elem()
	}
	if other, ok := target.Addr().Interface().(alternative); ok {
		if inner := other.form(raw.Kind()); inner != nil {
			w.object(raw, inner, path)
			return
		}
		w.fields.Add(path, "type", other.shape())
		return
	}
	switch {
	case target.Kind() == reflect.Struct && raw.Kind() == '{':
		w.object(raw, target.Addr().Interface(), path)
	case target.Kind() == reflect.Slice && raw.Kind() == '[':
		w.list(raw, target, path)
	default:
		w.fields.Add(path, "type", shapeOf(target.Type()))
	}
}

// list decodes the elements of a list one by one, of which at least one is
// wrong. It keeps those that can be looked at: nobody is told of more.
func (w *walker) list(raw jsontext.Value, target reflect.Value, path string) {
	target.SetZero()
	decoder := jsontext.NewDecoder(bytes.NewBuffer(raw)) // a buffer is not copied
	if _, err := decoder.ReadToken(); err != nil {
		return
	}
	for i := 0; decoder.PeekKind() != ']' && len(*w.fields) < maxFaults; i++ {
		value, err := decoder.ReadValue()
		if err != nil {
			return
		}
		element := reflect.New(target.Type().Elem()).Elem()
		w.value(value, element, path+"["+strconv.Itoa(i)+"]")
		if i < maxFaults {
			target.Set(reflect.Append(target, element))
		}
	}
}

// membersOf maps the names of a struct's JSON members to its fields, those of
// embedded structs included.
func membersOf(v reflect.Value) map[string]reflect.Value {
	members := make(map[string]reflect.Value)
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			for inner, value := range membersOf(v.Field(i)) {
				members[inner] = value
			}
		case field.IsExported() && name != "-" && name != "":
			members[name] = v.Field(i)
		}
	}
	return members
}

// shapeOf says what JSON a Go type wants.
func shapeOf(t reflect.Type) string {
	switch t.Kind() { //nolint:exhaustive // the kinds that requests are made of
	case reflect.String:
		return "must be a string"
	case reflect.Bool:
		return "must be true or false"
	case reflect.Int, reflect.Int64:
		return "must be a whole number"
	case reflect.Float64:
		return "must be a number"
	case reflect.Slice:
		return "must be a list"
	default:
		return "must be an object"
	}
}

// join writes the path of a member. Names are cut: they are the caller's text.
func join(path, name string) string {
	name = trimmedTo(name, 64)
	if path == "" {
		return name
	}
	return path + "." + name
}
