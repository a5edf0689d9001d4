package gateway_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/gateway/gatewaytest"
	"portaria/messaging"
)

// bulkOf accepts a bulk with these rows and returns its id.
func (h *house) bulkOf(t *testing.T, token, rows string) string {
	t.Helper()
	return data[shown](t, h.Expect(t, post("/v1/instances/one/bulk", token,
		`{"message":{"text":"a"},"on_invalid":"skip","recipients":[`+rows+`]}`), http.StatusAccepted, "")).ID
}

// table asks for a bulk's results as CSV.
func (h *house) table(t *testing.T, token, path string) [][]string {
	t.Helper()
	r := get(path, token)
	r.Header = map[string]string{"Accept": "text/csv"}
	answer := h.Expect(t, r, http.StatusOK, "")
	if got := answer.Header.Get("Content-Type"); got != "text/csv; charset=utf-8" || !strings.Contains(answer.Header.Get("Content-Disposition"), ".csv") {
		t.Errorf("Content-Type %s, Content-Disposition %s", got, answer.Header.Get("Content-Disposition"))
	}
	rows, err := csv.NewReader(strings.NewReader(string(answer.Body))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestRecipientsAreListedInTheirOrder(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	token := h.key(t, bulkScopes...)
	var rows []string
	for n := range 25 {
		to := fmt.Sprintf("+55119%08d", n)
		if n%10 == 3 {
			to = "nobody"
		}
		rows = append(rows, `{"to":"`+to+`","variables":{"name":"n"}}`)
	}
	id := h.bulkOf(t, token, strings.Join(rows, ","))
	seen, cursor := 0, ""
	for {
		answer := h.Expect(t, get("/v1/bulk/"+id+"/recipients?limit=10&cursor="+cursor, token), http.StatusOK, "")
		for _, r := range data[[]struct{ Row int }](t, answer) {
			if seen++; r.Row != seen {
				t.Fatalf("row %d came as %d", r.Row, seen)
			}
		}
		if cursor = nextOf(t, answer); cursor == "" {
			break
		}
	}
	if seen != 25 {
		t.Errorf("%d rows of 25", seen)
	}
	skipped := data[[]struct {
		Row   int
		Error struct{ Code string }
	}](t, h.Expect(t, get("/v1/bulk/"+id+"/recipients?status=skipped", token), http.StatusOK, ""))
	if len(skipped) != 3 || skipped[1].Row != 14 || skipped[1].Error.Code != "INVALID_RECIPIENT" {
		t.Errorf("skipped: %+v", skipped)
	}
	for _, query := range []string{"status=received", "status=gone", "cursor=x", "limit=0", "page=2"} {
		h.Expect(t, get("/v1/bulk/"+id+"/recipients?"+query, token), http.StatusBadRequest, "BAD_REQUEST")
	}
}

// nextOf is the cursor of the next page.
func nextOf(t *testing.T, answer gatewaytest.Response) string {
	t.Helper()
	_, rest, _ := strings.Cut(string(answer.Body), `"page":{"next":`)
	rest, _, _ = strings.Cut(rest, ",")
	return strings.Trim(strings.TrimPrefix(rest, "null"), `"`)
}

// The table has every row and variable, and nothing in it is a formula.
func TestResultsComeAsATable(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	token := h.key(t, bulkScopes...)
	id := h.bulkOf(t, token, `{"to":"+55 11 91234-5678","variables":{"name":"=HYPERLINK(\"x\")","to":"-1"}},`+
		`{"to":"@SUM(1)","variables":{"=cmd":"a, \"b\"\nc","name":"+5511","status":"+a"}},{"to":"5511912345679"}`)
	h.bulks.mu.Lock()
	at := time.Date(2026, 1, 31, 12, 0, 0, 5e6, time.UTC)
	h.bulks.rows[id][0].Status, h.bulks.rows[id][0].MessageID, h.bulks.rows[id][0].InstanceID = "read", "msg_1", "ins_1"
	h.bulks.rows[id][0].State = messaging.State{SentAt: at, DeliveredAt: at.Add(time.Second), ReadAt: at.Add(time.Minute)}
	h.bulks.mu.Unlock()
	path := "/v1/bulk/" + id + "/recipients"
	want := [][]string{
		{
			"row", "to", "wa_id", "status", "error_code", "error_message", "message_id", "instance_id", "sent_at", "delivered_at", "read_at", "failed_at",
			"name", "variable_to", "'=cmd", "variable_status",
		},
		{
			"1", "+55 11 91234-5678", "5511912345678@s.whatsapp.net", "read", "", "", "msg_1", "ins_1",
			"2026-01-31T12:00:00.005Z", "2026-01-31T12:00:01.005Z", "2026-01-31T12:01:00.005Z", "", "'=HYPERLINK(\"x\")", "'-1", "", "",
		},
		{"2", "'@SUM(1)", "", "skipped", "INVALID_RECIPIENT", "The recipient cannot be.", "", "", "", "", "", "", "+5511", "", "a, \"b\"\nc", "'+a"},
		{"3", "5511912345679", "5511912345679@s.whatsapp.net", "queued", "", "", "", "", "", "", "", "", "", "", "", ""},
	}
	if diff := cmp.Diff(h.table(t, token, path), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if rows := h.table(t, token, path+"?status=read&limit=1"); len(rows) != 2 || rows[1][0] != "1" || len(rows[0]) != 14 {
		t.Errorf("those that were read: %q", rows)
	}
}

// A long table is read page by page; should the database fail, the caller is
// told, or notices that the table has no end.
func TestALongTableIsWholeOrBroken(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	token := h.key(t, bulkScopes...)
	const n = 2500
	id := h.bulkOf(t, token, strings.Repeat(`{"to":"5511912345678","variables":{"a":"b"}},`, n-1)+`{"to":"5511912345678","variables":{"c":"d"}}`)
	path := "/v1/bulk/" + id + "/recipients"
	rows := h.table(t, token, path)
	if len(rows) != n+1 || rows[n][0] != "2500" || rows[n][13] != "d" {
		t.Errorf("%d rows, the last %q", len(rows), rows[len(rows)-1])
	}
	reads, failAt := 0, 2
	h.bulks.broken = func(after int64) error {
		if reads++; reads == failAt {
			return errors.New("the disk is gone")
		}
		return nil
	}
	r := get(path, token)
	r.Header = map[string]string{"Accept": "text/csv"}
	h.Expect(t, r, http.StatusInternalServerError, "INTERNAL")
	reads, failAt = 0, 5 // three pages to find the variables, then the second of the table
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/csv")
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := csv.NewReader(answer.Body).ReadAll()
	if err == nil {
		t.Errorf("a table of %d rows looks whole", len(all))
	}
}

// Contacts who want no bulks are noted, found however their number is written,
// and forgotten.
func TestOptOutsAreKept(t *testing.T) {
	h := open(t)
	one, two := h.instance(t, "one"), h.instance(t, "two")
	scopes := []string{"contacts:read", "contacts:write"}
	all, locked := h.key(t, scopes...), h.locked(t, scopes, one.ID)
	type optOut struct {
		InstanceID *string `json:"instance_id"`
		To         struct{ Input string }
		Keyword    *string
		KeyID      *string `json:"key_id"`
	}
	list := func(token, query string) int {
		return len(data[[]optOut](t, h.Expect(t, get("/v1/opt-outs?"+query, token), http.StatusOK, "")))
	}
	first := data[optOut](t, h.Expect(t, post("/v1/opt-outs", locked, `{"to":"+55 11 91234-5678","instance_id":"one"}`), http.StatusCreated, ""))
	if first.InstanceID == nil || *first.InstanceID != one.ID || first.KeyID == nil || first.Keyword != nil {
		t.Errorf("noted %+v", first)
	}
	// The same contact without the ninth digit.
	if again := data[optOut](t, h.Expect(t, post("/v1/opt-outs", all, `{"to":"551112345678","instance_id":"`+one.ID+`"}`), http.StatusCreated, "")); again.To.Input != "+55 11 91234-5678" {
		t.Errorf("noted again as %+v", again)
	}
	h.Expect(t, post("/v1/opt-outs", all, `{"to":"5511912345678"}`), http.StatusCreated, "")
	h.Expect(t, post("/v1/opt-outs", all, `{"to":"5511912345679","instance_id":null}`), http.StatusCreated, "")
	h.Expect(t, post("/v1/opt-outs", all, `{"to":"5511912345678","instance_id":"two"}`), http.StatusCreated, "")
	for _, c := range []struct {
		token, body, code string
		status            int
	}{
		{locked, `{"to":"5511912345678"}`, "KEY_IS_INSTANCE_LOCKED", 403},
		{locked, `{"to":"5511912345678","instance_id":"two"}`, "INSTANCE_NOT_ALLOWED", 403},
		{all, `{"to":"5511912345678","instance_id":"nobody"}`, "INSTANCE_NOT_FOUND", 404},
		{all, `{"to":"nobody"}`, "INVALID_RECIPIENT", 422},
		{all, `{"to":"","instance_id":""}`, "VALIDATION_FAILED", 422},
		{all, `{"phone":"5511912345678"}`, "VALIDATION_FAILED", 422},
	} {
		h.Expect(t, post("/v1/opt-outs", c.token, c.body), c.status, c.code)
	}
	if a, b, c, d := list(all, ""), list(locked, ""), list(all, "instance=two"), list(all, "to=551112345678"); a != 4 || b != 1 || c != 1 || d != 3 {
		t.Errorf("%d in all, %d for the locked key, %d of two, %d of the contact", a, b, c, d)
	}
	page := h.Expect(t, get("/v1/opt-outs?limit=3", all), http.StatusOK, "")
	if next := nextOf(t, page); next == "" || list(all, "limit=3&cursor="+next) != 1 {
		t.Errorf("the next page of %s", page.Body)
	}
	h.Expect(t, get("/v1/opt-outs?cursor=eA", all), http.StatusBadRequest, "BAD_REQUEST")
	h.Expect(t, get("/v1/opt-outs?instance=two", locked), http.StatusForbidden, "INSTANCE_NOT_ALLOWED")
	remove := func(query, token string, status int, code string) {
		h.Expect(t, gatewaytest.Request{Method: http.MethodDelete, Path: "/v1/opt-outs?" + query, Token: token}, status, code)
	}
	remove("to=5511912345678", locked, 403, "KEY_IS_INSTANCE_LOCKED")
	remove("instance=one", all, 400, "BAD_REQUEST")
	remove("instance=one&to=x", all, 400, "BAD_REQUEST")
	remove("instance=one&to=551112345678", locked, 200, "")
	remove("instance=one&to=551112345678", locked, 404, "NOT_FOUND")
	remove("to=551112345678", all, 200, "")
	if left := list(all, ""); left != 2 || two.ID == "" {
		t.Errorf("%d are left", left)
	}
}

func TestOptOutKeywordsAreCheckedAsSettings(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	token := h.key(t, "whatsapp:manage")
	for _, c := range []struct {
		words string
		want  []string
	}{
		{`["SAIR","não quero mais"]`, nil},
		{`[]`, nil},
		{`null`, nil},
		{`"SAIR"`, []string{"settings.opt_out_keywords:type"}},
		{`["SAIR",5]`, []string{"settings.opt_out_keywords[1]:type"}},
		{`[" ","` + strings.Repeat("é", 41) + `"]`, []string{"settings.opt_out_keywords[0]:length", "settings.opt_out_keywords[1]:length"}},
		{`[` + strings.Repeat(`"a",`, 20) + `"a"]`, []string{"settings.opt_out_keywords:length"}},
	} {
		body := `{"settings":{"opt_out_keywords":` + c.words + `}}`
		for _, r := range []gatewaytest.Request{
			{Method: http.MethodPatch, Path: "/v1/instances/one", Token: token, Body: body},
			{Method: http.MethodPost, Path: "/v1/instances", Token: token, Body: `{"name":"n` + fmt.Sprint(time.Now().UnixNano()) + `",` + body[1:]},
		} {
			answer := h.Do(t, r)
			if refused := answer.Status == http.StatusUnprocessableEntity; refused != (c.want != nil) {
				t.Errorf("%s %s: %d", r.Method, c.words, answer.Status)
			} else if refused {
				if diff := cmp.Diff(fieldsOf(t, answer), c.want); diff != "" {
					t.Errorf("%s %s (-got +want):\n%s", r.Method, c.words, diff)
				}
			}
		}
	}
}
