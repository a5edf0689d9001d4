package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portaria/store"
)

// gatewayProcess is a real `portaria serve` in a process of its own, that can
// be killed and started again on the same database and port.
type gatewayProcess struct {
	t            *testing.T
	options      store.Options
	address      string
	fileLimitKiB int      // largest file the server may write; 0: no limit
	env          []string // of the server and of commands beside it
	client       http.Client

	cmd *exec.Cmd
	log *lockedBuffer
}

// patience bounds every wait of a test. It costs nothing where things work.
const patience = 3 * time.Minute

// The ports of servers that are killed and started again. The system gives
// nobody else one of them in between, as it may do with those above.
const (
	firstPort = 20_000
	ports     = 12_000
)

func newGateway(t *testing.T, o store.Options) *gatewayProcess {
	t.Helper()
	g := &gatewayProcess{
		t: t, options: o, address: freeAddress(t),
		client: http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	t.Cleanup(func() {
		if g.cmd != nil {
			g.kill()
		}
		g.client.CloseIdleConnections()
	})
	return g
}

// freeAddress is an address of this machine on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprint("127.0.0.1:", firstPort+rand.N(ports))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return address
	}
	t.Fatal("no port is free")
	return ""
}

func (g *gatewayProcess) command(args ...string) *exec.Cmd {
	cmd := exec.Command("portaria", args...)
	if g.fileLimitKiB > 0 {
		cmd = exec.Command("bash", append([]string{"-c", fmt.Sprintf(`ulimit -f %d; exec portaria "$@"`, g.fileLimitKiB), "portaria"}, args...)...)
	}
	cmd.Env = append(os.Environ(),
		"PORTARIA_DATA_DIR="+g.options.DataDir, "DATABASE_URL="+g.options.DatabaseURL, "PORTARIA_BCRYPT_COST=4", "PORTARIA_LOG_LEVEL=warn")
	cmd.Env = append(cmd.Env, g.env...)
	return cmd
}

// start runs the server and waits until it is ready.
func (g *gatewayProcess) start() {
	g.log = new(lockedBuffer)
	g.cmd = g.command("serve", "--listen", g.address)
	g.cmd.Stderr = g.log
	if err := g.cmd.Start(); err != nil {
		g.t.Errorf("start: %v", err)
		return
	}
	waitUntil(g.t, patience, func() bool {
		r, err := g.client.Get("http://" + g.address + "/readyz")
		if err != nil {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// kill ends the server at once, as a power cut does.
func (g *gatewayProcess) kill() {
	_ = g.cmd.Process.Signal(syscall.SIGKILL)
	_ = g.cmd.Wait()
	g.cmd = nil
	if g.t.Failed() {
		g.t.Logf("the server's log:\n%s", g.log.String())
	}
	for _, words := range []string{"panic", "DATA RACE"} { // of a process that is killed, nothing else tells
		if strings.Contains(g.log.String(), words) {
			g.t.Errorf("the server's log has a %s:\n%s", words, g.log.String())
		}
	}
}

// mint makes a test key beside the running server.
func (g *gatewayProcess) mint(flags ...string) string {
	g.t.Helper()
	return g.mintFor("test", flags...)
}

func (g *gatewayProcess) mintFor(environment string, flags ...string) string {
	g.t.Helper()
	out, err := g.command(append([]string{"keys", "create", "--json", "--name", "t", "--environment", environment}, flags...)...).Output()
	if err != nil {
		g.t.Fatalf("keys create: %v, %s", err, stderrOf(err))
	}
	var key struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(out, &key); err != nil {
		g.t.Fatalf("keys create: %v in %s", err, out)
	}
	return key.Token
}

func stderrOf(err error) string {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(e.Stderr)
	}
	return ""
}

// try makes one request; data of the answer goes into out.
func (g *gatewayProcess) try(key, method, path, body, idempotencyKey string, out any) (int, error) {
	req, err := http.NewRequest(method, "http://"+g.address+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", idempotencyKey)
	}
	r, err := g.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return r.StatusCode, err
	}
	if r.StatusCode >= http.StatusBadRequest {
		return r.StatusCode, refusedError(b)
	}
	envelope := struct {
		Data any `json:"data"`
	}{out}
	return r.StatusCode, json.Unmarshal(b, &envelope)
}

// refusedError is the answer of a request that the server refused.
type refusedError []byte

func (r refusedError) Error() string { return string(r) }

// do makes a request that must be answered with a status.
func (g *gatewayProcess) do(key, method, path, body string, want int, out any) {
	g.t.Helper()
	status, err := g.try(key, method, path, body, "", out)
	if err != nil || status != want {
		g.t.Fatalf("%s %s = %d, %v; want %d", method, path, status, err, want)
	}
}

// insist repeats a post until it is answered 202, but not for ever.
func (g *gatewayProcess) insist(key, path, body, idempotencyKey string, out any) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		status, err := g.try(key, http.MethodPost, path, body, idempotencyKey, out)
		if err == nil && status == http.StatusAccepted {
			return nil
		}
		if refused, ok := errors.AsType[refusedError](err); ok && status < 500 && status != http.StatusConflict {
			return fmt.Errorf("POST %s = %d: %w", path, status, refused)
		}
	}
	return fmt.Errorf("POST %s was not accepted within %s", path, patience)
}

