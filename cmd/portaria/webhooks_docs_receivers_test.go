package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"portaria/events/webhooks"
	"portaria/internal/testbin"
)

// snippetsRoot holds the receivers that the guide shows.
const snippetsRoot = "../../docs/snippets/webhooks"

// snippet is a receiver of docs/webhooks.md.
type snippet struct {
	language string // of the fence around it
	file     string // in snippetsRoot
	// prepare brings what the receiver needs. It returns how it is started.
	prepare func(t *testing.T) startLine
}

// startLine is the command line that starts a receiver on a port.
type startLine func(port string) []string

// snippets are all of them. Nobody writes to it.
var snippets = []snippet{
	{"go", "go/main.go", goReceiver},
	{"js", "node/receiver.js", nodeReceiver},
	{"python", "python/receiver.py", func(t *testing.T) startLine {
		python, file := interpreter(t, "python3", "python3"), snippetPath(t, "python/receiver.py")
		return func(string) []string { return []string{python, file} }
	}},
	{"php", "php/receiver.php", func(t *testing.T) startLine {
		php, file := interpreter(t, "php", "php-cli"), snippetPath(t, "php/receiver.php")
		return func(port string) []string { return []string{php, "-S", "127.0.0.1:" + port, file} }
	}},
}

func goReceiver(t *testing.T) startLine {
	program := filepath.Join(t.TempDir(), "receiver")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, ".")
	build.Dir = snippetPath(t, "go")
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, said)
	}
	return func(string) []string { return []string{program} }
}

// nodeReceiver installs what the lock file says, outside of the checkout.
func nodeReceiver(t *testing.T) startLine {
	node := interpreter(t, "node", "nodejs")
	npm := interpreter(t, "npm", "npm")
	dir := t.TempDir()
	for _, file := range []string{"receiver.js", "package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(snippetsRoot, "node", file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install := exec.CommandContext(t.Context(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = dir
	if said, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, said)
	}
	return func(string) []string { return []string{node, filepath.Join(dir, "receiver.js")} }
}

