package webhooks_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// receiver is somebody's endpoint: a server on the loopback.
type receiver struct {
	URL string

	mu     sync.Mutex
	posts  []post
	now    int // requests that are being answered
	most   int // of them at once
	answer http.HandlerFunc
}

type post struct {
	header http.Header
	body   []byte
}

func (p post) id() string { return p.header.Get("webhook-id") }

// newReceiver starts a receiver. A nil answer is 200.
func newReceiver(t testing.TB, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	server := httptest.NewUnstartedServer(r)
	open, end := context.WithCancel(context.Background())
	server.Config.BaseContext = func(net.Listener) context.Context { return open }
	server.Start()
	t.Cleanup(func() {
		end() // who hangs is not waited for
		server.CloseClientConnections()
		server.Close()
	})
	r.URL = server.URL
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	r.mu.Lock()
	r.posts = append(r.posts, post{request.Header, body})
	r.now++
	r.most = max(r.most, r.now)
	answer := r.answer
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.now--
	}()
	if answer != nil {
		answer(w, request)
	}
}

func (r *receiver) setAnswer(answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) all() []post {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.posts)
}

func (r *receiver) ids() []string {
	var ids []string
	for _, p := range r.all() {
		ids = append(ids, p.id())
	}
	return ids
}

// count returns how many requests have come, and how many are being answered.
func (r *receiver) count() (all, now, most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.posts), r.now, r.most
}

// says answers with a status.
func says(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprintf(w, "this is %d", status)
	}
}

// hangs answers nothing until the request is given up.
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
