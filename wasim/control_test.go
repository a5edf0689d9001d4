package wasim_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"portaria/wasim"
)

// answer is what the control port said.
type answer struct {
	Status  int  `json:"-"`
	Success bool `json:"success"`
	Data    any  `json:"data"`
	Error   struct {
		Code    string         `json:"code"`
		Message string         `json:"message"`
		Details map[string]any `json:"details"`
	} `json:"error"`
}

// ask asks the control port; an empty body is none.
func ask(t testing.TB, s *wasim.Server, method, path, body string, headers ...string) answer {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:7480"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ControlHandler().ServeHTTP(w, r)
	a := answer{Status: w.Code}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%s %s answered %q: %v", method, path, w.Body, err)
	}
	if a.Success != (a.Status == http.StatusOK) || a.Success == (a.Error.Code != "") {
		t.Errorf("%s %s: %+v", method, path, a)
	}
	return a
}

func mustAsk(t testing.TB, s *wasim.Server, method, path, body string) map[string]any {
	t.Helper()
	a := ask(t, s, method, path, body)
	if !a.Success {
		t.Fatalf("%s %s: %+v", method, path, a)
	}
	data, _ := a.Data.(map[string]any)
	return data
}

// TestControlPortDoesWhatGoDoes: the story of a test by HTTP alone.
func TestControlPortDoesWhatGoDoes(t *testing.T) {
	s := start(t, wasim.Options{})
	c := newClient(t, s, newDevice())
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	qr := await[*events.QR](c).Codes[0]
	linked := mustAsk(t, s, "POST", "/scan", `{"phone":"+`+own+`","qr":"`+qr+`"}`)
	if diff := cmp.Diff(map[string]any{"phone": own, "devices": []any{1.0}}, linked); diff != "" {
		t.Errorf("scan (-want +got):\n%s", diff)
	}
	await[*events.Connected](c)

	mustAsk(t, s, "POST", "/contacts/"+friend, `{"name":"Ana","answers":"thanks","reads":false}`)
	id := c.mustText(friend, "hello")
	await(c, receiptFor(id, types.ReceiptTypeDelivered))
	if got := await[*events.Message](c); got.Message.GetConversation() != "thanks" || got.Info.PushName != "Ana" {
		t.Errorf("%s answered %q", got.Info.PushName, got.Message.GetConversation())
	}
	behaviour := mustAsk(t, s, "GET", "/contacts/"+friend, "")
	if diff := cmp.Diff(map[string]any{
		"number": friend, "exists": true, "delivers": true, "reads": false, "plays": false, "blocked": false, "name": "Ana", "answers": "thanks",
	}, behaviour); diff != "" {
		t.Errorf("contact (-want +got):\n%s", diff)
	}

	sent := mustAsk(t, s, "POST", "/inbound", `{"from":"`+friend+`","to":"`+own+`","text":"by the way"}`)
	if got := await[*events.Message](c); got.Info.ID != sent["id"] || got.Message.GetConversation() != "by the way" {
		t.Errorf("inbound %s %q, want %v", got.Info.ID, got.Message.GetConversation(), sent["id"])
	}
	mustAsk(t, s, "POST", "/inbound", `{"from":"`+friend+`","to":"`+own+`","kind":"image","mime_type":"image/png","caption":"look","data":"aGVsbG8="}`)
	image := await[*events.Message](c).Message.GetImageMessage()
	if file, err := c.Download(t.Context(), image); err != nil || string(file) != "hello" || image.GetCaption() != "look" {
		t.Errorf("the client downloaded %q (%s): %v", file, image.GetCaption(), err)
	}
	mustAsk(t, s, "POST", "/inbound", `{"from":"`+friend+`","to":"`+own+`","location":{"latitude":1.5,"longitude":-2,"name":"here"}}`)
	if place := await[*events.Message](c).Message.GetLocationMessage(); place.GetDegreesLatitude() != 1.5 || place.GetDegreesLongitude() != -2 || place.GetName() != "here" {
		t.Errorf("the place is %v", place)
	}
	mustAsk(t, s, "POST", "/inbound", `{"from":"`+friend+`","to":"`+own+`","cards":["BEGIN:VCARD\nFN:Beto\nEND:VCARD"]}`)
	if card := await[*events.Message](c).Message.GetContactMessage(); card.GetDisplayName() != "Beto" {
		t.Errorf("the card is %v", card)
	}
	mustAsk(t, s, "POST", "/inbound", `{"from":"`+friend+`","to":"`+own+`","poll":{"question":"which?","options":["a","b"]}}`)
	if poll := await[*events.Message](c).Message.GetPollCreationMessageV3(); poll.GetName() != "which?" || len(poll.GetOptions()) != 2 {
		t.Errorf("the poll is %v", poll)
	}

	faults := mustAsk(t, s, "POST", "/faults", `{"name":"ack-error","code":463,"count":2}`)
	if diff := cmp.Diff([]any{map[string]any{"name": "ack-error", "code": 463.0, "count": 2.0}}, faults["waiting"]); diff != "" {
		t.Errorf("waiting faults (-want +got):\n%s", diff)
	}
	if _, err := c.text(friend, "refused", ""); err == nil {
		t.Error("the message was taken")
	}
	mustAsk(t, s, "DELETE", "/faults", "")
	mustAsk(t, s, "POST", "/restart", "")
	await[*events.Connected](c, func(*events.Connected) bool { return true })
	c.mustText(friend, "after")
	health := mustAsk(t, s, "GET", "/health", "")
	if health["status"] != "ok" || health["linked"] != 1.0 || health["addr"] != s.Addr() {
		t.Errorf("health %v", health)
	}
}

