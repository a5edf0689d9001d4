package gateway_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/gateway/gatewaytest"
	"portaria/messaging"
)

// Whoever uploads a bulk is told all that is wrong with it at once, and where.
func TestWhatIsWrongWithABulkIsNamed(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	token := h.key(t, bulkScopes...)
	const invalid, rows, text = "VALIDATION_FAILED", `"recipients":[{"to":"5511912345678"}]`, `"message":{"text":"a"}`
	for name, c := range map[string]struct {
		body   string
		parts  []part
		code   string
		fields []string
	}{
		"nothing":            {body: `{}`, code: invalid, fields: []string{"message:required", "recipients:required"}},
		"no object":          {body: `[]`, code: invalid, fields: []string{":type"}},
		"rows of a text":     {body: `{` + text + `,"recipients":"5511"}`, code: invalid, fields: []string{"recipients:type"}},
		"rows of null":       {body: `{` + text + `,"recipients":null}`, code: invalid, fields: []string{"recipients:type"}},
		"rows twice":         {body: `{` + text + `,` + rows + `,` + rows + `}`, code: "INVALID_JSON"},
		"broken head":        {body: `{` + rows + `,"message":}`, code: "INVALID_JSON"},
		"cut":                {body: `{` + text + `,"recipients":[{"to":"5511912345678"}`, code: "INVALID_JSON"},
		"broken rows":        {body: `{` + text + `,"recipients":[{"to":"5511912345678"]}`, code: "INVALID_JSON"},
		"text behind it":     {body: `{` + text + `,` + rows + `}}`, code: "INVALID_JSON"},
		"unknown":            {body: `{` + text + `,` + rows + `,"sendAt":"x","message_":1}`, code: invalid, fields: []string{"message_:unknown", "sendAt:unknown"}},
		"instances":          {body: `{` + text + `,` + rows + `,"instances":["one"]}`, code: invalid, fields: []string{"instances:unknown"}},
		"mapping":            {body: `{` + text + `,` + rows + `,"mapping":{"to":"x"}}`, code: invalid, fields: []string{"mapping:requires"}},
		"mapping of numbers": {body: `{` + text + `,` + rows + `,"mapping":{"to":1}}`, code: invalid, fields: []string{"mapping:type"}},
		"a bad row":          {body: `{` + text + `,"recipients":[{"to":"5511912345678"},{"to":5,"x":1}]}`, code: invalid, fields: []string{"recipients[1].to:INVALID_ROW"}},
		"a reaction":         {body: `{"message":{"reaction":{"message_id":"x","emoji":"a"}},` + rows + `}`, code: invalid, fields: []string{"message.reaction:requires"}},
		"an answer":          {body: `{"message":{"text":"a","reply_to":"3EB0"},` + rows + `}`, code: invalid, fields: []string{"message.reply_to:requires"}},
		"no content":         {body: `{"message":{},` + rows + `}`, code: invalid, fields: []string{"message.text:required"}},
		"content of a text":  {body: `{"message":"Olá",` + rows + `}`, code: invalid, fields: []string{"message:type"}},
		"a long text":        {body: `{"message":{"text":"` + strings.Repeat("a", messaging.MaxTextBytes+1) + `"},` + rows + `}`, code: invalid, fields: []string{"message.text:max_bytes"}},
		"buttons":            {body: `{"message":{"buttons":[]},` + rows + `}`, code: "UNSUPPORTED_MESSAGE_TYPE"},
		"a strange file":     {body: `{"message":{"image":{"base64":"AAAA"}},` + rows + `}`, code: invalid, fields: []string{"message.image:media_type"}},
		"an absent file":     {body: `{"message":{"image":{"media_id":"med_00000000000000000000000000"}},` + rows + `}`, code: invalid, fields: []string{"message.image.media_id:not_found"}},
		"strange options": {
			body: `{` + text + `,` + rows + `,"name":"` + strings.Repeat("é", 101) + `","send_at":"tomorrow","time_zone":"Local","pace":{"min_gap_ms":-1,"per_hour":9e9},` +
				`"quiet_hours":{"from":"9:00"},"dedupe_window":"91d","frequency_cap":{"max":0},"priority":"urgent","on_invalid":"ask","expires_in":"5"}`,
			code: invalid, fields: []string{
				"dedupe_window:range", "expires_in:duration", "frequency_cap.max:range", "frequency_cap.per:required", "name:max_length", "on_invalid:enum",
				"pace.min_gap_ms:min", "pace.per_hour:type", "priority:enum", "quiet_hours.from:format", "quiet_hours.to:required", "send_at:time", "time_zone:format",
			},
		},
		"a time without a zone": {body: `{` + text + `,` + rows + `,"send_at":"2026-12-01T09:00"}`, code: invalid, fields: []string{"send_at:time"}},
		"in two years":          {body: `{` + text + `,` + rows + `,"send_at":"` + time.Now().AddDate(2, 0, 0).UTC().Format(time.RFC3339) + `"}`, code: invalid, fields: []string{"send_at:max"}},
		"quiet without a zone":  {body: `{` + text + `,` + rows + `,"quiet_hours":{"from":"08:00","to":"08:00"}}`, code: invalid, fields: []string{"quiet_hours.time_zone:required", "quiet_hours.to:requires"}},
		"a strange override":    {body: `{` + text + `,` + rows + `,"sandbox":{"outcome":"odd"}}`, code: invalid, fields: []string{"sandbox.outcome:enum"}},

		"form: no file":         {parts: []part{{"message", "", "", `{"text":"a"}`}}, code: invalid, fields: []string{"file:required"}},
		"form: no message":      {parts: []part{{"file", "", "", "to\n5511912345678\n"}}, code: invalid, fields: []string{"message:required"}},
		"form: rows twice":      {parts: []part{{"file", "", "", "to\n"}, {"message", "", "", `{` + text + `,` + rows + `}`}}, code: invalid, fields: []string{"recipients:requires"}},
		"form: a broken one":    {parts: []part{{"message", "", "", `{{name}}`}}, code: "INVALID_JSON"},
		"form: a stranger":      {parts: []part{{"csv", "", "", "to\n"}}, code: invalid, fields: []string{"csv:unknown"}},
		"form: two files":       {parts: []part{{"file", "", "", "to\n"}, {"file", "", "", "to\n"}}, code: invalid, fields: []string{"file:repeated"}},
		"form: an option twice": {parts: []part{{"name", "", "", "a"}, {"name", "", "", "b"}}, code: invalid, fields: []string{"name:repeated"}},
		"form: in both": {
			parts: []part{{"name", "", "", "a"}, {"message", "", "", `{` + text + `,"name":"b"}`}}, code: invalid, fields: []string{"name:repeated"},
		},
		"form: bad JSON":       {parts: []part{{"pace", "", "", "fast"}}, code: invalid, fields: []string{"pace:format"}},
		"form: no UTF-8":       {parts: []part{{"name", "", "", "\xff"}}, code: invalid, fields: []string{"name:format"}},
		"form: instances":      {parts: []part{{"file", "", "", "to\n"}, {"message", "", "", `{"text":"a"}`}, {"instances", "", "", "one"}}, code: invalid, fields: []string{"instances:unknown"}},
		"form: lines, mapped":  {parts: []part{{"file", "a.ndjson", "", "{}"}, {"message", "", "", `{"text":"a"}`}, {"mapping", "", "", `{"to":"x"}`}}, code: invalid, fields: []string{"mapping:requires"}},
		"form: Latin-1":        {parts: []part{{"file", "", "", "to,name\n5511912345678,Jo\xe3o\n"}, {"message", "", "", `{"text":"a"}`}}, code: invalid, fields: []string{"file:not_utf8"}},
		"form: no such column": {parts: []part{{"file", "", "", "fone\n1\n"}, {"message", "", "", `{"text":"a"}`}}, code: invalid, fields: []string{"file:required"}},
		"form: broken lines":   {parts: []part{{"file", "a.jsonl", "", "{}\n{"}, {"message", "", "", `{"text":"a"}`}}, code: "INVALID_JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			r := post("/v1/instances/one/bulk", token, c.body)
			if c.parts != nil {
				r.Body, r.Header = form(t, c.parts...)
			}
			status := http.StatusUnprocessableEntity
			if c.code == "INVALID_JSON" {
				status = http.StatusBadRequest
			}
			answer := h.Expect(t, r, status, c.code)
			if diff := cmp.Diff(fieldsOf(t, answer), c.fields); diff != "" {
				t.Errorf("fields (-got +want):\n%s", diff)
			}
			if c.body != "" && c.code == "INVALID_JSON" && !strings.Contains(string(answer.Body), `"offset":`) {
				t.Errorf("without its place: %s", answer.Body)
			}
		})
	}
	if n := h.bulks.stored(); n != 0 {
		t.Errorf("%d bulks were stored", n)
	}
	if n := h.files(t); n != 0 {
		t.Errorf("%d files stay", n)
	}
	h.nothingSpooled(t)
}

// fieldsOf lists the refused fields of an answer with their rules, sorted.
func fieldsOf(t *testing.T, answer gatewaytest.Response) (list []string) {
	t.Helper()
	var body struct {
		Error struct {
			Details struct {
				Fields []struct{ Field, Rule string }
			}
		}
	}
	if err := json.Unmarshal(answer.Body, &body); err != nil {
		t.Fatal(err)
	}
	for _, f := range body.Error.Details.Fields {
		list = append(list, f.Field+":"+f.Rule)
	}
	slices.Sort(list)
	return list
}
