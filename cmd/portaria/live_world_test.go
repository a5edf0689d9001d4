package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"portaria/store/storetest"
	"portaria/wasim"
)

// liveWorld is a real `portaria serve` whose WhatsApp is a simulated server in
// this process.
type liveWorld struct {
	*gatewayProcess

	t     *testing.T
	wasim *wasim.Server
	key   string
}

// unpaced are settings for tests that have no time for good manners.
const unpaced = `{"pace":{"enabled":false}}`

func newLiveWorld(t *testing.T, engine string) *liveWorld {
	t.Helper()
	server, err := wasim.Start(wasim.Options{FewKeys: slowness > 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("close wasim: %v", err)
		}
	})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, wasim.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	rootKey := wasim.RootKey()
	w := &liveWorld{t: t, wasim: server, gatewayProcess: newGateway(t, storetest.Options(t, engine))}
	w.env = []string{
		"PORTARIA_WHATSAPP_ADDR=" + server.Addr(),
		"PORTARIA_WHATSAPP_CA=" + ca,
		"PORTARIA_WHATSAPP_ROOT_KEY=" + hex.EncodeToString(rootKey[:]),
	}
	w.start()
	w.key = w.mintFor("live", "--scope", "*", "--all-instances", "--rate-per-minute", "10000000", "--rate-burst", "1000000")
	return w
}

// instance makes a live instance and links a phone to it by QR.
func (w *liveWorld) instance(name, phone string) {
	w.t.Helper()
	w.do(w.key, http.MethodPost, "/v1/instances", fmt.Sprintf(`{"name":%q,"settings":%s}`, name, unpaced), http.StatusCreated, nil)
	w.link(name, phone)
}

func (w *liveWorld) link(name, phone string) {
	w.t.Helper()
	w.do(w.key, http.MethodPost, "/v1/instances/"+name+"/connect", "", http.StatusAccepted, nil)
	var qr struct{ Code string }
	waitUntil(w.t, patience, func() bool {
		status, err := w.try(w.key, http.MethodGet, "/v1/instances/"+name+"/qr", "", "", &qr)
		return err == nil && status == http.StatusOK
	})
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := w.wasim.Phone(phone).ScanQR(ctx, qr.Code); err != nil {
		w.t.Fatalf("scan: %v", err)
	}
	w.waitForState(name, "connected")
}

// liveInstance is what these tests read of an instance.
type liveInstance struct {
	ID          string `json:"id"`
	State       string `json:"state"`
	StateReason string `json:"state_reason"`
	Desired     string `json:"desired"`
	Phone       string `json:"phone"`
}

func (w *liveWorld) waitForState(name, state string) (i liveInstance) {
	w.t.Helper()
	if !waitUntil(w.t, patience, func() bool {
		status, err := w.try(w.key, http.MethodGet, "/v1/instances/"+name, "", "", &i)
		return err == nil && status == http.StatusOK && i.State == state
	}) {
		w.t.Fatalf("%s is %s (%s), not %s", name, i.State, i.StateReason, state)
	}
	return i
}

// liveMessage is what these tests read of a message.
type liveMessage struct {
	ID          string `json:"id"`
	InstanceID  string `json:"instance_id"`
	Direction   string `json:"direction"`
	Type        string `json:"type"`
	Status      string `json:"status"`
	WAMessageID string `json:"wa_message_id"`
	Content     struct {
		Body    string `json:"body"`
		MediaID string `json:"media_id"`
		Caption string `json:"caption"`
	} `json:"content"`
	Error *struct{ Code, Message string } `json:"error"`
}

func (w *liveWorld) send(name, body string) (m liveMessage) {
	w.t.Helper()
	w.do(w.key, http.MethodPost, "/v1/instances/"+name+"/messages", body, http.StatusAccepted, &m)
	return m
}

func (w *liveWorld) waitForStatus(id, status string) (m liveMessage) {
	w.t.Helper()
	if !waitUntil(w.t, patience, func() bool {
		got, err := w.try(w.key, http.MethodGet, "/v1/messages/"+id, "", "", &m)
		return err == nil && got == http.StatusOK && m.Status == status
	}) {
		w.t.Fatalf("message %s is %s (%+v), not %s", id, m.Status, m.Error, status)
	}
	return m
}

// messages lists all messages of one direction, oldest first.
func (w *liveWorld) messages(direction string) (found []liveMessage) {
	w.t.Helper()
	for _, m := range reversed(pages[liveMessage](w.gatewayProcess, w.key, "/v1/messages")) {
		if m.Direction == direction {
			found = append(found, m)
		}
	}
	return found
}

// stop ends the server as an operator does.
func (g *gatewayProcess) stop() {
	g.t.Helper()
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	if err := g.cmd.Wait(); err != nil {
		g.t.Errorf("stop: %v\n%s", err, g.log.String())
	}
	g.cmd = nil
}

// exactlyOnce checks what the contacts have seen against what was accepted, in
// order for each contact.
func (w *liveWorld) exactlyOnce(sent map[string][]string) {
	w.t.Helper()
	got := make(map[string][]string)
	seen := make(map[string]int)
	for _, r := range w.wasim.Received() {
		if seen[r.WAMessageID]++; seen[r.WAMessageID] > 1 {
			w.t.Errorf("%s was shown %d times", r.WAMessageID, seen[r.WAMessageID])
		}
		got[r.To] = append(got[r.To], r.WAMessageID)
	}
	for to, want := range sent {
		if strings.Join(got[to], " ") != strings.Join(want, " ") {
			w.t.Errorf("%s saw %d messages, want %d in the order of their answers\n got %v\nwant %v", to, len(got[to]), len(want), got[to], want)
		}
	}
}