func interpreter(t *testing.T, name, debianPackage string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	path, err := testbin.Find(ctx, testbin.Program{Name: name, Package: debianPackage})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func snippetPath(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(snippetsRoot, name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// startReceiver runs a receiver on a free port, and waits until it listens
// there.
func startReceiver(t *testing.T, line startLine, secret string) (address string, program *testbin.Child) {
	t.Helper()
	for range 3 { // another process may take the port
		listens := false
		if address, program, listens = tryReceiver(t, line, secret); listens {
			return address, program
		}
	}
	t.Fatalf("the receiver does not listen; it said:\n%s", program.Words())
	return "", nil
}

func tryReceiver(t *testing.T, line startLine, secret string) (address string, program *testbin.Child, listens bool) {
	t.Helper()
	port, err := testbin.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	program, err = testbin.Start(testbin.Command{
		Args: append([]string{"/usr/bin/env", "PORT=" + port, "PORTARIA_WEBHOOK_SECRET=" + secret}, line(port)...), Folder: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(program.Stop)
	address = "127.0.0.1:" + port
	return address, program, listensAt(address, program)
}

// listensAt waits until a child listens, and reports false when it ends before.
func listensAt(address string, program *testbin.Child) bool {
	listens := false
	poll(patience, func() bool {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			listens = true
		}
		select {
		case <-program.Done():
			return true
		default:
			return listens
		}
	})
	return listens
}

// A receiver that refuses real deliveries loses events, and one that takes
// forged ones acts for strangers. Each snippet meets both.
func TestSnippetsVerifyRealDeliveries(t *testing.T) {
	t.Parallel()
	g, key := webhookServer(t)
	for _, s := range snippets {
		t.Run(s.language, func(t *testing.T) {
			line := s.prepare(t)
			w := newWire(t)
			var endpoint struct{ ID, Secret string }
			g.do(key, http.MethodPost, "/v1/webhooks", `{"url":"`+w.URL+`/","events":["message.delivered"]}`, http.StatusCreated, &endpoint)
			address, program := startReceiver(t, line, endpoint.Secret)
			w.leadTo(address)
			g.do(key, http.MethodPost, "/v1/instances/shop/messages?wait=delivered", `{"to":"+15005550006","text":"Olá, João 👋"}`, http.StatusOK, nil)
			genuine := w.find(t, "message.delivered", 0)
			if genuine.status != http.StatusNoContent {
				t.Errorf("a real delivery is answered with %d; want 204. The receiver said:\n%s", genuine.status, program.Words())
			}
			if id := genuine.header.Get(webhooks.HeaderID); !waitUntil(t, patience, func() bool {
				return strings.Contains(program.Words(), id+" message.delivered")
			}) {
				t.Errorf("the receiver does not tell of %s; it said:\n%s", id, program.Words())
			}
			forgeries(t, address, endpoint.Secret, genuine)

			// While a secret is replaced, the receiver that has the old one goes on.
			g.do(key, http.MethodPost, "/v1/webhooks/"+endpoint.ID+"/rotate-secret", `{"grace":"1h"}`, http.StatusOK, nil)
			g.do(key, http.MethodPost, "/v1/instances/shop/messages?wait=delivered", `{"to":"+15005550006","text":"again"}`, http.StatusOK, nil)
			if rotated := w.find(t, "message.delivered", 1); rotated.status != http.StatusNoContent || len(strings.Fields(rotated.header.Get(webhooks.HeaderSignature))) != 2 {
				t.Errorf("during a rotation a delivery with the signatures %q is answered with %d; want two and 204",
					rotated.header.Get(webhooks.HeaderSignature), rotated.status)
			}
			g.do(key, http.MethodDelete, "/v1/webhooks/"+endpoint.ID, "", http.StatusOK, nil)
			withoutSecret(t, line)
		})
	}
}

// forgeries are made of a real delivery. What is signed rightly and now is
// accepted, to show that the rest is refused for what is wrong with it.
func forgeries(t *testing.T, address, secretText string, genuine passedOn) {
	t.Helper()
	secret, err := webhooks.ParseSecret(secretText)
	if err != nil {
		t.Fatal(err)
	}
	id := genuine.header.Get(webhooks.HeaderID)
	with := func(pairs ...string) http.Header {
		h := genuine.header.Clone()
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	signed := func(by webhooks.Secret, off time.Duration) http.Header {
		at := time.Now().Add(off)
		return with(webhooks.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10), webhooks.HeaderSignature, webhooks.Sign(by, id, at, genuine.body))
	}
	changed := bytes.Replace(genuine.body, []byte("Jo"), []byte("jo"), 1)
	unsigned := genuine.header.Clone()
	unsigned.Del(webhooks.HeaderSignature)
	signature := genuine.header.Get(webhooks.HeaderSignature)
	const accepted, refused = http.StatusNoContent, http.StatusUnauthorized
	for _, c := range []struct {
		name   string
		header http.Header
		body   []byte
		want   int
	}{
		{"the same once more", genuine.header, genuine.body, accepted},
		{"signed now", signed(secret, 0), genuine.body, accepted},
		{"signed four minutes ago", signed(secret, -4*time.Minute), genuine.body, accepted},
		{"signed twice", with(webhooks.HeaderSignature, "v1,bm90aGluZw== v2,x "+signature), genuine.body, accepted},
		{"a changed byte", genuine.header, changed, refused},
		{"a byte more", genuine.header, append(slices.Clone(genuine.body), ' '), refused},
		{"an old timestamp", signed(secret, -6*time.Minute), genuine.body, refused},
		{"a timestamp to come", signed(secret, 6*time.Minute), genuine.body, refused},
		{"another timestamp", with(webhooks.HeaderTimestamp, strconv.FormatInt(time.Now().Unix()+9, 10)), genuine.body, refused},
		{"no number", with(webhooks.HeaderTimestamp, "now"), genuine.body, refused},
		{"an endless number", with(webhooks.HeaderTimestamp, strings.Repeat("9", 5000)), genuine.body, refused},
		{"another id", with(webhooks.HeaderID, "evt_other"), genuine.body, refused},
		{"another secret", signed(webhooks.NewSecret(), 0), genuine.body, refused},
		{"no signature", unsigned, genuine.body, refused},
		{"another scheme", with(webhooks.HeaderSignature, strings.Replace(signature, "v1,", "v1a,", 1)), genuine.body, refused},
		{"not in ASCII", with(webhooks.HeaderSignature, "v1,Olá\xff"), genuine.body, refused},
		{"nothing", http.Header{}, nil, refused},
	} {
		if got, err := repost(t.Context(), address, c.header, c.body); err != nil || got != c.want {
			t.Errorf("%s: answered with %d, %v; want %d", c.name, got, err, c.want)
		}
	}
}

// withoutSecret starts a receiver whose secret is missing. It must not become an
// empty one, with which anybody can sign.
func withoutSecret(t *testing.T, line startLine) {
	t.Helper()
	address, _, listens := tryReceiver(t, line, "")
	if !listens {
		return // it has ended
	}
	at, body := time.Now(), []byte(`{"id":"evt_1","type":"message.sent"}`)
	header := http.Header{}
	header.Set(webhooks.HeaderID, "evt_1")
	header.Set(webhooks.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(webhooks.HeaderSignature, webhooks.Sign(webhooks.Secret{}, "evt_1", at, body))
	if got, err := repost(t.Context(), address, header, body); err != nil || got != http.StatusUnauthorized {
		t.Errorf("what is signed with an empty secret is answered with %d, %v; want 401", got, err)
	}
}
