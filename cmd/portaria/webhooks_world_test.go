package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"portaria/events/webhooks"
)

// endpoint is a receiver of the tests: it verifies what it is sent, and counts
// it by webhook-id.
type endpoint struct {
	t      *testing.T
	server *httptest.Server
	secret webhooks.Secret

	// answer says what a delivery is answered; nil: 200.
	answer func(w http.ResponseWriter, r *http.Request)

	mu  sync.Mutex
	got map[string]int // verified deliveries, by webhook-id
}

// receivedEvent is what the tests read of a delivery.
type receivedEvent struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	InstanceID string `json:"instance_id"`
	Data       struct {
		Message struct {
			ID     string `json:"id"`
			Status string `json:"status"`
		} `json:"message"`
	} `json:"data"`
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	r := &endpoint{t: t, got: make(map[string]int)}
	r.server = httptest.NewServer(r)
	t.Cleanup(func() {
		r.server.CloseClientConnections() // who hangs is not waited for
		r.server.Close()
	})
	return r
}

// ServeHTTP implements http.Handler.
func (r *endpoint) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the gateway was killed in the middle of it
	}
	if err := webhooks.Verify(req.Header, body, time.Now(), r.secret); err != nil {
		r.t.Errorf("a delivery is not what was signed: %v", err)
	}
	var e receivedEvent
	if err := json.Unmarshal(body, &e); err != nil || e.ID != req.Header.Get(webhooks.HeaderID) {
		r.t.Errorf("webhook-id %s with %s: %v", req.Header.Get(webhooks.HeaderID), body, err)
	}
	r.mu.Lock()
	r.got[e.ID]++
	r.mu.Unlock()
	if r.answer != nil {
		r.answer(w, req)
	}
}

// count returns how many different events have come.
func (r *endpoint) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

// listens makes a webhook that leads to the endpoint, and returns its id.
// More members of the body may follow.
func (r *endpoint) listens(g *gatewayProcess, key, more string) string {
	r.t.Helper()
	var made struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
	}
	g.do(key, http.MethodPost, "/v1/webhooks", fmt.Sprintf(`{"url":%q%s}`, r.server.URL, more), http.StatusCreated, &made)
	var err error
	if r.secret, err = webhooks.ParseSecret(made.Secret); err != nil {
		r.t.Fatal(err)
	}
	return made.ID
}

// hooked lets a gateway's webhooks lead to this machine.
func hooked(g *gatewayProcess) *gatewayProcess {
	g.env = append(g.env, "PORTARIA_WEBHOOK_ALLOW_HTTP=true", "PORTARIA_WEBHOOK_ALLOW_CIDRS=127.0.0.0/8")
	return g
}
