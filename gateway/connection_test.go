package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"image/png"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/auth"
	"portaria/gateway"
	"portaria/gateway/gatewaytest"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/sandbox"
)

// Every act of an owner is accepted and shown as the instance it leads to.
func TestActsOnAConnection(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:manage")
	for _, c := range []struct {
		act   string
		state messaging.InstanceState
	}{
		{"disconnect", messaging.InstanceDisconnected},
		{"connect", messaging.InstancePairing},
		{"restart", messaging.InstanceConnecting},
		{"logout", messaging.InstanceLoggedOut},
	} {
		i := h.instance(t, "i-"+c.act)
		if c.act == "connect" {
			i = h.unpaired(t, "new")
		}
		answer := h.Expect(t, post("/v1/instances/"+i.Name+"/"+c.act, token, ""), http.StatusAccepted, "")
		got := data[struct {
			ID    string
			State messaging.InstanceState
		}](t, answer)
		if got.ID != i.ID || got.State != c.state {
			t.Errorf("%s: %s is %s, want %s", c.act, got.ID, got.State, c.state)
		}
	}
}

// Codes link phones: who may only read instances must not see one.
func TestCodesAreForThoseWhoManage(t *testing.T) {
	h := open(t)
	i := h.unpaired(t, "new")
	h.Expect(t, post("/v1/instances/new/connect", h.key(t, "whatsapp:manage"), ""), http.StatusAccepted, "")
	reader := h.key(t, "whatsapp:read", "messages:read", "whatsapp:send", "events:read")
	h.Expect(t, get("/v1/instances/"+i.ID+"/qr", reader), http.StatusForbidden, "INSUFFICIENT_SCOPE")
	h.Expect(t, post("/v1/instances/"+i.ID+"/pairing-code", reader, `{"phone":"+5511912345678"}`), http.StatusForbidden, "INSUFFICIENT_SCOPE")
	h.Expect(t, post("/v1/instances/"+i.ID+"/pairing-links", reader, `{}`), http.StatusForbidden, "INSUFFICIENT_SCOPE")
}

func TestQRComesInTheFormThatIsAskedFor(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:manage")
	h.unpaired(t, "new")
	ask := func(accept string) gatewaytest.Request {
		r := get("/v1/instances/new/qr", token)
		if accept != "" {
			r.Header = map[string]string{"Accept": accept}
		}
		return r
	}
	h.Expect(t, ask(""), http.StatusConflict, "INSTANCE_NOT_PAIRING")
	h.Expect(t, ask("image/png"), http.StatusConflict, "INSTANCE_NOT_PAIRING")
	h.Expect(t, post("/v1/instances/new/connect", token, ""), http.StatusAccepted, "")

	for accept, want := range map[string]string{
		"":                               "application/json",
		"*/*":                            "application/json",
		"application/xml":                "application/json",
		"application/json, image/png":    "application/json",
		"image/png":                      "image/png",
		"image/avif,image/webp,*/*;q=.8": "application/json",
		"image/avif,image/svg+xml,image/*,*/*;q=0.8": "image/png",
		"image/svg+xml":                     "image/svg+xml",
		"text/plain":                        "text/plain",
		"text/plain;q=0.4, image/png;q=0.5": "image/png",
		"image/png;q=7":                     "application/json",
	} {
		answer := h.Expect(t, ask(accept), http.StatusOK, "")
		if got, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";"); got != want {
			t.Errorf("Accept %q got %s, want %s", accept, got, want)
		}
		if got := answer.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Accept %q: Cache-Control is %q; a code must not be kept", accept, got)
		}
	}
	shown := data[struct {
		Code, PNG, State string
		ExpiresAt        time.Time `json:"expires_at"`
	}](t, h.Expect(t, ask(""), http.StatusOK, ""))
	if shown.Code != h.URL()+gateway.ScanPath+firstToken || shown.State != "pairing" || time.Until(shown.ExpiresAt) <= 0 {
		t.Errorf("got %+v", shown)
	}
	encoded, ok := strings.CutPrefix(shown.PNG, "data:image/png;base64,")
	picture, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil {
		t.Fatalf("no picture in %.40s: %v", shown.PNG, err)
	}
	if same := h.Expect(t, ask("image/png"), http.StatusOK, "").Body; !bytes.Equal(same, picture) {
		t.Error("JSON and PNG show different pictures")
	}
	if _, err := png.Decode(bytes.NewReader(picture)); err != nil {
		t.Error(err)
	}
	if text := string(h.Expect(t, ask("text/plain"), http.StatusOK, "").Body); !strings.Contains(text, "▀") || strings.Count(text, "\n") < 12 {
		t.Errorf("no code for a terminal:\n%s", text)
	}
	h.scan(h.world.instances[0].ID)
	h.Expect(t, ask(""), http.StatusConflict, "INSTANCE_ALREADY_CONNECTED")
}

// event is one of a stream.
type event struct {
	name string
	data map[string]any
}

