package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"portaria/gateway/gatewaytest"
	"portaria/messaging"
	"portaria/store/storetest"
)

// twin is one world as the tests of resets ask it.
type twin struct {
	api *gatewaytest.Client
	key string
}

func (w twin) ask(t *testing.T, method, path, body string, want int) []byte {
	t.Helper()
	answer := w.api.Expect(t, gatewaytest.Request{Method: method, Path: path, Token: w.key, Body: body}, want, "")
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(answer.Body, &envelope); err != nil {
		t.Fatal(err)
	}
	return envelope.Data
}

// shows tells how many rows lists show.
func (w twin) shows(t *testing.T, lists ...string) string {
	t.Helper()
	out := make([]string, len(lists))
	for i, list := range lists {
		var rows []struct{}
		if err := json.Unmarshal(w.ask(t, http.MethodGet, "/v1/"+list+"?limit=200", "", http.StatusOK), &rows); err != nil {
			t.Fatal(err)
		}
		out[i] = fmt.Sprintf("%s %d", list, len(rows))
	}
	return strings.Join(out, ", ")
}

func (w twin) states(t *testing.T) string {
	t.Helper()
	var all []struct{ Name, State string }
	if err := json.Unmarshal(w.ask(t, http.MethodGet, "/v1/instances", "", http.StatusOK), &all); err != nil {
		t.Fatal(err)
	}
	out := make([]string, len(all))
	for i := range all {
		out[i] = all[i].Name + " " + all[i].State
	}
	return strings.Join(out, ", ")
}

// A reset clears what happened in one workspace's test world, though it is in full
// swing, and nothing of it comes later; what was set up stays, and works.
func TestAResetClearsTheTestWorldAlone(t *testing.T) {
	for _, engine := range heavyEngines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			g := newRehearsal(t, engine)
			tenancy, key := g.workspace(t, messaging.Test)
			_, theirs := g.workspace(t, messaging.Test)
			mine, others := twin{g.api, key}, twin{g.api, theirs}
			live := twin{g.api, g.keyTo(t, tenancy.Workspace(), messaging.Live)}
			for _, w := range []twin{mine, others, live} {
				w.ask(t, http.MethodPost, "/v1/instances", `{"name":"one"}`, http.StatusCreated)
				w.ask(t, http.MethodPost, "/v1/instances/one/messages", `{"to":"+12025550123","text":"x"}`, http.StatusAccepted)
				w.ask(t, http.MethodPost, "/v1/opt-outs", `{"to":"+12025550199"}`, http.StatusCreated)
			}
			mine.stir(t)
			var sending sync.WaitGroup
			for range 4 {
				sending.Go(func() {
					for range 25 { // some before the reset, some while it goes on, some after it
						mine.ask(t, http.MethodPost, "/v1/instances/one/messages", `{"to":"+15005550019","text":"x"}`, http.StatusAccepted)
					}
				})
			}
			mine.ask(t, http.MethodPost, "/v1/sandbox/reset", "", http.StatusOK)
			sending.Wait()
			mine.ask(t, http.MethodPost, "/v1/sandbox/reset", "", http.StatusOK)
			all := []string{"messages", "events", "bulk", "opt-outs", "sandbox/messages"}
			if got := mine.shows(t, all...); got != "messages 0, events 0, bulk 0, opt-outs 0, sandbox/messages 0" {
				t.Errorf("after the reset: %s", got)
			}
			if got := mine.states(t); got != "banned connected, dropped connected, one connected" {
				t.Errorf("instances: %s", got)
			}
			if got := live.shows(t, "messages", "opt-outs"); got != "messages 1, opt-outs 1" {
				t.Errorf("live: %s", got)
			}
			if got := others.shows(t, "messages", "opt-outs", "sandbox/messages"); got != "messages 1, opt-outs 1, sandbox/messages 1" {
				t.Errorf("others: %s", got)
			}
			mine.ask(t, http.MethodPut, "/v1/sandbox/clock", `{"mode":"frozen"}`, http.StatusOK)
			mine.ask(t, http.MethodPost, "/v1/sandbox/clock/advance", `{"seconds":86400}`, http.StatusOK)
			if got := mine.shows(t, all...); got != "messages 0, events 0, bulk 0, opt-outs 0, sandbox/messages 0" {
				t.Errorf("a day later: %s", got)
			}
			if n := files(t, g.mediaDir); n != 0 {
				t.Errorf("%d files are left", n)
			}
			mine.ask(t, http.MethodPut, "/v1/sandbox/clock", `{"mode":"real"}`, http.StatusOK)
			mine.ask(t, http.MethodPost, "/v1/instances/one/messages?wait=delivered", `{"to":"+12025550123","text":"x"}`, http.StatusOK)
		})
	}
}

