package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"portaria/events/webhooks"
	"portaria/internal/testbin"
	"portaria/store"
)

const (
	webhooksDoc  = "../../docs/webhooks.md"
	snippetsRoot = "../../docs/snippets/webhooks"
)

// snippet is a receiver of docs/webhooks.md.
type snippet struct {
	language string // of the fence around it
	file     string // in snippetsRoot
	// command prepares what the receiver needs and returns how it is started.
	command func(t *testing.T, port string) []string
}

// snippets are all of them. Nobody writes to it.
var snippets = []snippet{
	{"go", "go/main.go", goReceiver},
	{"js", "node/receiver.js", nodeReceiver},
	{"python", "python/receiver.py", func(t *testing.T, _ string) []string {
		return []string{interpreter(t, "python3", "python3"), snippetPath(t, "python/receiver.py")}
	}},
	{"php", "php/receiver.php", func(t *testing.T, port string) []string {
		return []string{interpreter(t, "php", "php-cli"), "-S", "127.0.0.1:" + port, snippetPath(t, "php/receiver.php")}
	}},
}

func goReceiver(t *testing.T, _ string) []string {
	program := filepath.Join(t.TempDir(), "receiver")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, ".")
	build.Dir = snippetPath(t, "go")
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, said)
	}
	return []string{program}
}

