package gatewaytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Validator holds answers against an OpenAPI document. It is not safe for
// concurrent use while schemas are compiled; guard it or use one a test.
type Validator struct {
	compiler *jsonschema.Compiler
	paths    map[string]map[string]operation
	schemas  map[string]*jsonschema.Schema
}

// operation is what the validator needs of one.
type operation struct {
	Responses map[string]struct {
		Headers map[string]json.RawMessage `json:"headers"`
		Content map[string]json.RawMessage `json:"content"`
	} `json:"responses"`
}

// documentURL is where the document pretends to be.
const documentURL = "portaria:///openapi.json"

// NewValidator reads a document.
func NewValidator(document []byte) (*Validator, error) {
	var parsed struct {
		OpenAPI string                          `json:"openapi"`
		Paths   map[string]map[string]operation `json:"paths"`
	}
	if err := json.Unmarshal(document, &parsed); err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	if !strings.HasPrefix(parsed.OpenAPI, "3.1") {
		return nil, fmt.Errorf("the document says openapi %q, not 3.1", parsed.OpenAPI)
	}
	resource, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	if err := compiler.AddResource(documentURL, resource); err != nil {
		return nil, fmt.Errorf("add document: %w", err)
	}
	return &Validator{compiler: compiler, paths: parsed.Paths, schemas: make(map[string]*jsonschema.Schema)}, nil
}

// Answer is what the validator looks at.
type Answer struct {
	Method string
	Path   string // as it was asked, with or without a query
	Status int
	Header func(name string) string
	Body   []byte
}

// Check returns an error when the document does not allow an answer. Answers
// of the door itself, to paths and methods that no operation has, are held
// against the schema of errors.
func (v *Validator) Check(a Answer) error {
	path, _, _ := strings.Cut(a.Path, "?")
	pattern, described := v.find(path, strings.ToLower(a.Method))
	mediaType, _, _ := strings.Cut(a.Header("Content-Type"), ";")
	if !described || outsideOperations(a.Status) {
		if a.Status < 400 {
			return fmt.Errorf("%s %s is not in the document, but was answered %d", a.Method, path, a.Status)
		}
		return v.validate("/components/schemas/"+errorSchema(mediaType), a.Body)
	}
	at := []string{"paths", pattern, strings.ToLower(a.Method), "responses", strconv.Itoa(a.Status)}
	response, ok := v.paths[pattern][strings.ToLower(a.Method)].Responses[strconv.Itoa(a.Status)]
	if !ok {
		return fmt.Errorf("%s %s: the document knows no answer %d: %s", a.Method, pattern, a.Status, a.Body)
	}
	if _, anything := response.Content["*/*"]; anything && a.Header("Content-Disposition") != "" {
		return nil // a file: its schema says no more than that
	}
	if _, ok := response.Content[mediaType]; !ok {
		return fmt.Errorf("%s %s: the document knows no %s for %d", a.Method, pattern, mediaType, a.Status)
	}
	for name := range response.Headers {
		if a.Header(name) == "" {
			return fmt.Errorf("%s %s: %d came without %s", a.Method, pattern, a.Status, name)
		}
	}
	if !isJSON(mediaType) {
		return nil // a picture or a stream: its schema says no more than that
	}
	return v.validate(pointer(append(at, "content", mediaType, "schema")), a.Body)
}

func isJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

// outsideOperations are the statuses of the HTTP engine: a request so refused
// never was one of an operation.
func outsideOperations(status int) bool { return status == 405 || status == 431 }

func errorSchema(mediaType string) string {
	if mediaType == "application/problem+json" {
		return "Problem"
	}
	return "Error"
}

// find returns the pattern of a path that has the method, plain segments
// before parameters.
func (v *Validator) find(path, method string) (string, bool) {
	best, found := "", false
	for pattern, operations := range v.paths {
		if _, ok := operations[method]; !ok || !matches(pattern, path) {
			continue
		}
		if !found || strings.Count(pattern, "{") < strings.Count(best, "{") {
			best, found = pattern, true
		}
	}
	return best, found
}

func matches(pattern, path string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if !strings.HasPrefix(want[i], "{") && want[i] != got[i] {
			return false
		}
	}
	return true
}

func (v *Validator) validate(at string, body []byte) error {
	schema, ok := v.schemas[at]
	if !ok {
		var err error
		if schema, err = v.compiler.Compile(documentURL + "#" + at); err != nil {
			return fmt.Errorf("compile %s: %w", at, err)
		}
		v.schemas[at] = schema
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("the answer is not JSON: %w: %q", err, body)
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("%w\nin %s", err, body)
	}
	return nil
}

// pointer writes a JSON pointer as a URL fragment.
func pointer(segments []string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	var b strings.Builder
	for _, segment := range segments {
		b.WriteString("/" + escape.Replace(segment))
	}
	return b.String()
}