// stream reads the events of a QR's stream until it ends.
func (h *house) stream(t *testing.T, token, instance string) <-chan event {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL()+"/v1/instances/"+instance+"/qr", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", "text/event-stream")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s, %s", answer.Status, answer.Header.Get("Content-Type"))
	}
	told := make(chan event)
	go func() {
		defer close(told)
		defer answer.Body.Close()
		lines, e := bufio.NewScanner(answer.Body), event{}
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				e.name = value
			case "data":
				e.data = nil
				if err := json.Unmarshal([]byte(value), &e.data); err != nil {
					t.Errorf("data of %s: %v", e.name, err)
				}
			case "":
				select {
				case told <- e:
				case <-ctx.Done():
				}
			}
		}
	}()
	return told
}

func heard(t *testing.T, told <-chan event) event {
	t.Helper()
	select {
	case e := <-told:
		return e
	case <-time.After(patience):
		t.Fatal("the stream is silent")
		return event{}
	}
}

// The stream shows each code once and then tells how it ended.
func TestStreamTellsEveryCodeAndTheEnd(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(h *house, id string)
		want string
	}{
		"connected": {func(h *house, id string) { h.scan(id) }, "connected"},
		"timed out": {func(h *house, id string) { h.timeOut(id) }, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			token, i := h.key(t, "whatsapp:manage"), h.unpaired(t, "new")
			h.Expect(t, post("/v1/instances/new/connect", token, ""), http.StatusAccepted, "")
			told := h.stream(t, token, "new")
			if e := heard(t, told); e.name != "qr" || e.data["code"] != h.URL()+gateway.ScanPath+firstToken || e.data["png"] == "" {
				t.Fatalf("first: %+v", e)
			}
			h.show(i.ID, sandbox.LinkQR("second"))
			if e := heard(t, told); e.name != "qr" || e.data["code"] != h.URL()+gateway.ScanPath+"second" {
				t.Fatalf("second: %+v", e)
			}
			c.end(h, i.ID)
			e := heard(t, told)
			if e.name != c.want {
				t.Fatalf("the end: %+v", e)
			}
			if c.want == "connected" && e.data["id"] != i.ID || c.want == "failed" && e.data["state_reason"] != "pairing_timeout" {
				t.Errorf("the end says %v", e.data)
			}
			if e, more := <-told; more {
				t.Errorf("after the end: %+v", e)
			}
			waitFor(t, "the watch to stop", func() bool { return h.watched() == 0 })
		})
	}
}

// A stream must not show codes to a key that was revoked, nor hold up a stop,
// nor outlive its reader.
func TestStreamsEndWithTheirKeyAndTheServer(t *testing.T) {
	h := open(t)
	h.unpaired(t, "new")
	id, token := h.Mint(t, auth.NewKey{Environment: messaging.Test, Scopes: []string{"*"}, AllInstances: true})
	h.Expect(t, post("/v1/instances/new/connect", token, ""), http.StatusAccepted, "")
	revoked, stopped := h.stream(t, token, "new"), h.stream(t, h.key(t, "*"), "new")
	heard(t, revoked)
	heard(t, stopped)
	h.Revoke(t, id)
	for range revoked { // ends
	}
	began := time.Now()
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > lastStop {
		t.Errorf("the stop took %v", took)
	}
	for range stopped {
	}
	waitFor(t, "the watches to stop", func() bool { return h.watched() == 0 })
}

// One key that opens streams without end must leave some to the others.
func TestOneKeyCannotTakeAllStreams(t *testing.T) {
	h := open(t)
	token, other := h.key(t, "*"), h.key(t, "*")
	h.unpaired(t, "new")
	h.Expect(t, post("/v1/instances/new/connect", token, ""), http.StatusAccepted, "")
	const each = 20
	for range each {
		h.stream(t, token, "new")
	}
	refused := h.Expect(t, gatewaytest.Request{
		Method: http.MethodGet, Path: "/v1/instances/new/qr", Token: token, Header: map[string]string{"Accept": "text/event-stream"},
	}, http.StatusServiceUnavailable, "UNAVAILABLE")
	if refused.Header.Get("Retry-After") == "" {
		t.Error("who was refused is not told when to come back")
	}
	h.stream(t, other, "new")
}

// HEAD asks for a stream's headers; nobody would read the stream.
func TestHeadOpensNoStream(t *testing.T) {
	h := open(t)
	token := h.key(t, "*")
	h.unpaired(t, "new")
	h.Expect(t, post("/v1/instances/new/connect", token, ""), http.StatusAccepted, "")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, h.URL()+"/v1/instances/new/qr", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", "text/event-stream")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK || h.watched() != 0 {
		t.Errorf("%s, %d watch", answer.Status, h.watched())
	}
}

