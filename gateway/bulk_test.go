package gateway_test

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/auth"
	"portaria/gateway/gatewaytest"
	"portaria/messaging"
)

// bulkScopes are what a key needs for all about bulks.
var bulkScopes = []string{"bulk:write", "bulk:read", "whatsapp:send"}

// shown is what the tests read of a bulk.
type shown struct {
	ID        string
	State     string
	Instances []string
	Counts    map[string]int
	Message   map[string]any
}

// recipientsOf lists the rows of a bulk, each in a line.
func (h *house) recipientsOf(t *testing.T, token, id string) (lines []string) {
	t.Helper()
	rows := data[[]struct {
		Row       int
		To        struct{ Input string }
		Variables map[string]string
		Status    string
	}](t, h.Expect(t, get("/v1/bulk/"+id+"/recipients?limit=200", token), http.StatusOK, ""))
	for _, r := range rows {
		line := strconv.Itoa(r.Row) + " " + r.To.Input
		for _, name := range []string{"name", "order", "Nome"} {
			if value, ok := r.Variables[name]; ok {
				line += " " + name + "=" + value
			}
		}
		if r.Status != "queued" {
			line += " " + r.Status
		}
		lines = append(lines, line)
	}
	return lines
}

// A bulk is the same however it was uploaded.
func TestABulkComesAsJSONOrAsAForm(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	token := h.key(t, bulkScopes...)
	const csv = "to;name;order\n+55 11 91234-5678;Ana;A-1\n5511912345679;;A-2\n"
	const lines = `{"to":"+55 11 91234-5678","variables":{"name":"Ana","order":"A-1"}}` + "\n" + `{"to":"5511912345679","variables":{"name":"","order":"A-2"}}`
	const message = `{"text":"Olá {{name|cliente}}: {{order}}"}`
	const whole = `{"name":"b","message":` + message + `,"pace":{"per_hour":10}}`
	list := strings.ReplaceAll("["+lines+"]", "\n", ",")
	want := []string{"1 +55 11 91234-5678 name=Ana order=A-1", "2 5511912345679 name= order=A-2"}
	file := part{"file", "a.csv", "text/csv", csv}
	for name, c := range map[string]struct {
		body  string
		parts []part
	}{
		"JSON, rows last":        {body: `{"message":` + message + `,"name":"b","pace":{"per_hour":10},"recipients":` + list + `}`},
		"JSON, rows first":       {body: `{"recipients":` + list + `,"message":` + message + `,"name":"b","pace":{"per_hour":10}}`},
		"form, file first":       {parts: []part{file, {"message", "", "", message}, {"name", "", "", "b"}, {"pace", "", "", `{"per_hour":10}`}}},
		"form, file last":        {parts: []part{{"pace", "", "", `{"per_hour":10}`}, {"name", "", "", `"b"`}, {"message", "", "application/json", message}, file}},
		"form, the whole object": {parts: []part{{"message", "", "", whole}, file}},
		"form, object and parts": {parts: []part{file, {"message", "", "", `{"message":` + message + `,"name":"b"}`}, {"pace", "", "", `{"per_hour":10}`}}},
		"form, lines by type":    {parts: []part{{"message", "", "", whole}, {"file", "rows", "application/x-ndjson", lines}}},
		"form, lines by name":    {parts: []part{{"message", "", "", whole}, {"file", "rows.JSONL", "", lines}}},
		"form, mapped": {parts: []part{
			{"message", "", "", whole}, {"mapping", "", "", `{"to":"fone","name":"Nome"}`}, {"file", "a.csv", "", strings.Replace(csv, "to;name", "fone;Nome", 1)},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := post("/v1/instances/one/bulk", token, c.body)
			if c.parts != nil {
				r.Body, r.Header = form(t, c.parts...)
			}
			made := data[shown](t, h.Expect(t, r, http.StatusAccepted, ""))
			if diff := cmp.Diff(h.recipientsOf(t, token, made.ID), want); diff != "" {
				t.Errorf("rows (-got +want):\n%s", diff)
			}
			draft := h.bulks.last(t)
			if draft.Name != "b" || draft.Content.Text.Body != "Olá {{name|cliente}}: {{order}}" || draft.Options.Pace == nil || draft.Options.Pace.PerHour != 10 {
				t.Errorf("draft %+v", draft)
			}
			if made.Counts["total"] != 2 || made.Counts["queued"] != 2 || made.State != "running" {
				t.Errorf("answered %+v", made)
			}
		})
	}
	h.nothingSpooled(t)
}

