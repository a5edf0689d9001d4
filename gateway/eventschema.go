package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/swaggest/jsonschema-go"

	"portaria/messaging"
)

// The paths of the schemas of events, which are public as /openapi.json is.
const (
	eventSchemasPath = "/schemas/events"
	eventIndexPath   = eventSchemasPath + ".json"
)

// eventSentences says when each type of event is told. A type without a sentence
// has no schema: it does not happen yet. Nobody writes to it.
var eventSentences = map[messaging.EventType]string{
	"message.scheduled":            "A message was accepted that waits for its send_at.",
	"message.queued":               "A message waits for its turn; with an error, for another try.",
	"message.held":                 "A message waits until the network lets it pass.",
	"message.sent":                 "The network has taken a message.",
	"message.delivered":            "A message has reached the recipient's phone.",
	"message.read":                 "The recipient has read a message.",
	"message.played":               "The recipient has played a voice message.",
	"message.failed":               "A message cannot be sent; error says why.",
	"message.expired":              "A message could not be sent in its time.",
	"message.canceled":             "A message was canceled before it was sent.",
	messaging.EventMessageReceived: "A message came in from a contact.",
	messaging.EventMessageEdited:   "The author of a message has changed its content.",
	messaging.EventMessageRevoked:  "The author of a message has deleted it for everyone.",
	messaging.EventMessageReaction: "A contact has reacted to a message, or taken a reaction back.",

	messaging.EventInstanceCreated:      "An instance was created.",
	messaging.EventInstancePairing:      "An instance shows codes, to be linked to a phone.",
	messaging.EventInstanceConnected:    "An instance is connected.",
	messaging.EventInstanceDisconnected: "An instance is not connected any more; state_reason says why.",
	messaging.EventInstanceRestricted:   "The network has barred an instance for a time.",
	messaging.EventInstanceBanned:       "The network has barred an instance for good.",
	messaging.EventInstanceLoggedOut:    "An instance's phone was unlinked.",
	messaging.EventInstanceDeleted:      "An instance was deleted.",

	messaging.EventCallReceived: "A contact calls.",

	messaging.EventBulkStarted:   "A bulk begins to be sent.",
	messaging.EventBulkPaused:    "A bulk was paused.",
	messaging.EventBulkResumed:   "A bulk goes on: it was paused, or its failed rows are retried.",
	messaging.EventBulkProgress:  "Another tenth of a bulk's rows has been sent or has ended.",
	messaging.EventBulkCompleted: "No row of a bulk can be sent any more.",
	messaging.EventBulkCanceled:  "A bulk was canceled.",

	messaging.EventWebhookDisabled: "Portaria has switched a webhook off; disabled_reason says why.",
	messaging.EventWebhookTest:     "Somebody has asked for a test of a webhook. It is told to this one alone.",
}

// eventNoun is the member of data that holds the object of an event.
func eventNoun(t messaging.EventType) string {
	noun, _, _ := strings.Cut(string(t), ".")
	return noun
}

// schemedTypes lists the types that have a schema, in the order of messaging.EventTypes.
func schemedTypes() []messaging.EventType {
	return slices.DeleteFunc(slices.Clone(messaging.EventTypes), func(t messaging.EventType) bool { return eventSentences[t] == "" })
}

// EventSchemas returns the JSON Schema (draft 2020-12) of every type of event,
// and their index, by the paths under which they are served. They are made of
// the same Go types that write the events, and lie in docs/schemas too.
//
//go:generate go test . -count=1 -run ^TestSchemasInDocsAreThoseThatAreServed$ -args -update
func EventSchemas() (map[string][]byte, error) {
	event, definitions, err := reflectEvent()
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	for _, t := range schemedTypes() {
		if files[eventSchemaPath(t)], err = encodeSchema(eventSchema(t, event, definitions)); err != nil {
			return nil, err
		}
	}
	files[eventIndexPath], err = encodeSchema(eventIndex())
	return files, err
}

func eventSchemaPath(t messaging.EventType) string {
	return eventSchemasPath + "/" + string(t) + ".json"
}