func TestPairingByCode(t *testing.T) {
	h := open(t)
	token, i := h.key(t, "whatsapp:manage"), h.unpaired(t, "new")
	path := "/v1/instances/new/pairing-code"
	for _, body := range []string{`{}`, `{"phone":""}`, `{"phone":"12"}`, `{"phone":"120363000000000000@g.us"}`, `{"phone":"call me"}`} {
		h.Expect(t, post(path, token, body), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	}
	if h.begun() != 0 {
		t.Error("a refused request began a pairing")
	}
	type answer struct{ Code string }
	got := data[answer](t, h.Expect(t, post(path, token, `{"phone":"+55 11 91234-5678"}`), http.StatusOK, ""))
	if diff := cmp.Diff(answer{"ABCD-1234"}, got); diff != "" {
		t.Error(diff)
	}
	if phone := h.change(i.ID, func(*messaging.Instance) {}).PairPhone; phone != "5511912345678" {
		t.Errorf("the pairing is for %q", phone)
	}
	// The same phone again is shown the code that runs; the network is not asked anew.
	h.Expect(t, post(path, token, `{"phone":"5511912345678"}`), http.StatusOK, "")
	if h.begun() != 1 {
		t.Errorf("%d pairings were begun", h.begun())
	}
	h.Expect(t, get("/v1/instances/new/qr", token), http.StatusConflict, "INSTANCE_NOT_PAIRING")
	h.scan(i.ID)
	h.Expect(t, post(path, token, `{"phone":"5511912345678"}`), http.StatusConflict, "INSTANCE_ALREADY_CONNECTED")
	h.change(i.ID, func(i *messaging.Instance) { i.State = messaging.InstanceDisconnected })
	h.Expect(t, post(path, token, `{"phone":"5511912345678"}`), http.StatusConflict, "INSTANCE_NOT_PAIRING")
}

// What is kept for an Idempotency-Key lies in the database for a day: codes and
// links must not.
func TestRepeatedRequestsDoNotRepeatSecrets(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:manage")
	h.unpaired(t, "new")
	for path, c := range map[string]struct{ body, secret string }{
		"/v1/instances/new/pairing-code":  {`{"phone":"5511912345678"}`, "code"},
		"/v1/instances/new/pairing-links": {`{"pin":"123456"}`, "url"},
	} {
		request := post(path, token, c.body)
		request.Header = map[string]string{"Idempotency-Key": "once"}
		first, again := h.Do(t, request), h.Do(t, request)
		if first.Status != again.Status || again.Header.Get("Idempotent-Replayed") != "true" {
			t.Fatalf("%s: %d, then %d %s", path, first.Status, again.Status, again.Body)
		}
		secret, _ := data[map[string]any](t, first)[c.secret].(string)
		if secret == "" {
			t.Fatalf("%s: no %s in %s", path, c.secret, first.Body)
		}
		if replayed := data[map[string]any](t, again); replayed[c.secret] != nil {
			t.Errorf("%s: the replay says %v", path, replayed)
		}
		h.mu.Lock()
		for _, kept := range h.claims {
			if bytes.Contains(kept.Body, []byte(secret)) {
				t.Errorf("%s: the secret is kept in %s", path, kept.Body)
			}
		}
		h.mu.Unlock()
	}
}

func TestNumbersAreCheckedInTheirOrder(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	h.instance(t, "a")
	got := data[struct{ Numbers []map[string]any }](t,
		h.Expect(t, post("/v1/instances/a/numbers/check", token, `{"numbers":["+55 11 91234-5678","+15005550009"]}`), http.StatusOK, ""))
	want := []map[string]any{
		{"input": "+55 11 91234-5678", "exists": true, "wa_id": "5511912345678@s.whatsapp.net", "lid": "123@lid"},
		{"input": "+15005550009", "exists": false, "wa_id": nil, "lid": nil},
	}
	if diff := cmp.Diff(want, got.Numbers); diff != "" {
		t.Error(diff)
	}
	many := `{"numbers":["` + strings.Repeat(`+5511912345678","`, 50) + `+5511912345678"]}`
	for _, body := range []string{`{}`, `{"numbers":[]}`, `{"numbers":["x"]}`, `{"numbers":["120363000000000000@g.us"]}`, many} {
		h.Expect(t, post("/v1/instances/a/numbers/check", token, body), http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	}
	h.unpaired(t, "new")
	h.Expect(t, post("/v1/instances/new/numbers/check", token, `{"numbers":["+5511912345678"]}`), http.StatusConflict, "INSTANCE_NOT_CONNECTED")
}

func TestPaceIsShown(t *testing.T) {
	h := open(t)
	h.instance(t, "a")
	h.world.pace = outbox.PaceState{UsedHour: 3, UsedDay: 40, NextAt: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), Waiting: 7}
	got := data[map[string]any](t, h.Expect(t, get("/v1/instances/a/pace", h.key(t, "whatsapp:read")), http.StatusOK, ""))
	want := map[string]any{"used_hour": 3.0, "used_day": 40.0, "next_at": "2026-01-31T12:00:00.000Z", "waiting": 7.0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