// TestControlPortLinksByCode.
func TestControlPortLinksByCode(t *testing.T) {
	s := start(t, wasim.Options{})
	c, code := asking(t, s, own)
	mustAsk(t, s, "POST", "/type-code", `{"phone":"`+own+`","code":"`+code+`"}`)
	await[*events.Connected](c)
}

// TestControlPortListsMessages: whom, from whom, after which and how many.
func TestControlPortListsMessages(t *testing.T) {
	const other = "5511955550000"
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	for _, to := range []string{friend, other, friend, friend} {
		c.mustText(to, "to "+to)
	}
	eventually(t, "all are there", func() bool { return len(s.Received()) == 4 })
	second := s.Received()[1].Order
	for query, want := range map[string]int{
		"":                4,
		"?to=" + friend:   3,
		"?to=%2B" + other: 1,
		"?from=" + own:    4,
		"?from=" + friend: 0,
		"?limit=2":        2,
		"?group=1@g.us":   0,
		"?after=" + strconv.FormatUint(second, 10): 2,
		"?to=" + friend + "&from=" + own:           3,
	} {
		a := ask(t, s, "GET", "/messages"+query, "")
		if list, ok := a.Data.([]any); !ok || len(list) != want {
			t.Errorf("%s: %v, want %d", query, a.Data, want)
		}
	}
	list, _ := ask(t, s, "GET", "/messages?to="+other, "").Data.([]any)
	first, _ := list[0].(map[string]any)
	delete(first, "at")
	want := map[string]any{
		"id": s.Received()[1].WAMessageID, "from": own, "device": 1.0, "to": other, "kind": "text", "text": "to " + other,
		"order": float64(second), "retries": 0.0, "copies": 0.0,
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

// TestControlPortRefuses what it does not understand, with a code and a
// sentence, and changes nothing.
func TestControlPortRefuses(t *testing.T) {
	s := start(t, wasim.Options{})
	for _, test := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/", "", 404, "WASIM_NO_SUCH_PATH"},
		{"DELETE", "/scan", "", 405, "WASIM_METHOD"},
		{"POST", "/scan", `{"phone":"5511900000001"`, 400, "WASIM_BODY_INVALID"},
		{"POST", "/scan", `{"phone":"5511900000001","qr":"x","more":1}`, 400, "WASIM_BODY_INVALID"},
		{"POST", "/scan", `{"phone":"5511900000001","phone":"5511900000002"}`, 400, "WASIM_BODY_INVALID"},
		{"POST", "/scan", `{"phone":5511900000001}`, 400, "WASIM_BODY_INVALID"},
		{"POST", "/scan", `{"phone":"x","qr":"x"} {}`, 400, "WASIM_BODY_INVALID"},
		{"POST", "/scan", `{"phone":"x","qr":"x"}`, 422, "WASIM_NUMBER_INVALID"},
		{"POST", "/scan", `{"phone":"5511900000001","qr":"x"}`, 422, "WASIM_QR_INVALID"},
		{"POST", "/scan", `{"phone":"` + strings.Repeat("1", 70_000) + `"}`, 413, "WASIM_BODY_TOO_LARGE"},
		{"POST", "/type-code", `{"phone":"5511900000001","code":"ABCD-EFGH"}`, 404, "WASIM_CODE_UNKNOWN"},
		{"POST", "/inbound", `{"from":"x","to":"5511900000001","text":"hi"}`, 422, "WASIM_NUMBER_INVALID"},
		{"POST", "/inbound", `{"from":"5511900000002","to":"5511900000001","text":"hi"}`, 404, "WASIM_NOT_LINKED"},
		{"POST", "/inbound", `{"from":"5511900000002","to":"5511900000001"}`, 422, "WASIM_INBOUND_INVALID"},
		{"POST", "/inbound", `{"from":"5511900000002","to":"5511900000001","text":"a","kind":"image"}`, 422, "WASIM_INBOUND_INVALID"},
		{"POST", "/inbound", `{"from":"5511900000002","to":"5511900000001","poll":{"question":"a"},"location":{}}`, 422, "WASIM_INBOUND_INVALID"},
		{"POST", "/inbound", `{"from":"5511900000002","to":"5511900000001","cards":[]}`, 422, "WASIM_INBOUND_INVALID"},
		{"GET", "/messages?whom=x", "", 400, "WASIM_QUERY_INVALID"},
		{"GET", "/messages?limit=0", "", 400, "WASIM_QUERY_INVALID"},
		{"POST", "/contacts/x", `{}`, 422, "WASIM_NUMBER_INVALID"},
		{"POST", "/contacts/5511900000001", `{"answers":1}`, 400, "WASIM_BODY_INVALID"},
		{"POST", "/faults", `{"name":"tsunami"}`, 422, "WASIM_FAULT_INVALID"},
		{"POST", "/faults", `{"name":"slow-ack","delay":"soon"}`, 422, "WASIM_FAULT_INVALID"},
	} {
		if got := ask(t, s, test.method, test.path, test.body); got.Status != test.status || got.Error.Code != test.code || got.Error.Message == "" {
			t.Errorf("%s %s %.60s: %d %+v, want %d %s", test.method, test.path, test.body, got.Status, got.Error, test.status, test.code)
		}
	}
	if got := ask(t, s, "POST", "/restart", "", "Sec-Fetch-Site", "cross-site"); got.Status != 403 {
		t.Errorf("a web page restarted the server: %+v", got)
	}
	if got := ask(t, s, "POST", "/scan", `{}`, "Content-Type", "text/plain"); got.Status != 415 {
		t.Errorf("a body of another type: %+v", got)
	}
	if left := s.Faults(); len(left) != 0 {
		t.Errorf("ordered nevertheless: %+v", left)
	}
}

// TestControlPortTakesEqualDurations: each is its own, also when all are the same.
func TestControlPortTakesEqualDurations(t *testing.T) {
	s := start(t, wasim.Options{})
	mustAsk(t, s, "POST", "/faults", `{"name":"slow-ack","delay":"10s","for":"10s"}`)
	mustAsk(t, s, "POST", "/faults", `{"name":"login-failure","code":402,"expire":"1m","for":"1m"}`)
	var got []string
	for _, f := range s.Faults() {
		got = append(got, fmt.Sprintf("%s expire=%s delay=%s for=%s", f.Name, f.Expire, f.Delay, f.For))
	}
	want := []string{"slow-ack expire=0s delay=10s for=10s", "login-failure expire=1m0s delay=0s for=1m0s"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
}

// TestControlPortIsNotReachedByANameOfTheWeb: a page whose name was made to
// point at this machine has the same origin as the port, and only the name
// that it asks for gives it away.
func TestControlPortIsNotReachedByANameOfTheWeb(t *testing.T) {
	s := start(t, wasim.Options{})
	for host, want := range map[string]int{
		"localhost":                   200,
		"localhost:7480":              200,
		"LocalHost:7480":              200,
		"127.0.0.1":                   200,
		"127.1.2.3:7480":              200,
		"[::1]":                       200,
		"[::1]:7480":                  200,
		"":                            403,
		"evil.example":                403,
		"evil.example:7480":           403,
		"localhost.evil.example":      403,
		"127.0.0.1.evil.example":      403,
		"evil.example:127.0.0.1":      403,
		"192.0.2.1:7480":              403,
		"[::ffff:192.0.2.1]:7480":     403,
		"0.0.0.0:7480":                403,
		"localhost:7480:evil":         403,
		"localhost@evil.example:7480": 403,
	} {
		got := ask(t, s, "GET", "/health", "", "Host", host)
		if got.Status != want || (want == 403) != (got.Error.Code == "WASIM_HOST") {
			t.Errorf("Host %q: %d %s, want %d", host, got.Status, got.Error.Code, want)
		}
	}
}

// FuzzControlPort: whatever is sent, the answer is one of its own.
func FuzzControlPort(f *testing.F) {
	f.Add("POST", "/faults", []byte(`{"name":"drop"}`))
	f.Add("POST", "/contacts/5511900000001", []byte(`{"answers":null}`))
	f.Add("POST", "/inbound", []byte(`{"from":"5511900000001","to":"1","data":"####"}`))
	f.Add("GET", "/messages?after=-1", []byte{})
	s, err := wasim.Start(wasim.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	handler := s.ControlHandler()
	f.Fuzz(func(t *testing.T, method, path string, body []byte) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1"+path, bytes.NewReader(body))
		if err != nil || r.URL.Path == "/restart" || r.URL.Host != "127.0.0.1" {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code >= 500 || w.Code < 200 {
			text, _ := io.ReadAll(w.Body)
			t.Errorf("%s %s %q: %d %s", method, path, body, w.Code, text)
		}
	})
}