func encodeSchema(v any) ([]byte, error) {
	b, err := json.Marshal(v, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return nil, fmt.Errorf("encode a schema: %w", err)
	}
	return append(b, '\n'), nil
}

// eventIndex lists the schemas.
func eventIndex() any {
	type entry struct {
		Type        messaging.EventType `json:"type"`
		Description string              `json:"description"`
		Data        string              `json:"data"` // the member of data
		Schema      string              `json:"schema"`
	}
	var list []entry
	for _, t := range schemedTypes() {
		list = append(list, entry{Type: t, Description: eventSentences[t], Data: eventNoun(t), Schema: eventSchemaPath(t)})
	}
	return struct {
		APIVersion string  `json:"api_version"`
		Events     []entry `json:"events"`
	}{eventAPIVersion, list}
}

// reflectEvent makes the schema of any event, and of what it is made of.
func reflectEvent() (event, definitions map[string]any, err error) {
	definitions = make(map[string]any)
	collect := func(name string, schema jsonschema.Schema) {
		if definition, failed := asMap(schema); failed != nil {
			err = failed
		} else {
			definitions[name] = definition
		}
	}
	schema, failed := newReflector().JSONSchemaReflector().Reflect(eventView{},
		jsonschema.DefinitionsPrefix("#/$defs/"), jsonschema.CollectDefinitions(collect))
	if failed != nil || err != nil {
		return nil, nil, fmt.Errorf("reflect event: %w", cmp.Or(failed, err))
	}
	event, err = asMap(schema)
	return event, definitions, err
}

// asMap turns a schema into plain JSON values.
func asMap(schema jsonschema.Schema) (map[string]any, error) {
	encoded, err := schema.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var plain map[string]any
	err = json.Unmarshal(encoded, &plain)
	mendNullable(plain)
	openObjects(plain)
	return plain, err
}

// openObjects lets members through that a schema does not have. Answers are held
// to have no others (closeSchema), but who keeps a schema of today must be able
// to read the events of tomorrow.
func openObjects(schema any) {
	switch schema := schema.(type) {
	case map[string]any:
		if schema["additionalProperties"] == false {
			delete(schema, "additionalProperties")
		}
		for _, inner := range schema {
			openObjects(inner)
		}
	case []any:
		for _, inner := range schema {
			openObjects(inner)
		}
	}
}

// eventSchema narrows the schema of any event to one type and its noun.
func eventSchema(t messaging.EventType, event, definitions map[string]any) map[string]any {
	noun := eventNoun(t)
	object := map[string]any{"$ref": "#/$defs/" + strings.ToUpper(noun[:1]) + noun[1:]}
	properties := make(map[string]any)
	for name, schema := range event["properties"].(map[string]any) { //nolint:forcetypeassert // made by reflectEvent
		properties[name] = schema
	}
	properties["type"] = map[string]any{"const": string(t)}
	properties["api_version"] = map[string]any{"const": eventAPIVersion}
	properties["data"] = map[string]any{"type": "object", "properties": map[string]any{noun: object}, "required": []string{noun}}
	used := make(map[string]any)
	takeDefinitions(properties, definitions, used)
	return map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$id":     "urn:portaria:event:" + eventAPIVersion + ":" + string(t),
		"title":   string(t), "description": eventSentences[t],
		"type": "object", "properties": properties, "required": event["required"], "$defs": used,
	}
}

// takeDefinitions adds to used what a schema refers to, directly or not.
func takeDefinitions(schema any, definitions, used map[string]any) {
	switch schema := schema.(type) {
	case map[string]any:
		if ref, ok := schema["$ref"].(string); ok {
			name := strings.TrimPrefix(ref, "#/$defs/")
			if used[name] == nil {
				used[name] = definitions[name]
				takeDefinitions(definitions[name], definitions, used)
			}
		}
		for _, inner := range schema {
			takeDefinitions(inner, definitions, used)
		}
	case []any:
		for _, inner := range schema {
			takeDefinitions(inner, definitions, used)
		}
	}
}