// nothingSpooled fails when something of an upload lies on the disk.
func (h *house) nothingSpooled(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(h.spoolDir)
	if err != nil || len(entries) > 0 {
		t.Errorf("on the disk: %v, %v", entries, err)
	}
}

func TestOptionsOfABulkAreUnderstood(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	token := h.key(t, bulkScopes...)
	tomorrow := time.Now().UTC().Add(24 * time.Hour).Truncate(time.Second)
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		t.Fatal(err)
	}
	const head = `{"message":{"text":"a"},"recipients":[{"to":"5511912345678"}]`
	usual := messaging.BulkOptions{Priority: messaging.Low, Dedupe: true}
	for name, c := range map[string]struct {
		options string
		change  func(*messaging.BulkOptions)
	}{
		"none":   {``, func(*messaging.BulkOptions) {}},
		"nulls":  {`,"pace":{},"dedupe":true,"priority":"low","on_invalid":"reject"`, func(*messaging.BulkOptions) {}},
		"a time": {`,"send_at":"` + tomorrow.Format(time.RFC3339) + `"`, func(o *messaging.BulkOptions) { o.SendAt = tomorrow }},
		"a time of a place": {
			`,"send_at":"` + tomorrow.In(zone).Format("2006-01-02T15:04:05") + `","time_zone":"America/Sao_Paulo"`,
			func(o *messaging.BulkOptions) { o.SendAt, o.TimeZone = tomorrow.In(zone), "America/Sao_Paulo" },
		},
		"all": {
			`,"pace":{"min_gap_ms":1500,"jitter_ms":500,"per_hour":60},"quiet_hours":{"from":"21:00","to":"08:00"},"time_zone":"America/Sao_Paulo",` +
				`"dedupe":false,"dedupe_window":"7d","frequency_cap":{"max":2,"per":"24h"},"priority":"high","on_invalid":"skip","expires_in":"2h",` +
				`"sandbox":{"outcome":"delivered"}`,
			func(o *messaging.BulkOptions) {
				o.Pace = &messaging.BulkPace{MinGap: 1500 * time.Millisecond, Jitter: 500 * time.Millisecond, PerHour: 60}
				o.QuietHours = &messaging.BulkQuiet{From: "21:00", To: "08:00", TimeZone: "America/Sao_Paulo"}
				o.TimeZone, o.Dedupe, o.DedupeWindow = "America/Sao_Paulo", false, 7*24*time.Hour
				o.FrequencyCap = &messaging.FrequencyCap{Max: 2, Per: 24 * time.Hour}
				o.Priority, o.SkipInvalid, o.ExpiresIn = messaging.High, true, 2*time.Hour
				o.Sandbox = &messaging.Override{Outcome: "delivered"}
			},
		},
		"a zone of their own": {
			`,"quiet_hours":{"from":"21:00","to":"08:00","time_zone":"Europe/Lisbon"},"time_zone":"America/Sao_Paulo"`,
			func(o *messaging.BulkOptions) {
				o.TimeZone = "America/Sao_Paulo"
				o.QuietHours = &messaging.BulkQuiet{From: "21:00", To: "08:00", TimeZone: "Europe/Lisbon"}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h.Expect(t, post("/v1/instances/one/bulk", token, head+c.options+"}"), http.StatusAccepted, "")
			want := usual
			c.change(&want)
			got := h.bulks.last(t).Options
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

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

// A bulk over several instances is refused whole when one of them may not be
// used, and the same one counts once.
func TestABulkNamesItsInstances(t *testing.T) {
	h := open(t)
	one, two := h.instance(t, "one"), h.instance(t, "two")
	h.instance(t, "other")
	all, locked := h.key(t, bulkScopes...), h.locked(t, bulkScopes, one.ID, two.ID)
	body := func(refs ...string) string {
		list, _ := json.Marshal(refs)
		return `{"instances":` + string(list) + `,"message":{"text":"a"},"recipients":[{"to":"5511912345678"}]}`
	}
	for name, c := range map[string]struct {
		token string
		refs  []string
		code  string
		want  []string
	}{
		"ids and names":    {all, []string{"one", two.ID, one.ID, "two"}, "", []string{one.ID, two.ID}},
		"locked":           {locked, []string{two.ID, "one"}, "", []string{two.ID, one.ID}},
		"outside the lock": {locked, []string{"one", "other"}, "INSTANCE_NOT_ALLOWED", nil},
		"unknown, locked":  {locked, []string{"one", "nobody"}, "INSTANCE_NOT_ALLOWED", nil},
		"unknown":          {all, []string{"one", "nobody"}, "INSTANCE_NOT_FOUND", nil},
		"strange":          {all, []string{"one", "\x00"}, "INSTANCE_NOT_FOUND", nil},
		"none":             {all, []string{}, "VALIDATION_FAILED", nil},
	} {
		t.Run(name, func(t *testing.T) {
			status := map[string]int{"": 202, "INSTANCE_NOT_ALLOWED": 403, "INSTANCE_NOT_FOUND": 404, "VALIDATION_FAILED": 422}[c.code]
			before := h.bulks.stored()
			answer := h.Expect(t, post("/v1/bulk", c.token, body(c.refs...)), status, c.code)
			if c.code == "" {
				if diff := cmp.Diff(data[shown](t, answer).Instances, c.want); diff != "" {
					t.Errorf("instances (-got +want):\n%s", diff)
				}
			} else if h.bulks.stored() != before {
				t.Error("it was stored")
			}
		})
	}
	r := gatewaytest.Request{Method: http.MethodPost, Path: "/v1/bulk", Token: all}
	r.Body, r.Header = form(t, part{"file", "", "", "to\n5511912345678\n"}, part{"message", "", "", `{"text":"a"}`}, part{"instances", "", "", "one, two"})
	if diff := cmp.Diff(data[shown](t, h.Expect(t, r, http.StatusAccepted, "")).Instances, []string{one.ID, two.ID}); diff != "" {
		t.Errorf("instances of a form (-got +want):\n%s", diff)
	}
	// What a locked key cannot see wholly does not exist for it.
	seen := len(data[[]shown](t, h.Expect(t, get("/v1/bulk", locked), http.StatusOK, "")))
	spread := data[shown](t, h.Expect(t, post("/v1/bulk", all, body("one", "other")), http.StatusAccepted, ""))
	h.Expect(t, get("/v1/bulk/"+spread.ID, locked), http.StatusNotFound, "NOT_FOUND")
	h.Expect(t, get("/v1/bulk/"+spread.ID+"/recipients", locked), http.StatusNotFound, "NOT_FOUND")
	h.Expect(t, post("/v1/bulk/"+spread.ID+"/pause", locked, ""), http.StatusNotFound, "NOT_FOUND")
	if now := len(data[[]shown](t, h.Expect(t, get("/v1/bulk", locked), http.StatusOK, ""))); now != seen {
		t.Errorf("%d bulks, there were %d", now, seen)
	}
}

// A dry run answers, stores nothing, pays nothing and takes no Idempotency-Key:
// the same request without it still runs.
func TestADryRunLeavesNothing(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	_, token := h.Mint(t, auth.NewKey{
		Environment: messaging.Test, Scopes: bulkScopes, AllInstances: true, RatePerMinute: 60, RateBurst: 20, MessagesPerMinute: 1800,
	})
	body := `{"message":{"image":{"base64":"` + b64(pngFile) + `","caption":"{{a}}"}},"recipients":[{"to":"x"}` + strings.Repeat(`,{"to":"5511912345678"}`, 250) + `]}`
	r := post("/v1/instances/one/bulk?dry_run=true", token, body)
	r.Header = map[string]string{"Idempotency-Key": "k"}
	answer := h.Expect(t, r, http.StatusOK, "")
	type rehearsal struct {
		Accepted               bool
		Total, Valid, Invalid  int
		Outcomes               map[string]int
		Faults                 []map[string]any
		DurationSeconds        float64 `json:"duration_seconds"`
		Tokens                 map[string]int
		StartsAt, EndsAt, Name string
	}
	got := data[rehearsal](t, answer)
	want := rehearsal{
		Total: 251, Valid: 250, Invalid: 1, Outcomes: map[string]int{"read": 250}, DurationSeconds: 90, Tokens: map[string]int{"requests": 4, "messages": 250},
		Faults: []map[string]any{{"row": 1., "line": nil, "column": "to", "code": "INVALID_RECIPIENT", "message": "The recipient cannot be."}},
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if left := answer.Header.Get("X-RateLimit-Remaining"); left != "19" {
		t.Errorf("%s tokens are left of 20", left)
	}
	r.Path = "/v1/instances/one/bulk"
	r.Body = strings.Replace(body, `{"to":"x"},`, "", 1)
	made := data[shown](t, h.Expect(t, r, http.StatusAccepted, ""))
	again := h.Expect(t, r, http.StatusAccepted, "")
	if data[shown](t, again).ID != made.ID || again.Header.Get("Idempotent-Replayed") != "true" || h.bulks.stored() != 1 {
		t.Errorf("the repeat is another bulk: %s", again.Body)
	}
	if n := h.files(t); n != 1 {
		t.Errorf("%d files were kept for one bulk", n)
	}
	h.Expect(t, post("/v1/instances/one/bulk?dry_run=yes", token, r.Body), http.StatusBadRequest, "BAD_REQUEST")
}

// One upload is one bulk, also when it comes as a form with another boundary;
// another one under the same key is refused.
func TestOneIdempotencyKeyIsOneUpload(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	token := h.key(t, bulkScopes...)
	send := func(file, message string) gatewaytest.Request {
		r := gatewaytest.Request{Method: http.MethodPost, Path: "/v1/instances/one/bulk", Token: token}
		r.Body, r.Header = form(t, part{"file", "a.csv", "", file}, part{"message", "", "", message})
		r.Header["Idempotency-Key"] = "k"
		return r
	}
	first := data[shown](t, h.Expect(t, send("to\n5511912345678\n", `{"text":"a"}`), http.StatusAccepted, ""))
	again := h.Expect(t, send("to\n5511912345678\n", `{"text":"a"}`), http.StatusAccepted, "")
	if data[shown](t, again).ID != first.ID || h.bulks.stored() != 1 {
		t.Errorf("the repeat is another bulk: %s", again.Body)
	}
	h.Expect(t, send("to\n5511912345679\n", `{"text":"a"}`), http.StatusUnprocessableEntity, "IDEMPOTENCY_KEY_REUSED")
	h.Expect(t, send("to\n5511912345678\n", `{"text":"b"}`), http.StatusUnprocessableEntity, "IDEMPOTENCY_KEY_REUSED")
	other := post("/v1/instances/one/bulk", token, `{"message":{"text":"a"},"recipients":[{"to":"5511912345678"}]}`)
	other.Header = map[string]string{"Idempotency-Key": "k"}
	h.Expect(t, other, http.StatusUnprocessableEntity, "IDEMPOTENCY_KEY_REUSED")
	other.Header["Idempotency-Key"] = "j"
	h.Expect(t, other, http.StatusAccepted, "")
	other.Body = strings.Replace(other.Body, "678", "679", 1)
	h.Expect(t, other, http.StatusUnprocessableEntity, "IDEMPOTENCY_KEY_REUSED")
}

// A bulk costs a token for each hundred recipients, as far as the key's bucket
// can hold them, and one message for each; who has not so much is told when to
// come back, or that it never can be.
func TestABulkIsPaidBeforeItIsStored(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	mint := func(burst, messages int64) string {
		_, token := h.Mint(t, auth.NewKey{
			Environment: messaging.Test, Scopes: bulkScopes, AllInstances: true, RatePerMinute: 60, RateBurst: burst, MessagesPerMinute: messages,
		})
		return token
	}
	send := func(token string, n int) gatewaytest.Request {
		return post("/v1/instances/one/bulk", token, `{"message":{"text":"a"},"recipients":[`+strings.Repeat(`{"to":"5511912345678"},`, n-1)+`{"to":"5511912345678"}]}`)
	}
	// 1 for the request and 3 for 201 recipients leave 16 of 20.
	rich := mint(20, 0)
	if left := h.Expect(t, send(rich, 201), http.StatusAccepted, "").Header.Get("X-RateLimit-Remaining"); left != "16" {
		t.Errorf("%s tokens are left of 20", left)
	}
	// The whole bucket, and no more, however many there are.
	if left := h.Expect(t, send(mint(5, 0), 5000), http.StatusAccepted, "").Header.Get("X-RateLimit-Remaining"); left != "0" {
		t.Errorf("%s tokens are left of 5", left)
	}
	if h.Expect(t, send(mint(1, 0), 5000), http.StatusAccepted, ""); h.bulks.stored() != 3 {
		t.Errorf("%d bulks", h.bulks.stored())
	}
	spent := mint(5, 0)
	h.Expect(t, get("/v1/me", spent), http.StatusOK, "")
	refused := h.Expect(t, send(spent, 5000), http.StatusTooManyRequests, "RATE_LIMITED")
	if after := refused.Header.Get("Retry-After"); after != "1" && after != "2" {
		t.Errorf("Retry-After %q", after)
	}
	// 1,800 a minute let 300 through at once.
	slow := mint(50, 1800)
	never := h.Expect(t, send(slow, 301), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	if diff := cmp.Diff(fieldsOf(t, never), []string{"recipients:max"}); diff != "" || !strings.Contains(string(never.Body), `"limit":300`) {
		t.Errorf("%s%s", never.Body, diff)
	}
	accepted := h.Expect(t, send(slow, 200), http.StatusAccepted, "")
	if !strings.Contains(accepted.Header.Get("RateLimit"), `"messages";r=100`) {
		t.Errorf("RateLimit: %s", accepted.Header.Get("RateLimit"))
	}
	later := h.Expect(t, send(slow, 250), http.StatusTooManyRequests, "RATE_LIMITED")
	if after := later.Header.Get("Retry-After"); after == "" || after == "0" {
		t.Errorf("Retry-After %q", after)
	}
	if h.bulks.stored() != 4 {
		t.Errorf("%d bulks were stored", h.bulks.stored())
	}
}

// The file of a message is brought and kept once, and not at all for a bulk that
// is refused.
func TestTheFileOfABulkIsKeptOnce(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	h.instance(t, "two")
	token := h.key(t, bulkScopes...)
	image := `"message":{"image":{"base64":"` + b64(pngFile) + `"},"caption":"Olá {{name}}"}`
	made := data[shown](t, h.Expect(t, post("/v1/bulk", token,
		`{"instances":["one","two"],`+image+`,"recipients":[{"to":"5511912345678"},{"to":"5511912345679"}]}`), http.StatusAccepted, ""))
	id, _ := made.Message["media_id"].(string)
	if h.files(t) != 1 || !messaging.ValidID(messaging.MediaPrefix, id) || made.Message["caption"] != "Olá {{name}}" {
		t.Errorf("%d files, message %v", h.files(t), made.Message)
	}
	h.Expect(t, post("/v1/instances/one/bulk", token, `{`+image+`,"recipients":[{"to":"nobody"}]}`), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	h.Expect(t, post("/v1/instances/one/bulk", token, `{"message":{"image":{"media_id":"`+id+`"}},"recipients":[{"to":"5511912345678"}]}`), http.StatusAccepted, "")
	if h.files(t) != 1 {
		t.Errorf("%d files", h.files(t))
	}
}

func TestABulkIsSteered(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	token := h.key(t, bulkScopes...)
	id := data[shown](t, h.Expect(t, post("/v1/instances/one/bulk", token, `{"message":{"text":"a"},"recipients":[{"to":"5511912345678"}]}`), http.StatusAccepted, "")).ID
	for _, step := range []struct{ ask, state, refused string }{
		{"pause", "paused", ""}, {"pause", "", "paused"}, {"retry-failed", "", "paused"}, {"resume", "running", ""}, {"resume", "", "running"},
		{"retry-failed", "running", ""}, {"cancel", "canceled", ""}, {"cancel", "", "canceled"}, {"resume", "", "canceled"},
	} {
		r := post("/v1/bulk/"+id+"/"+step.ask, token, "")
		if step.refused == "" {
			if got := data[shown](t, h.Expect(t, r, http.StatusOK, "")); got.State != step.state {
				t.Errorf("%s: %s", step.ask, got.State)
			}
			continue
		}
		if answer := h.Expect(t, r, http.StatusConflict, "CONFLICT"); !strings.Contains(string(answer.Body), `"state":"`+step.refused+`"`) {
			t.Errorf("%s: %s", step.ask, answer.Body)
		}
	}
	h.Expect(t, post("/v1/bulk/blk_1/pause", token, ""), http.StatusNotFound, "NOT_FOUND")
	h.Expect(t, get("/v1/bulk/"+strings.Replace(id, "blk_", "msg_", 1), token), http.StatusNotFound, "NOT_FOUND")
}

// An estimate is shown where there is one.
func TestABulkShowsItsEstimatedEnd(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	token := h.key(t, bulkScopes...)
	h.bulks.end = time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	answer := h.Expect(t, post("/v1/instances/one/bulk", token, `{"message":{"text":"a"},"recipients":[{"to":"5511912345678"}]}`), http.StatusAccepted, "")
	const want = `"estimated_completion_at":"2027-01-31T12:00:00.000Z"`
	id := data[shown](t, answer).ID
	for _, answer := range []gatewaytest.Response{answer, h.Do(t, get("/v1/bulk/"+id, token)), h.Do(t, get("/v1/bulk", token))} {
		if !strings.Contains(string(answer.Body), want) {
			t.Errorf("no estimate in %s", answer.Body)
		}
	}
	if ended := h.Do(t, post("/v1/bulk/"+id+"/cancel", token, "")); strings.Contains(string(ended.Body), want) {
		t.Errorf("an estimate of what has ended: %s", ended.Body)
	}
}