// stir has much going on in a world.
func (w twin) stir(t *testing.T) {
	t.Helper()
	for _, name := range []string{"dropped", "banned"} {
		w.ask(t, http.MethodPost, "/v1/instances", `{"name":"`+name+`"}`, http.StatusCreated)
	}
	w.ask(t, http.MethodPost, "/v1/sandbox/instances/dropped/drop", "", http.StatusOK)
	w.ask(t, http.MethodPost, "/v1/sandbox/instances/banned/ban", "", http.StatusOK)
	w.ask(t, http.MethodPost, "/v1/instances/dropped/messages", `{"to":"+12025550123","text":"waits"}`, http.StatusAccepted)
	w.ask(t, http.MethodPost, "/v1/instances/one/messages", `{"to":"+12025550123","text":"later","send_at":"`+tomorrow()+`"}`, http.StatusAccepted)
	w.ask(t, http.MethodPost, "/v1/instances/one/messages", `{"to":"+15005550018","text":"slow"}`, http.StatusAccepted)
	w.ask(t, http.MethodPost, "/v1/sandbox/instances/one/inbound", `{"from":"+12025550155","text":"hello"}`, http.StatusCreated)
	w.ask(t, http.MethodPost, "/v1/sandbox/runs", `{"steps":["drop"]}`, http.StatusCreated)
	w.ask(t, http.MethodPost, "/v1/media", `{"base64":"iVBORw0KGgo=","filename":"a.png"}`, http.StatusCreated)
	rows := strings.Repeat(`{"to":"+12025550100"},`, 499) + `{"to":"+12025550101"}`
	w.ask(t, http.MethodPost, "/v1/instances/one/bulk", `{"message":{"text":"x"},"dedupe":false,"pace":{"min_gap_ms":50},"recipients":[`+rows+`]}`, http.StatusAccepted)
}

func tomorrow() string { return time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339) }

// A world that goes on being used is reset all the same.
func TestAResetDoesNotWaitForQuiet(t *testing.T) {
	g := newRehearsal(t, storetest.Light)
	_, key := g.workspace(t, messaging.Test)
	w := twin{g.api, key}
	var busy sync.WaitGroup
	stop := make(chan struct{})
	for _, name := range []string{"one", "two"} {
		w.ask(t, http.MethodPost, "/v1/instances", `{"name":"`+name+`"}`, http.StatusCreated)
		for range 3 {
			busy.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						w.ask(t, http.MethodPost, "/v1/instances/"+name+"/messages", `{"to":"+12025550123","text":"x"}`, http.StatusAccepted)
					}
				}
			})
		}
	}
	w.ask(t, http.MethodPost, "/v1/sandbox/reset", "", http.StatusOK)
	close(stop)
	busy.Wait()
}

// What survives a reset keeps its id, so a seed cannot draw it again.
func TestASeedDoesNotDrawWhatIsStillThere(t *testing.T) {
	g := newRehearsal(t, storetest.Light)
	_, key := g.workspace(t, messaging.Test)
	w := twin{g.api, key}
	seeded := func(path, body string, status int, code string) {
		t.Helper()
		g.api.Expect(t, gatewaytest.Request{
			Method: http.MethodPost, Path: path, Token: key, Body: body, Header: map[string]string{"X-Sandbox-Seed": "s"},
		}, status, code)
	}
	seeded("/v1/instances", `{"name":"one"}`, http.StatusCreated, "")
	seeded("/v1/webhooks", `{"url":"http://127.0.0.1:9/"}`, http.StatusCreated, "")
	w.ask(t, http.MethodPost, "/v1/sandbox/reset", "", http.StatusOK)
	seeded("/v1/instances", `{"name":"two"}`, http.StatusConflict, "CONFLICT")
	seeded("/v1/webhooks", `{"url":"http://127.0.0.1:9/other"}`, http.StatusConflict, "CONFLICT")
	seeded("/v1/instances", `{"name":"two"}`, http.StatusCreated, "")
}

// files counts what lies in a folder.
func files(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
