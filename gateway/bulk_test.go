package gateway_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
		{"pause", "paused", ""},
		{"pause", "", "paused"},
		{"retry-failed", "", "paused"},
		{"resume", "running", ""},
		{"resume", "", "running"},
		{"retry-failed", "running", ""},
		{"cancel", "canceled", ""},
		{"cancel", "", "canceled"},
		{"resume", "", "canceled"},
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

// An estimate is shown where there is one; a list does not look for one.
func TestABulkShowsItsEstimatedEnd(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	token := h.key(t, bulkScopes...)
	h.bulks.end = time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	answer := h.Expect(t, post("/v1/instances/one/bulk", token, `{"message":{"text":"a"},"recipients":[{"to":"5511912345678"}]}`), http.StatusAccepted, "")
	const want = `"estimated_completion_at":"2027-01-31T12:00:00.000Z"`
	id := data[shown](t, answer).ID
	for _, answer := range []gatewaytest.Response{answer, h.Do(t, get("/v1/bulk/"+id, token))} {
		if !strings.Contains(string(answer.Body), want) {
			t.Errorf("no estimate in %s", answer.Body)
		}
	}
	if list := h.Do(t, get("/v1/bulk", token)); !strings.Contains(string(list.Body), `"estimated_completion_at":null`) {
		t.Errorf("a list shows an estimate: %s", list.Body)
	}
	if ended := h.Do(t, post("/v1/bulk/"+id+"/cancel", token, "")); strings.Contains(string(ended.Body), want) {
		t.Errorf("an estimate of what has ended: %s", ended.Body)
	}
}
