package gateway

import (
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/swaggest/jsonschema-go"
	"github.com/swaggest/openapi-go/openapi31"
)

// newReflector returns what turns the Go types of requests and answers into
// schemas.
func newReflector() *openapi31.Reflector {
	reflector := openapi31.NewReflector()
	schemas := reflector.JSONSchemaReflector()
	schemas.AddTypeMapping(messageJSON{}, messageView{})
	schemas.AddTypeMapping(contentJSON{}, contentView{})
	schemas.AddTypeMapping(settings{}, settingsObject{})
	schemas.AddTypeMapping(shortList[contactInput]{}, []contactInput{})
	schemas.AddTypeMapping(shortList[phoneInput]{}, []phoneInput{})
	schemas.AddTypeMapping(shortList[emailInput]{}, []emailInput{})
	schemas.AddTypeMapping(shortList[string]{}, []string{})
	schemas.AddTypeMapping(retryPolicyBody{}, retryPolicyObject{})
	schemas.AddTypeMapping(bulkAnswer{}, bulkView{})
	schemas.AddTypeMapping(stepInput{}, stepSchema{})
	schemas.AddTypeMapping(stepList{}, []stepSchema{})
	schemas.AddTypeMapping(arguments[cutOff]{}, cutOff{})
	schemas.AddTypeMapping(arguments[scanCode]{}, scanCode{})
	schemas.AddTypeMapping(arguments[nothing]{}, noArguments{})
	schemas.DefaultOptions = append(schemas.DefaultOptions,
		jsonschema.InterceptDefName(func(t reflect.Type, _ string) string { return schemaName(t.Name()) }),
		jsonschema.InterceptSchema(closeSchema),
		func(rc *jsonschema.ReflectContext) { rc.EnvelopNullability = true })
	return reflector
}

// schemaName is what the document calls a Go type: instanceView is Instance,
// its envelopes are InstanceAnswer and InstanceList.
func schemaName(name string) string {
	suffix := ""
	if outer, inner, generic := strings.Cut(strings.TrimSuffix(name, "]"), "["); generic {
		suffix = "Answer"
		if strings.HasPrefix(outer, "list") {
			suffix = "List"
		}
		name = inner[strings.LastIndexByte(inner, '.')+1:]
	}
	if suffix != "" {
		name = strings.TrimSuffix(name, "JSON")
	}
	name = strings.TrimSuffix(name, "View")
	runes := []rune(name)
	runes[0] = unicode.ToUpper(runes[0])
	return string(runes) + suffix
}

// closeSchema forbids members that a type does not have. Answers always have
// all of theirs but those that are left out when they are empty, so these are
// required.
func closeSchema(params jsonschema.InterceptSchemaParams) (stop bool, err error) {
	if !params.Processed || len(params.Schema.Properties) == 0 {
		return false, nil
	}
	t := params.Value.Type()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || !hasMembers(t) {
		return false, nil
	}
	closed := false
	params.Schema.AdditionalProperties = &jsonschema.SchemaOrBool{TypeBoolean: &closed}
	if !isAnswer(t.Name()) {
		return false, nil
	}
	params.Schema.Required = params.Schema.Required[:0]
	for _, field := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "" && name != "-" && options != "omitzero" {
			params.Schema.Required = append(params.Schema.Required, name)
		}
	}
	return false, nil
}

// hasMembers reports whether a struct describes JSON or a query; unknown
// headers, in contrast, are nobody's mistake.
func hasMembers(t reflect.Type) bool {
	return slices.ContainsFunc(reflect.VisibleFields(t), func(field reflect.StructField) bool {
		member, query := field.Tag.Get("json"), field.Tag.Get("query")
		return member != "" && member != "-" || query != ""
	})
}

// isAnswer tells the types of answers from those of requests.
func isAnswer(name string) bool {
	name, _, _ = strings.Cut(name, "[")
	return strings.HasSuffix(name, "View") || strings.HasSuffix(name, "Answer")
}

// describeHeaders puts the headers of answers among the components.
func describeHeaders(spec *openapi31.Spec) {
	for _, header := range []struct{ name, kind, says string }{
		{"X-Request-Id", "string", "Echoed if sane, else drawn."},
		{"RateLimit-Policy", "string", `The key's limits: "key";q=60;w=60 is 60 a minute.`},
		{"RateLimit", "string", `What is left: "key";r=41;t=3 is 41 now, full again in 3 s.`},
		{"X-RateLimit-Limit", "integer", "The sustained rate per minute."},
		{"X-RateLimit-Remaining", "integer", "The whole tokens there now."},
		{"X-RateLimit-Reset", "integer", "When the bucket is full, in epoch seconds."},
		{"Portaria-Environment", "string", "live or test."},
		{"Retry-After", "integer", "Seconds to wait before another try."},
	} {
		described := openapi31.Header{Description: &header.says, Schema: map[string]any{"type": header.kind}}
		spec.ComponentsEns().WithHeadersItem(header.name, openapi31.HeaderOrReference{Header: &described})
	}
}

// describeErrors puts the two forms of errors among the components.
func describeErrors(spec *openapi31.Spec) {
	text := map[string]any{"type": "string"}
	details := map[string]any{"type": "object", "description": "fields lists every refused field of VALIDATION_FAILED."}
	spec.ComponentsEns().WithSchemasItem("Error", closedObject(map[string]any{
		"success": map[string]any{"const": false},
		"error": closedObject(map[string]any{
			"code": map[string]any{"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$"}, "message": text, "details": details,
		}),
		"request_id": text,
	}))
	spec.ComponentsEns().WithSchemasItem("Problem", closedObject(map[string]any{
		"type": text, "title": text, "status": map[string]any{"type": "integer"}, "detail": text,
		"code": text, "details": details, "request_id": text,
	}))
}

// closedObject is the schema of an object that always has exactly these members.
func closedObject(members map[string]any) map[string]any {
	required := make([]string, 0, len(members))
	for name := range members {
		required = append(required, name)
	}
	slices.Sort(required)
	return map[string]any{
		"type": "object", "properties": members, "required": required, "additionalProperties": false,
	}
}

// mendNullable lets null through where the library writes that a value may be
// null or an object, and beside it that it must be an object.
func mendNullable(schema any) {
	switch schema := schema.(type) {
	case map[string]any:
		_, choice := schema["anyOf"]
		_, reference := schema["$ref"]
		if choice || reference {
			delete(schema, "type")
		}
		for _, inner := range schema {
			mendNullable(inner)
		}
	case []any:
		for _, inner := range schema {
			mendNullable(inner)
		}
	}
}
