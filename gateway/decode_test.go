package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/messaging"
)

// testCall is a call of a test key, with a clock that stands.
func testCall(env messaging.Environment) *Call {
	s := &Server{clockOf: func(messaging.Tenancy) messaging.Clock { return stoppedClock{} }}
	return &Call{
		Grant:    &auth.Grant{Environment: env},
		Tenancy:  messaging.NewTenancy("wsp", env, messaging.AllInstances()),
		exchange: &exchange{server: s},
	}
}

type stoppedClock struct{}

func (stoppedClock) Now() time.Time                                 { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) }
func (stoppedClock) At(time.Time, func()) (forget func())           { return func() {} }
func (stoppedClock) Deadline(_ time.Time, _ func()) (forget func()) { return func() {} }

// refused decodes a message and returns its code and refused fields as
// field:rule.
func refused(t *testing.T, env messaging.Environment, body string) (code string, fields []string) {
	t.Helper()
	var m sendMessage
	err := decodeBody([]byte(body), &m, testCall(env))
	if err == nil {
		return "", nil
	}
	f := fault.As(err)
	if f == nil {
		t.Fatalf("%s: %v is no fault", body, err)
	}
	list, _ := f.Details()["fields"].([]fault.Field)
	for _, field := range list {
		fields = append(fields, field.Field+":"+field.Rule)
	}
	return f.Code(), fields
}

