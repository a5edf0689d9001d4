package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"portaria/internal/testbin"
	"portaria/store"
)

// webhooksDoc is the guide.
const webhooksDoc = "../../docs/webhooks.md"

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
		cmd.Dir, cmd.Env = t.TempDir(), append(g.command().Env, "PORTARIA_URL=http://"+g.address)
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
	if !waitUntil(t, patience, func() bool { return strings.Contains(said.String(), "receiving webhooks") }) {
		t.Fatalf("the receiver said:\n%s%s", shown, said)
	}
	for _, block := range blocks[2:] {
		if out, err := paste(block).CombinedOutput(); err != nil || strings.Contains(string(out), `"success":false`) {
			t.Fatalf("%s\nfailed: %v\n%s", block, err, out)
		}
	}
	for _, want := range []string{"message.queued", "message.sent", "message.delivered", "message.read"} {
		if !waitUntil(t, patience, func() bool {
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
