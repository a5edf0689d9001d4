package main

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"
)

// Bounds of a script: aliases may repeat what they stand for, and hold
// themselves.
const (
	maxYAMLValues = 100_000
	maxYAMLDepth  = 100
)

// readYAML turns YAML into the JSON that it stands for, one to one, and finds
// the places of its values. What JSON writes as a number, true, false or null is
// that; every other plain word is text, so that +15005550006 and 2026-01-31 need
// no quotes.
func readYAML(text []byte) (jsontext.Value, places, error) {
	document, err := parseYAML(text)
	if err != nil {
		return nil, nil, err
	}
	var out bytes.Buffer
	w := yamlWriter{out: jsontext.NewEncoder(&out), places: make(places)}
	if err := w.value(document, "", 0); err != nil {
		return nil, nil, err
	}
	return out.Bytes(), w.places, nil
}

// parseYAML returns the value of the one document in a text.
func parseYAML(text []byte) (*yaml.Node, error) {
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	var first, second yaml.Node
	switch err := loader.Load(&first); {
	case errors.Is(err, io.EOF):
		return nil, &misplacedError{message: "the file is empty"}
	case err != nil:
		return nil, misplacedYAML(err)
	}
	switch err := loader.Load(&second); {
	case err == nil:
		return nil, &misplacedError{place{second.Line, second.Column}, "a second document: a file is one script"}
	case !errors.Is(err, io.EOF):
		return nil, misplacedYAML(err)
	}
	if first.Kind != yaml.DocumentNode || len(first.Content) != 1 {
		return nil, &misplacedError{message: "the file is empty"}
	}
	return first.Content[0], nil
}

func misplacedYAML(err error) error {
	wrong, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return err
	}
	at := wrong.Mark
	if strings.Contains(wrong.Message, "end of stream") && wrong.ContextMark.Line > 0 {
		at = wrong.ContextMark // where that which does not end begins
	}
	return &misplacedError{place{at.Line, at.Column}, wrong.Message}
}

// yamlWriter writes YAML as JSON.
type yamlWriter struct {
	out    *jsontext.Encoder
	places places
	values int
}

// value writes a node and all in it.
func (w *yamlWriter) value(n *yaml.Node, at jsontext.Pointer, depth int) error {
	if w.values++; w.values > maxYAMLValues || depth > maxYAMLDepth {
		return misplacedNode(n, "the script has too many values, or they lie too deep")
	}
	if _, known := w.places[at]; !known { // of an alias: where it stands, not what it stands for
		w.places[at] = place{n.Line, n.Column}
	}
	if n.Style&yaml.TaggedStyle != 0 && n.ShortTag() != "!!str" {
		return misplacedNode(n, "tags as "+n.Tag+" have no meaning here")
	}
	switch n.Kind { //nolint:exhaustive // the others stand above values
	case yaml.MappingNode:
		return w.object(n, at, depth)
	case yaml.SequenceNode:
		return w.array(n, at, depth)
	case yaml.AliasNode:
		return w.value(n.Alias, at, depth+1)
	case yaml.ScalarNode:
		return w.scalar(n)
	default:
		return misplacedNode(n, "this is no value")
	}
}

func (w *yamlWriter) object(n *yaml.Node, at jsontext.Pointer, depth int) error {
	if err := w.out.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		switch {
		case name.Kind != yaml.ScalarNode:
			return misplacedNode(name, "a name must be text")
		case name.Value == "<<" && plain(name):
			return misplacedNode(name, "merge keys (<<) have no meaning in JSON: write the members")
		case seen[name.Value]:
			return misplacedNode(name, "the name "+printable(name.Value)+" is there twice")
		}
		seen[name.Value] = true
		if err := w.out.WriteToken(jsontext.String(name.Value)); err != nil {
			return err
		}
		if err := w.value(value, at.AppendToken(name.Value), depth+1); err != nil {
			return err
		}
	}
	return w.out.WriteToken(jsontext.EndObject)
}

func (w *yamlWriter) array(n *yaml.Node, at jsontext.Pointer, depth int) error {
	if err := w.out.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	for i, item := range n.Content {
		if err := w.value(item, at.AppendToken(strconv.Itoa(i)), depth+1); err != nil {
			return err
		}
	}
	return w.out.WriteToken(jsontext.EndArray)
}

// scalar writes a word.
func (w *yamlWriter) scalar(n *yaml.Node) error {
	if !plain(n) {
		return w.out.WriteToken(jsontext.String(n.Value))
	}
	switch n.Value {
	case "", "~", "null":
		return w.out.WriteToken(jsontext.Null)
	case "true", "false":
		return w.out.WriteToken(jsontext.Bool(n.Value == "true"))
	}
	if number := jsontext.Value(n.Value); number.Kind() == '0' && number.IsValid() {
		return w.out.WriteValue(number)
	}
	return w.out.WriteToken(jsontext.String(n.Value))
}

// plain reports whether a word stands without quotes.
func plain(n *yaml.Node) bool {
	const marked = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle | yaml.TaggedStyle
	return n.Style&marked == 0
}

func misplacedNode(n *yaml.Node, message string) error {
	return &misplacedError{place{n.Line, n.Column}, message}
}
