package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"portaria/events/webhooks"
	"portaria/store"
)

// startListening runs the command beside a server.
func startListening(t *testing.T, g *gatewayProcess, key string, flags ...string) (cmd *exec.Cmd, out, complaints *lockedBuffer) {
	t.Helper()
	cmd = g.command(append([]string{"listen", "--url", "http://" + g.address}, flags...)...)
	cmd.Env = append(cmd.Env, "PORTARIA_API_KEY="+key)
	out, complaints = new(lockedBuffer), new(lockedBuffer)
	cmd.Stdout, cmd.Stderr = out, complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		if t.Failed() {
			t.Logf("listen said:\n%s", complaints)
		}
	})
	return cmd, out, complaints
}

// idsOf reads one document a line.
func idsOf(t *testing.T, lines string) (ids []string) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var event struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%v in the line %q", err, line)
		}
		ids = append(ids, event.ID)
	}
	return ids
}

// Somebody listens all day: the server is killed and comes back, messages go on,
// and in the end the key is revoked. Every event was shown once, in order.
func TestListenFollowsAServerThatIsKilled(t *testing.T) {
	t.Parallel()
	g := newGateway(t, store.Options{DataDir: t.TempDir()})
	g.start()
	all := g.mint("--scope", "*", "--all-instances")
	g.do(all, http.MethodPost, "/v1/instances", `{"name":"shop"}`, http.StatusCreated, nil)
	before := eventsOf(g, all)
	listener := g.mint("--scope", "events:read", "--instance", "shop")
	cmd, out, complaints := startListening(t, g, listener, "--json", "--after", before[len(before)-2])
	waitUntil(t, patience, func() bool { return strings.Contains(out.String(), "\n") }) // it is connected

	for round := range 3 {
		for n := range 5 {
			text := fmt.Sprintf(`{"to":"+15005550006","text":"round %d, %d"}`, round, n)
			g.do(all, http.MethodPost, "/v1/instances/shop/messages", text, http.StatusAccepted, nil)
		}
		if round < 2 {
			g.kill()
			g.start()
		}
	}
	g.waitForAll(all, 15, "read")
	want := eventsOf(g, all)[len(before)-1:]
	waitUntil(t, patience, func() bool { return strings.Count(out.String(), "\n") >= len(want) })
	if diff := cmp.Diff(want, idsOf(t, out.String())); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}

	if said, err := g.command("keys", "revoke", keyID(t, g, listener)).CombinedOutput(); err != nil {
		t.Fatalf("keys revoke: %v\n%s", err, said)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.ExitCode() != exitFailed || !strings.Contains(complaints.String(), "(UNAUTHORIZED)") {
			t.Errorf("after the key was revoked it ends with %v; want 1 and UNAUTHORIZED", err)
		}
		lines := slices.Collect(strings.Lines(out.String()))
		if last := lines[len(lines)-1]; len(lines) != len(want)+1 || !strings.HasPrefix(last, `{"error":{"code":"UNAUTHORIZED",`) {
			t.Errorf("the last of %d lines is %s; want why it ended, in one line", len(lines), last)
		}
	case <-time.After(patience):
		t.Error("it goes on though its key was revoked")
	}
}

// eventsOf returns the ids of all events, oldest first.
func eventsOf(g *gatewayProcess, key string) (ids []string) {
	g.t.Helper()
	for _, e := range reversed(pages[struct{ ID string }](g, key, "/v1/events")) {
		ids = append(ids, e.ID)
	}
	return ids
}

func keyID(t *testing.T, g *gatewayProcess, token string) string {
	t.Helper()
	var me struct{ ID string }
	g.do(token, http.MethodGet, "/v1/me", "", http.StatusOK, &me)
	return me.ID
}

// What is forwarded must be what a webhook posts: the same bytes, under the same
// id. A program that is right with the one is right with the other.
func TestListenForwardsWhatAWebhookPosts(t *testing.T) {
	t.Parallel()
	g, key := webhookServer(t)
	secret := webhooks.NewSecret()
	byHook, byListen := newInbox(t, ""), newInbox(t, secret.Reveal())
	var endpoint struct{ Secret string }
	g.do(key, http.MethodPost, "/v1/webhooks", `{"url":"`+byHook.URL+`","events":["message.*"]}`, http.StatusCreated, &endpoint)
	byHook.trust(endpoint.Secret)
	before := eventsOf(g, key)
	cmd, out, _ := startListening(t, g, key,
		"--type", "message.*", "--after", before[len(before)-1], "--forward", byListen.URL, "--secret", secret.Reveal())
	for n := range 3 {
		g.do(key, http.MethodPost, "/v1/instances/shop/messages", fmt.Sprintf(`{"to":"+15005550006","text":"Olá %d <&> \u2028"}`, n), http.StatusAccepted, nil)
	}
	waitUntil(t, patience, func() bool { return byHook.size() == 12 && byListen.size() == 12 })
	if diff := cmp.Diff(byHook.sorted(), byListen.sorted()); diff != "" {
		t.Errorf("forwarded (-webhook +listen):\n%s", diff)
	}
	if !waitUntil(t, patience, func() bool { return strings.Count(out.String(), "forwarded: 204 in ") == 12 }) {
		t.Errorf("it shows:\n%s", out)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("Ctrl-C ends it with %v; want 0", err)
	}
}

// inbox keeps what is posted to it and rightly signed.
type inbox struct {
	*httptest.Server
	mu     sync.Mutex
	secret string   // guarded by mu; empty: not known yet, nothing is taken
	posted []string // guarded by mu; id and body
}

func newInbox(t *testing.T, secret string) *inbox {
	i := &inbox{secret: secret}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		i.mu.Lock()
		defer i.mu.Unlock()
		known, badSecret := webhooks.ParseSecret(i.secret)
		if err := errors.Join(err, badSecret, webhooks.Verify(r.Header, body, time.Now(), known)); err != nil {
			t.Errorf("posted without a right signature: %v", err)
		}
		i.posted = append(i.posted, r.Header.Get(webhooks.HeaderID)+" "+r.Header.Get("Content-Type")+" "+string(bytes.Clone(body)))
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *inbox) trust(secret string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.secret = secret
}

func (i *inbox) size() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.posted)
}

func (i *inbox) sorted() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Sorted(slices.Values(i.posted))
}
