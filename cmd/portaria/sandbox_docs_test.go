package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/testbin"
	"portaria/store"
)

// shellBlocks are the commands that a document shows, in their order.
func shellBlocks(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var blocks strings.Builder
	for _, found := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks.WriteString(found[1])
	}
	return blocks.String()
}

// pasteDocument runs the commands of a document from a folder, against a server
// with nothing in it but what the first start makes.
func pasteDocument(t *testing.T, folder, commands string) (said string) {
	t.Helper()
	g := newGateway(t, store.Options{DataDir: t.TempDir()})
	g.env = append(localWebhooks(t), "PORTARIA_LOG_LEVEL=info")
	g.start()
	port, err := testbin.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key := bannerKey.FindStringSubmatch(g.log.String())
	if key == nil {
		t.Fatalf("the first start shows no key:\n%s", g.log)
	}
	here := strings.NewReplacer("127.0.0.1:8080", g.address, "127.0.0.1:8090", "127.0.0.1:"+port, "sk_test_…", key[1])
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-eu", "-o", "pipefail", "-c", here.Replace(commands))
	cmd.Dir, cmd.Env = folder, append(g.command().Env, "PORTARIA_URL=http://"+g.address, "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), `"success":false`) {
		t.Fatalf("%v\n%s\nthe server said:\n%s", err, out, g.log)
	}
	return string(out)
}

// The guide is pasted by people who have seen nothing else yet: all its commands
// run here, in their order, as they stand.
func TestTheSandboxGuideWorksAsPasted(t *testing.T) {
	said := pasteDocument(t, t.TempDir(), shellBlocks(t, "../../docs/sandbox.md"))
	for _, want := range []string{
		`: delivered\n`, `"code":"NOT_ON_WHATSAPP"`, `received from 5511912345678@s.whatsapp.net`, `demo .*: disconnected`, `demo .*: connected`,
		`desk .*: connected, phone`, `frozen, 2`, `order.yaml: passed, 10 steps`, `"passed":true`, `The sandbox is empty`,
	} {
		if !regexp.MustCompile(want).MatchString(said) {
			t.Errorf("the commands do not say %s:\n%s", want, said)
		}
	}
	if got := strings.Count(said, "order.yaml: passed"); got != 3 {
		t.Errorf("order.yaml passed %d times, want 3:\n%s", got, said)
	}
}

// The table stands in two places; a recipient that one of them lacks is one that
// nobody finds.
func TestTheGuideHasTheRecipientsOfTheReadme(t *testing.T) {
	digits := regexp.MustCompile("(?m)^\\| `0.*?\\|")
	number := regexp.MustCompile("`(00[0-9]{2})`")
	in := func(file string) (found []string) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, cell := range digits.FindAllString(string(text), -1) {
			for _, match := range number.FindAllStringSubmatch(cell, -1) {
				found = append(found, match[1])
			}
		}
		return found
	}
	readme, guide := in("../../README.md"), in("../../docs/sandbox.md")
	if len(readme) < 15 || !cmp.Equal(readme, guide) {
		t.Errorf("the README has %v, the guide %v", readme, guide)
	}
}

// What people begin their own integration with has to pass as it stands, with the
// key of a first start and nothing else.
func TestSandboxExamplesPass(t *testing.T) {
	interpreter(t, "node", "nodejs")
	interpreter(t, "python3", "python3")
	program, err := exec.LookPath("portaria")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PORTARIA_BIN", program)
	_, commands, found := strings.Cut(shellBlocks(t, "../../examples/sandbox/README.md"), "portaria serve &\n")
	if !found {
		t.Fatal("the README of the examples starts no server")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	said := pasteDocument(t, root, strings.ReplaceAll(commands, "go test ", "go test -count=1 -v "))
	for _, want := range []string{"STOP is obeyed", "Ran 7 tests", "--- PASS: TestShop"} {
		if !strings.Contains(said, want) {
			t.Errorf("the examples do not say %q:\n%s", want, said)
		}
	}
}