// A caller who sends a wrong body must learn everything that is wrong with it
// at once, under a code that tells broken JSON from wrong content.
func TestEveryFaultOfABodyIsNamed(t *testing.T) {
	const invalid, broken, unsupported = "VALIDATION_FAILED", "INVALID_JSON", "UNSUPPORTED_MESSAGE_TYPE"
	for _, test := range []struct {
		name, body, code string
		fields           []string
	}{
		{"short form", `{"to":"5511912345678","text":"Olá"}`, "", nil},
		{"long form", `{"to":"5511912345678","type":"text","text":{"body":"Olá","preview_url":true}}`, "", nil},
		{"all options", `{"to":"x","text":"a","send_at":"2026-02-01T00:00:00-03:00","expires_in":"30d","priority":"low","metadata":{"a":[1,{"b":null}]},"sandbox":{"outcome":"failed","code":"NOT_ON_WHATSAPP","delay_ms":{"sent":100}}}`, "", nil},
		{"empty body", ``, invalid, []string{"text:required", "to:required"}},
		{"empty object", ` {} `, invalid, []string{"text:required", "to:required"}},
		{"nulls", `{"to":null,"text":null}`, invalid, []string{"text:required", "to:required"}},
		{"not an object", `[]`, invalid, []string{":type"}},
		{"null", `null`, invalid, []string{":type"}},
		{"a string", `"x"`, invalid, []string{":type"}},
		{
			"wrong types, unknown names and wrong values together",
			`{"to":5,"text":{"body":true,"bold":1},"priority":"urgent","expires_in":60,"send_at":"tomorrow","nope":1,"metadata":[]}`,
			invalid,
			[]string{
				"to:type", "text.body:type", "text.bold:unknown", "expires_in:type", "nope:unknown", "metadata:type",
				"priority:enum", "send_at:time",
			},
		},
		{"text is a number", `{"to":"x","text":5}`, invalid, []string{"text:type"}},
		{"case counts", `{"To":"x","text":"a"}`, invalid, []string{"To:unknown", "to:required"}},
		{"empty text", `{"to":"x","text":""}`, invalid, []string{"text:required"}},
		{"white text", `{"to":"x","text":" \n\t\u00a0"}`, invalid, []string{"text:required"}},
		{"white body", `{"to":"x","text":{"body":"  "}}`, invalid, []string{"text.body:required"}},
		{"70 kB of text", `{"to":"x","text":"` + strings.Repeat("a", 70_000) + `"}`, invalid, []string{"text:max_bytes"}},
		{"65,536 bytes of text", `{"to":"x","text":"` + strings.Repeat("a", 65_536) + `"}`, "", nil},
		{"bare number as duration", `{"to":"x","text":"a","expires_in":"60"}`, invalid, []string{"expires_in:duration"}},
		{"too short", `{"to":"x","text":"a","expires_in":"999ms"}`, invalid, []string{"expires_in:range"}},
		{"too long", `{"to":"x","text":"a","expires_in":"31d"}`, invalid, []string{"expires_in:range"}},
		{"time without zone", `{"to":"x","text":"a","send_at":"2026-02-01T00:00:00"}`, invalid, []string{"send_at:time"}},
		{"more than a year ahead", `{"to":"x","text":"a","send_at":"2027-02-02T00:00:00Z"}`, invalid, []string{"send_at:max"}},
		{"a time that has passed", `{"to":"x","text":"a","send_at":"2020-02-02T00:00:00Z"}`, "", nil},
		{"large metadata", `{"to":"x","text":"a","metadata":{"a":"` + strings.Repeat("a", 4096) + `"}}`, invalid, []string{"metadata:max_bytes"}},
		{"deep metadata", `{"to":"x","text":"a","metadata":{"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}}`, invalid, []string{"metadata:max"}},
		{"unknown outcome", `{"to":"x","text":"a","sandbox":{"outcome":"lost","x":1}}`, invalid, []string{"sandbox.x:unknown", "sandbox.outcome:enum"}},
		{"broken", `{"to":`, broken, nil},
		{"trailing data", `{"to":"x","text":"a"} {}`, broken, nil},
		{"two texts", `{"to":"x","text":"a","text":"b"}`, broken, nil},
		{"two names in metadata", `{"to":"x","text":"a","metadata":{"a":1,"a":2}}`, broken, nil},
		{"not UTF-8", "{\"to\":\"x\",\"text\":\"\xff\"}", broken, nil},
		{"half a surrogate", `{"to":"x","text":"\ud800"}`, broken, nil},
		{"nesting bomb", strings.Repeat(`{"a":`, 100_000), broken, nil},
		{"closed nesting bomb", strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000), broken, nil},
		{"buttons", `{"to":"x","buttons":[{"id":"1"}]}`, unsupported, nil},
		{"type buttons", `{"to":"x","type":"buttons","buttons":[]}`, unsupported, nil},
		{"type alone", `{"to":"x","type":"list"}`, unsupported, nil},
		{"unknown type", `{"to":"x","type":"hologram","text":"a"}`, unsupported, nil},
		{"location", `{"to":"x","type":"location","location":{"latitude":0,"longitude":-180}}`, "", nil},
		{"empty location", `{"to":"x","location":{}}`, invalid, []string{"location.latitude:required", "location.longitude:required"}},
		{
			"strange location", `{"to":"x","location":{"latitude":"1","longitude":180.5,"url":"x"}}`, invalid,
			[]string{"location.latitude:type", "location.url:unknown", "location.longitude:range"},
		},
		{"location of nulls", `{"to":"x","location":{"latitude":null,"longitude":1,"name":null}}`, invalid, []string{"location.latitude:required"}},
		{
			"long names of a place", `{"to":"x","location":{"latitude":1,"longitude":1,"name":"` + strings.Repeat("é", 256) + `","address":"` + strings.Repeat("é", 1001) + `"}}`,
			invalid,
			[]string{"location.name:max_length", "location.address:max_length"},
		},
		{"contact", `{"to":"x","contacts":[{"name":{"first_name":"Ana"},"phones":[{"phone":"{{phone}}","wa_id":"5511912345678","type":"CELL"}],"emails":null}]}`, "", nil},
		{"no contacts", `{"to":"x","contacts":[]}`, invalid, []string{"contacts:length"}},
		{"null for contacts", `{"to":"x","contacts":null}`, invalid, []string{"text:required"}},
		{"21 contacts", `{"to":"x","contacts":[` + strings.Repeat(`{"name":{"formatted_name":"a"}},`, 20) + `{}]}`, invalid, []string{"contacts:length"}},
		{"a megabyte of contacts", `{"to":"x","contacts":[` + strings.Repeat(`{},`, 300_000) + `{}]}`, invalid, []string{"contacts:length"}},
		{"contacts of null", `{"to":"x","contacts":[null]}`, invalid, []string{"contacts[0].name.formatted_name:required"}},
		{"contacts are an object", `{"to":"x","contacts":{"name":{}}}`, invalid, []string{"contacts:type"}},
		{
			"strange contacts",
			`{"to":"x","contacts":[{"name":{"last_name":"b"}},{"name":"Ana"},{"name":{},"phones":[{"phone":" ","wa_id":"+55"},{"type":"a b"},5],"emails":[{"mail":"a"}],"age":1}]}`,
			invalid,
			[]string{
				"contacts[1].name:type", "contacts[2].phones[2]:type", "contacts[2].emails[0].mail:unknown", "contacts[2].age:unknown",
				"contacts[2].name.formatted_name:required", "contacts[2].phones[0].phone:required", "contacts[2].phones[0].wa_id:format",
				"contacts[2].phones[1].phone:required", "contacts[2].phones[1].type:format", "contacts[2].emails[0].email:required",
			},
		},
		{
			"a contact of many phones", `{"to":"x","contacts":[{"name":{"first_name":"a"},"phones":[` + strings.Repeat(`{"phone":"1"},`, 10) + `{"phone":"1"}]}]}`,
			invalid,
			[]string{"contacts[0].phones:length"},
		},
		{"poll", `{"to":"x","type":"poll","poll":{"question":"{{q}}?","options":["{{a}}","{{b}}"],"multiple":true}}`, "", nil},
		{"empty poll", `{"to":"x","poll":{}}`, invalid, []string{"poll.question:required", "poll.options:length"}},
		{"poll with one answer", `{"to":"x","poll":{"question":"?","options":["a"]}}`, invalid, []string{"poll.options:length"}},
		{"poll with 13 answers", `{"to":"x","poll":{"question":"?","options":["1","2","3","4","5","6","7","8","9","10","11","12","13"]}}`, invalid, []string{"poll.options:length"}},
		{
			"strange poll", `{"to":"x","poll":{"question":"` + strings.Repeat("é", 256) + `","options":["a"," a","",5,"` + strings.Repeat("é", 101) + `","` + strings.Repeat("é", 100) + `"]}}`,
			invalid,
			[]string{"poll.options[3]:type", "poll.question:max_length", "poll.options[1]:repeated", "poll.options[2]:required", "poll.options[4]:max_length"},
		},
		{"poll and text", `{"to":"x","text":"a","poll":{"question":"?","options":["a","b"]}}`, invalid, []string{"poll:requires"}},
		{"caption and view once of a poll", `{"to":"x","caption":"a","view_once":true,"poll":{"question":"?","options":["a","b"]}}`, invalid, []string{"caption:requires", "view_once:requires"}},
		{"type of a wrong type", `{"to":"x","type":5,"text":"a"}`, invalid, []string{"type:type"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, fields := refused(t, messaging.Test, test.body)
			if code != test.code {
				t.Errorf("code %q, want %q (%v)", code, test.code, fields)
			}
			if diff := cmp.Diff(test.fields, fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOverridesAreForTestKeysOnly(t *testing.T) {
	code, fields := refused(t, messaging.Live, `{"to":"x","text":"a","sandbox":{"outcome":"read"}}`)
	if diff := cmp.Diff([]string{"sandbox:environment"}, fields); code != "VALIDATION_FAILED" || diff != "" {
		t.Errorf("code %s, fields (-want +got):\n%s", code, diff)
	}
}

// Values of a refused body must never come back in the answer: they may be
// secrets, and long.
func TestRefusalsDoNotEchoValues(t *testing.T) {
	var m sendMessage
	err := decodeBody([]byte(`{"to":{"secret":"hunter2"},"text":["hunter2"],"priority":"hunter2","send_at":"hunter2"}`), &m, testCall(messaging.Test))
	f := fault.As(err)
	if f == nil {
		t.Fatal(err)
	}
	fields, _ := f.Details()["fields"].([]fault.Field)
	if len(fields) != 4 {
		t.Errorf("%d fields, want 4: %v", len(fields), fields)
	}
	for _, field := range fields {
		if strings.Contains(field.Field+field.Rule+field.Message, "hunter2") {
			t.Errorf("%v echoes a value", field)
		}
	}
}

// sources counts what a message that is more than plain text says.
func sources(m *sendMessage) (n int) {
	for _, given := range []bool{m.content.Text != nil, m.content.Media != nil, m.content.Location != nil, m.content.Contacts != nil, m.content.Poll != nil, m.content.Reaction != nil} {
		if given {
			n++
		}
	}
	return n
}

// Strangers send anything. Whatever it is, it is decoded or refused with one of
// three codes, and what was decoded keeps the promises that the outbox relies on.
func FuzzMessageBody(f *testing.F) {
	for _, seed := range []string{
		`{"to":"5511912345678","text":"Olá"}`, `{"to":"x","type":"text","text":{"body":"a","preview_url":true}}`,
		`{"to":"x","text":"a","metadata":{"a":{"b":[]}},"sandbox":{"delay_ms":{"sent":1}}}`, `{"to":5,"text":{"x":[]}}`,
		`[[[[`, `{"a":1,"a":2}`, "\xff", `{"buttons":{}}`, `{"to":"x","text":"a","send_at":"2026-02-01T00:00:00Z","expires_in":"1d"}`, ``,
		`{"to":"x","image":{"base64":"data:image/png;base64,iVBORw0KGgo=","caption":"a"},"view_once":true,"mentions":["5511912345678"]}`,
		`{"to":"x","type":"audio","audio":{"media_id":"med_x","voice":true},"reply_to":"3EB0","caption":null}`,
		`{"to":"x","reaction":{"message_id":"3EB0","emoji":""}}`, `{"to":"x","document":{"base64":"\/\n_-=="},"mentions":[[]]}`,
		`{"to":"x","location":{"latitude":-1e-7,"longitude":1e400}}`, `{"to":"x","poll":{"question":"{{q}}","options":["a",5,"b"]}}`,
		`{"to":"x","contacts":[{"name":{"first_name":"a"},"phones":[{"phone":"1","wa_id":"5511912345678"}],"emails":[{}]},null]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var m sendMessage
		err := decodeBody(body, &m, testCall(messaging.Test))
		if err != nil {
			switch fault.As(err).Code() {
			case "VALIDATION_FAILED", "INVALID_JSON", "UNSUPPORTED_MESSAGE_TYPE":
			default:
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if !m.plain() {
			if sources(&m) != 1 || m.To == "" || m.content.Media != nil != (m.file != nil) {
				t.Fatalf("%q was accepted as %+v", body, m)
			}
			var fields fault.Fields
			if m.content.Check(&fields); len(fields) > 0 {
				t.Fatalf("%q was accepted with %v", body, fields)
			}
			return
		}
		text := m.content.Text
		if text == nil || strings.TrimSpace(text.Body) == "" || len(text.Body) > messaging.MaxTextBytes || m.To == "" {
			t.Fatalf("%q was accepted as %+v", body, m)
		}
		if raw := m.Metadata.bytes(); len(raw) > maxMetadataBytes || depthOf(raw) > maxMetadataDepth {
			t.Fatalf("%q was accepted with metadata %s", body, raw)
		}
	})
}