// carriage is a row of GET /v1/sandbox/messages.
type carriage struct {
	WAMessageID string `json:"wa_message_id"`
	MessageID   string `json:"message_id"`
	InstanceID  string `json:"instance_id"`
	To          struct {
		WAID string `json:"wa_id"`
	} `json:"to"`
}

// carriages returns everything that the simulated network carried, in its order.
func (g *gatewayProcess) carriages(key string) []carriage {
	g.t.Helper()
	return reversed(pages[carriage](g, key, "/v1/sandbox/messages"))
}

func reversed[T any](s []T) []T {
	out := make([]T, 0, len(s))
	for i := range s {
		out = append(out, s[len(s)-1-i])
	}
	return out
}

// pages follows a list to its end.
func pages[T any](g *gatewayProcess, key, path string) (all []T) {
	g.t.Helper()
	next := ""
	for {
		url := path + "?limit=200"
		if next != "" {
			url += "&cursor=" + next
		}
		req, err := http.NewRequest(http.MethodGet, "http://"+g.address+url, nil)
		if err != nil {
			g.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		r, err := g.client.Do(req)
		if err != nil {
			g.t.Fatal(err)
		}
		var page struct {
			Data []T `json:"data"`
			Page struct {
				Next *string `json:"next"`
			} `json:"page"`
		}
		err = json.NewDecoder(r.Body).Decode(&page)
		_ = r.Body.Close()
		if err != nil || r.StatusCode != http.StatusOK {
			g.t.Fatalf("GET %s = %d, %v", url, r.StatusCode, err)
		}
		all = append(all, page.Data...)
		if page.Page.Next == nil {
			return all
		}
		next = *page.Page.Next
	}
}

// waitForAll waits until n messages have a status and none has another.
func (g *gatewayProcess) waitForAll(key string, n int, status string) {
	g.t.Helper()
	counts := make(map[string]int)
	done := waitUntil(g.t, patience, func() bool {
		clear(counts)
		for _, m := range pages[struct{ Status string }](g, key, "/v1/messages") {
			counts[m.Status]++
		}
		return counts[status] >= n && len(counts) == 1
	})
	if !done || counts[status] != n {
		g.t.Errorf("statuses = %v; want %d %s and no other", counts, n, status)
	}
}

// waitUntil polls until f is true, and reports whether it became so in time.
func waitUntil(t *testing.T, limit time.Duration, f func() bool) bool {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); time.Now().Before(end); <-tick.C {
		if f() {
			return true
		}
	}
	t.Errorf("waited %s in vain", limit)
	return false
}

// lockedBuffer keeps what a process writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
