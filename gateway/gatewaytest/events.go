package gatewaytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// EventValidator holds events against the schemas that a server publishes. It is
// safe for concurrent use.
type EventValidator struct {
	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema // guarded by mu; by type
}

// NewEventValidator returns a validator that knows no schema yet.
func NewEventValidator() *EventValidator {
	return &EventValidator{schemas: make(map[string]*jsonschema.Schema)}
}

// Check returns an error when an event is not as the schema of its type says. A
// schema that is not known yet it gets by fetch, from a path as
// /schemas/events/message.sent.json.
func (v *EventValidator) Check(event []byte, fetch func(path string) ([]byte, error)) error {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(event, &head); err != nil {
		return fmt.Errorf("read event: %w: %q", err, event)
	}
	schema, err := v.schema(head.Type, fetch)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(event))
	if err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("%w\nin %s", err, event)
	}
	return nil
}

func (v *EventValidator) schema(eventType string, fetch func(path string) ([]byte, error)) (*jsonschema.Schema, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if schema := v.schemas[eventType]; schema != nil {
		return schema, nil
	}
	text, err := fetch("/schemas/events/" + eventType + ".json")
	if err != nil {
		return nil, err
	}
	resource, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read the schema of %s: %w", eventType, err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("portaria:///event.json", resource); err != nil {
		return nil, fmt.Errorf("add the schema of %s: %w", eventType, err)
	}
	schema, err := compiler.Compile("portaria:///event.json")
	if err != nil {
		return nil, fmt.Errorf("compile the schema of %s: %w", eventType, err)
	}
	v.schemas[eventType] = schema
	return schema, nil
}