// nodeReceiver installs what the lock file says, outside of the checkout.
func nodeReceiver(t *testing.T, _ string) []string {
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
	return []string{node, filepath.Join(dir, "receiver.js")}
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

// start runs the receiver on a free port, and waits until it listens there.
func (s snippet) start(t *testing.T, secret string) (address string, program *testbin.Child) {
	t.Helper()
	for range 3 { // another process may take the port
		port, err := testbin.FreePort(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		program, err = testbin.Start(testbin.Command{
			Args: append([]string{"/usr/bin/env", "PORT=" + port, "PORTARIA_WEBHOOK_SECRET=" + secret}, s.command(t, port)...), Folder: t.TempDir(),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(program.Stop)
		if address = "127.0.0.1:" + port; listensAt(address, program) {
			return address, program
		}
	}
	t.Fatalf("the receiver does not listen; it said:\n%s", program.Words())
	return "", nil
}

// listensAt waits until a child listens, and reports false when it ends before.
func listensAt(address string, program *testbin.Child) bool {
	listens := false
	poll(time.Minute, func() bool {
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
	ok := waitUntil(t, time.Minute, func() bool {
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

// webhookServer is a real server that may reach receivers on loopback, and a key
// that may do everything.
func webhookServer(t *testing.T) (g *gatewayProcess, key string) {
	t.Helper()
	g = newGateway(t, store.Options{DataDir: t.TempDir()})
	g.env = localWebhooks(t)
	g.start()
	key = g.mint("--scope", "*", "--all-instances")
	g.do(key, http.MethodPost, "/v1/instances", `{"name":"shop"}`, http.StatusCreated, nil)
	return g, key
}

// localWebhooks are the settings that the guide starts its server with.
func localWebhooks(t *testing.T) (env []string) {
	t.Helper()
	start := regexp.MustCompile(`(?m)^((?:PORTARIA_\w+=\S+ )+)portaria serve$`).FindStringSubmatch(guide(t))
	if start == nil {
		t.Fatal("the guide does not start a server with its settings")
	}
	return strings.Fields(start[1])
}

func guide(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(webhooksDoc)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What people copy from the guide must be what runs in the tests.
func TestTheWebhookGuideShowsTheSnippets(t *testing.T) {
	text := guide(t)
	for _, s := range snippets {
		code, err := os.ReadFile(filepath.Join(snippetsRoot, s.file))
		if err != nil {
			t.Fatal(err)
		}
		if fenced := "```" + s.language + "\n" + string(code) + "```\n"; !strings.Contains(text, fenced) {
			t.Errorf("docs/webhooks.md does not show %s as it is", s.file)
		}
	}
}

// A receiver that refuses real deliveries loses events, and one that takes
// forged ones acts for strangers. Each snippet meets both.
func TestSnippetsVerifyRealDeliveries(t *testing.T) {
	g, key := webhookServer(t)
	for _, s := range snippets {
		t.Run(s.language, func(t *testing.T) {
			w := newWire(t)
			var endpoint struct{ ID, Secret string }
			g.do(key, http.MethodPost, "/v1/webhooks", `{"url":"`+w.URL+`/","events":["message.delivered"]}`, http.StatusCreated, &endpoint)
			address, program := s.start(t, endpoint.Secret)
			w.leadTo(address)
			g.do(key, http.MethodPost, "/v1/instances/shop/messages?wait=delivered", `{"to":"+15005550006","text":"Olá, João 👋"}`, http.StatusOK, nil)
			genuine := w.find(t, "message.delivered", 0)
			if genuine.status != http.StatusNoContent {
				t.Errorf("a real delivery is answered with %d; want 204. The receiver said:\n%s", genuine.status, program.Words())
			}
			if id := genuine.header.Get(webhooks.HeaderID); !waitUntil(t, time.Minute, func() bool {
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

// A secret that is missing must not become an empty one, with which anybody can
// sign.
func TestSnippetsDoNotStartWithoutASecret(t *testing.T) {
	body := []byte(`{"id":"evt_1","type":"message.sent"}`)
	for _, s := range snippets {
		t.Run(s.language, func(t *testing.T) {
			port, err := testbin.FreePort(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			program, err := testbin.Start(testbin.Command{
				Args: append([]string{"/usr/bin/env", "PORT=" + port, "PORTARIA_WEBHOOK_SECRET="}, s.command(t, port)...), Folder: t.TempDir(),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer program.Stop()
			if !listensAt("127.0.0.1:"+port, program) {
				return // it has ended
			}
			at := time.Now()
			header := http.Header{}
			header.Set(webhooks.HeaderID, "evt_1")
			header.Set(webhooks.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
			header.Set(webhooks.HeaderSignature, webhooks.Sign(webhooks.Secret{}, "evt_1", at, body))
			if got, err := repost(t.Context(), "127.0.0.1:"+port, header, body); err != nil || got != http.StatusUnauthorized {
				t.Errorf("what is signed with an empty secret is answered with %d, %v; want 401", got, err)
			}
		})
	}
}

// The quick start is pasted by everybody: its blocks run here, in their order,
// as they stand.
func TestTheWebhookGuidesQuickStartWorksAsPasted(t *testing.T) {
	_, section, _ := strings.Cut(guide(t), "\n## Quick start\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var blocks []string
	for _, found := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		blocks = append(blocks, found[1])
	}
	if len(blocks) < 3 || !strings.Contains(blocks[0], "portaria serve") || !strings.Contains(blocks[1], "portaria listen") {
		t.Fatalf("the quick start does not start a server, then a receiver, then send:\n%q", blocks)
	}
	g := newGateway(t, store.Options{DataDir: t.TempDir()})
	g.env = append(localWebhooks(t), "PORTARIA_LOG_LEVEL=info")
	g.start()
	port, err := testbin.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	paste := func(block string) *exec.Cmd {
		here := strings.NewReplacer("127.0.0.1:8080", g.address, "127.0.0.1:9000", "127.0.0.1:"+port, "sk_test_…", bannerKey.FindStringSubmatch(g.log.String())[1])
		cmd := exec.CommandContext(t.Context(), "bash", "-eu", "-o", "pipefail", "-c", here.Replace(block))
		cmd.Dir, cmd.Env = t.TempDir(), g.command().Env
		return cmd
	}

	receiver := paste(strings.Replace(blocks[1], "portaria listen", "exec portaria listen", 1))
	shown, said := new(lockedBuffer), new(lockedBuffer)
	receiver.Stdout, receiver.Stderr = shown, said
	if err := receiver.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = receiver.Process.Kill()
		_ = receiver.Wait()
	})
	if !waitUntil(t, 30*time.Second, func() bool { return strings.Contains(said.String(), "receiving webhooks") }) {
		t.Fatalf("the receiver said:\n%s%s", shown, said)
	}
	for _, block := range blocks[2:] {
		if out, err := paste(block).CombinedOutput(); err != nil || strings.Contains(string(out), `"success":false`) {
			t.Fatalf("%s\nfailed: %v\n%s", block, err, out)
		}
	}
	for _, want := range []string{"message.queued", "message.sent", "message.delivered", "message.read"} {
		if !waitUntil(t, time.Minute, func() bool {
			return regexp.MustCompile(regexp.QuoteMeta(want) + ` .*Hello.*\(verified\)`).MatchString(shown.String())
		}) {
			t.Errorf("the receiver does not show %s:\n%s", want, shown)
		}
	}
}

// What the guide names must be there: its routes, its types of events with
// their schemas, its settings.
func TestTheWebhookGuideNamesOnlyWhatExists(t *testing.T) {
	g, _ := webhookServer(t)
	text := guide(t)
	var api struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	g.public("/openapi.json", &api)
	for _, named := range regexp.MustCompile(`(GET|POST|PATCH|DELETE) (/v1/[a-z0-9/{}_-]+)`).FindAllStringSubmatch(text, -1) {
		if api.Paths[named[2]][strings.ToLower(named[1])] == nil {
			t.Errorf("there is no route %s", named[0])
		}
	}
	types := regexp.MustCompile("`((?:message|instance|call|webhook)\\.[a-z_]+)`").FindAllStringSubmatch(text, -1)
	if len(types) < 20 {
		t.Errorf("the guide names %d types of events; want all", len(types))
	}
	for _, named := range types {
		var schema map[string]any
		g.public("/schemas/events/"+url.PathEscape(named[1])+".json", &schema)
		if schema["$schema"] == nil {
			t.Errorf("%s has no schema", named[1])
		}
	}
	help, err := g.command("serve", "--help").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	listenHelp, err := g.command("listen", "--help").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range regexp.MustCompile(`PORTARIA_[A-Z_]+[A-Z]`).FindAllString(text, -1) {
		if !strings.Contains(string(help)+string(listenHelp), "$"+setting) {
			t.Errorf("no command knows the setting %s", setting)
		}
	}
}

// public reads a document that needs no key.
func (g *gatewayProcess) public(path string, out any) {
	g.t.Helper()
	r, err := g.client.Get("http://" + g.address + path)
	if err != nil {
		g.t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(out); err != nil || r.StatusCode != http.StatusOK {
		g.t.Fatalf("GET %s = %d, %v", path, r.StatusCode, err)
	}
}
