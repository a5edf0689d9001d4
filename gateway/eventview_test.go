package gateway

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"portaria/instances/proxy"
	"portaria/messaging"
)

// eventSchemas compiles the schema of every type.
func eventSchemas(t *testing.T) map[messaging.EventType]*jsonschema.Schema {
	t.Helper()
	files, err := EventSchemas()
	if err != nil {
		t.Fatal(err)
	}
	schemas := make(map[messaging.EventType]*jsonschema.Schema)
	for _, eventType := range schemedTypes() {
		resource, err := jsonschema.UnmarshalJSON(bytes.NewReader(files[eventSchemaPath(eventType)]))
		if err != nil {
			t.Fatal(err)
		}
		compiler := jsonschema.NewCompiler()
		compiler.AssertFormat()
		if err := compiler.AddResource("test:///schema", resource); err != nil {
			t.Fatal(err)
		}
		schema, err := compiler.Compile("test:///schema")
		if err != nil {
			t.Fatalf("%s: %v", eventType, err)
		}
		schemas[eventType] = schema
	}
	return schemas
}

// drawEvent draws an event of a type, as the store reads it back.
func drawEvent(t *rapid.T, eventType messaging.EventType) messaging.Event {
	e := messaging.Event{
		Sequence: rapid.Int64Range(1, 1<<39).Draw(t, "sequence"), Type: eventType, WorkspaceID: "wsp_x",
		Environment: rapid.SampledFrom([]messaging.Environment{messaging.Live, messaging.Test}).Draw(t, "environment"),
		Timestamp:   time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "at")),
	}
	e.ID = messaging.NewEventID(e.Sequence, e.Timestamp)
	switch eventNoun(eventType) {
	case "message":
		m := drawMessage(t)
		e.InstanceID, e.MessageID, e.State, e.Message = "ins_x", m.ID, m.State, &m
	case "instance":
		e.InstanceID = "ins_x"
		e.Instance = &messaging.Instance{
			ID: "ins_x", Name: "a", Environment: e.Environment, Driver: messaging.DriverSandbox, Desired: messaging.DesiredConnected,
			State: messaging.InstanceConnected, Metadata: []byte("{\n \"a\":\r\n \"b\" }"), CreatedAt: e.Timestamp,
		}
	case "call":
		e.InstanceID, e.Call = "ins_x", &messaging.Call{ID: rapid.String().Draw(t, "call"), Video: rapid.Bool().Draw(t, "video"), At: e.Timestamp}
	case "bulk":
		b := drawBulk(t)
		e.Bulk = &b
	case "webhook":
		e.Webhook = &messaging.Webhook{
			ID: "whk_x", URL: "https://example.com/" + rapid.String().Draw(t, "path"), Environment: e.Environment, Events: []string{"*"},
			Chats: messaging.AllChats, Ordered: rapid.Bool().Draw(t, "ordered"), DisabledReason: messaging.ReasonGone,
			MaxAttempts: rapid.IntRange(0, 50).Draw(t, "tries"), Instances: rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "instances"),
		}
	}
	return e
}

// drawBulk draws a bulk.
func drawBulk(t *rapid.T) messaging.Bulk {
	b := messaging.Bulk{
		ID: "blk_x", Name: rapid.String().Draw(t, "name"), Environment: messaging.Test, InstanceIDs: []string{"ins_x"},
		State:     rapid.SampledFrom([]messaging.BulkState{messaging.BulkRunning, messaging.BulkPaused, messaging.BulkCompleted}).Draw(t, "state"),
		Counts:    messaging.BulkCounts{Total: 2, Read: 1, Queued: 1},
		Template:  messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: rapid.String().Draw(t, "template")}},
		Options:   messaging.BulkOptions{Priority: messaging.Low, Dedupe: true, SkipInvalid: rapid.Bool().Draw(t, "skip")},
		CreatedAt: time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "created")),
	}
	if rapid.Bool().Draw(t, "more") {
		b.Metadata, b.EndedAt = []byte(`{"a":1}`), b.CreatedAt
		b.Options.Pace = &messaging.BulkPace{MinGap: time.Second, PerHour: 100}
		b.Options.QuietHours = &messaging.BulkQuiet{From: "21:00", To: "08:00", TimeZone: "America/Sao_Paulo"}
		b.Options.FrequencyCap = &messaging.FrequencyCap{Max: 2, Per: 24 * time.Hour}
		b.Options.DedupeWindow, b.Options.SendAt = time.Hour, b.CreatedAt
	}
	return b
}

// What is told fits the schema of its type and of no other noun, stands in one
// line, as a stream needs it, and is what a list of events shows.
func TestEventsFitTheSchemaOfTheirType(t *testing.T) {
	schemas, renderer := eventSchemas(t), NewRenderer(new(proxy.Book))
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t, rapid.SampledFrom(schemedTypes()).Draw(t, "type"))
		text, err := renderer.RenderEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.ContainsAny(text, "\r\n") {
			t.Fatalf("more than one line: %s", text)
		}
		list, err := json.Marshal([]eventView{renderer.viewEvent(e)})
		if err != nil || string(list) != "["+string(text)+"]" {
			t.Fatalf("%s in a list is %s (%v)", text, list, err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for eventType, schema := range schemas {
			if err := schema.Validate(value); (err == nil) != (eventType == e.Type) {
				t.Fatalf("the schema of %s says %v of %s", eventType, err, text)
			}
		}
		broken := strings.Replace(string(text), `"data":{"`+eventNoun(e.Type), `"data":{"thing`, 1)
		if value, err = jsonschema.UnmarshalJSON(strings.NewReader(broken)); err != nil {
			t.Fatal(err)
		}
		if schemas[e.Type].Validate(value) == nil {
			t.Fatalf("another noun passed: %s", broken)
		}
	})
}

// A type that can happen and has no schema would be forgotten by everybody who
// reads the index.
func TestEveryTypeThatHappensHasASchema(t *testing.T) {
	for _, eventType := range messaging.EventTypes {
		if eventSentences[eventType] == "" {
			t.Errorf("%s has no schema", eventType)
		}
	}
	if len(schemedTypes()) != len(eventSentences) {
		t.Errorf("%d types have a sentence, %d a schema", len(eventSentences), len(schemedTypes()))
	}
}
