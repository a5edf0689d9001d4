package shop

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
)

// gateway is a `portaria serve` on a free port with a folder of its own.
type gateway struct {
	Portaria

	server *exec.Cmd
}

var listening = regexp.MustCompile(`msg=listening address=(\S+)`)

// startGateway starts the gateway, and a key that may do everything in its
// sandbox. It ends with the test.
func startGateway(t *testing.T) *gateway {
	t.Helper()
	program := findProgram(t)
	environment := append(os.Environ(),
		"PORTARIA_DATA_DIR="+t.TempDir(), "DATABASE_URL=", // SQLite
		"PORTARIA_WEBHOOK_ALLOW_HTTP=true", "PORTARIA_WEBHOOK_ALLOW_CIDRS=127.0.0.0/8", "PORTARIA_BCRYPT_COST=4",
	)
	g := &gateway{server: exec.Command(program, "serve", "--listen", "127.0.0.1:0")}
	g.server.Env = environment
	said, err := g.server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = g.server.Process.Signal(syscall.SIGTERM)
		_, _ = io.Copy(io.Discard, said)
		_ = g.server.Wait()
	})
	g.URL = "http://" + address(t, said)
	go func() { _, _ = io.Copy(io.Discard, said) }()
	g.Key = mint(t, program, environment)
	return g
}

// findProgram returns the gateway: PORTARIA_BIN, or one that is built here.
func findProgram(t *testing.T) string {
	t.Helper()
	if program := os.Getenv("PORTARIA_BIN"); program != "" {
		return program
	}
	program := filepath.Join(t.TempDir(), "portaria")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, "portaria/cmd/portaria")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, said)
	}
	return program
}

// address waits until the server says where it listens.
func address(t *testing.T, said io.Reader) string {
	t.Helper()
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if found := listening.FindStringSubmatch(lines.Text()); found != nil {
			return found[1]
		}
	}
	t.Fatal("the server does not listen")
	return ""
}

// mint makes a test key beside the running server.
func mint(t *testing.T, program string, environment []string) string {
	t.Helper()
	create := exec.CommandContext(t.Context(), program, "keys", "create", "--name", "shop", "--environment", "test", "--scope", "*", "--all-instances", "--json")
	create.Env, create.Stderr = environment, os.Stderr
	out, err := create.Output()
	if err != nil {
		t.Fatalf("keys create: %v", err)
	}
	var key struct{ Token string }
	if err := json.Unmarshal(out, &key); err != nil {
		t.Fatal(err)
	}
	return key.Token
}

// must asks and fails the test when that is refused.
func (g *gateway) must(t *testing.T, method, path string, body, out any) {
	t.Helper()
	if err := g.Ask(context.WithoutCancel(t.Context()), method, path, "", body, out); err != nil {
		t.Fatal(fmt.Errorf("%s %s: %w", method, path, err))
	}
}
