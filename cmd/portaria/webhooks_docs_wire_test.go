package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"portaria/events/webhooks"
)

// passedOn is a real delivery on its way to a receiver, and what that answered.
type passedOn struct {
	header http.Header
	body   []byte
	status int
}

// wire stands between Portaria and a receiver, and keeps what passes.
type wire struct {
	*httptest.Server
	mu     sync.Mutex
	to     string // guarded by mu; empty: nobody is there yet
	passed []passedOn
}

func newWire(t *testing.T) *wire {
	w := new(wire)
	w.Server = httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		w.mu.Lock()
		to := w.to
		w.mu.Unlock()
		if err != nil || to == "" {
			answer.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		status, err := repost(r.Context(), to, r.Header, body)
		if err != nil {
			answer.WriteHeader(http.StatusBadGateway)
			return
		}
		w.mu.Lock()
		w.passed = append(w.passed, passedOn{header: r.Header.Clone(), body: body, status: status})
		w.mu.Unlock()
		answer.WriteHeader(status)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *wire) leadTo(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to = address
}

// find waits for a delivery of a type of event.
func (w *wire) find(t *testing.T, eventType string, skip int) (found passedOn) {
	t.Helper()
	ok := waitUntil(t, patience, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		n := 0
		for _, p := range w.passed {
			if bytes.Contains(p.body, []byte(`"type":"`+eventType+`"`)) {
				if found = p; n == skip {
					return true
				}
				n++
			}
		}
		return false
	})
	if !ok {
		t.FailNow()
	}
	return found
}

// repost posts a delivery, or what was made of one, to a receiver.
func repost(ctx context.Context, address string, header http.Header, body []byte) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	for _, name := range []string{"Content-Type", "User-Agent", webhooks.HeaderID, webhooks.HeaderTimestamp, webhooks.HeaderSignature} {
		if values := header.Values(name); len(values) > 0 {
			req.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	_, err = io.Copy(io.Discard, r.Body)
	return r.StatusCode, err
}
