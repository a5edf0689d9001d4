package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"portaria/internal/testpg"
)

// TestCommandRunsBesideAServerOfItsOwn shows the whole service of withpg: the
// address in the environment, a server that answers there while the command
// runs, the command's own exit code, and nothing left when it has ended.
func TestCommandRunsBesideAServerOfItsOwn(t *testing.T) {
	t.Setenv(testpg.EnvURL, "")
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"--", "sh", "-c", `echo "$TEST_DATABASE_URL"; exit 7`}, nil, &stdout, &stderr)
	if code != 7 {
		t.Fatalf("exit code %d, want the command's 7; stderr: %s", code, &stderr)
	}
	address := strings.TrimSpace(stdout.String())
	server, err := testpg.Attach(address)
	if err != nil {
		t.Fatalf("the command saw %q: %v", address, err)
	}
	if _, _, err := server.NewDatabase(t.Context()); err == nil {
		t.Error("the server still answers after withpg has ended")
	}
}

// TestSignalsReachTheCommand matters because CI ends a job with SIGTERM: the
// tests must hear it, and the server must not outlive them.
func TestSignalsReachTheCommand(t *testing.T) {
	t.Setenv(testpg.EnvURL, "postgres://nobody@127.0.0.1:1/unused?sslmode=disable")
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	var stdout, stderr bytes.Buffer
	// Without the signal, tail would never end.
	code := run(t.Context(), []string{"--", "sh", "-c", "exec tail -f /dev/null"}, signals, &stdout, &stderr)
	if want := signalBase + int(syscall.SIGTERM); code != want {
		t.Errorf("exit code %d, want %d; stderr: %s", code, want, &stderr)
	}
}

// TestWrongUseHasItsOwnExitCode keeps "the tests failed" and "withpg was called
// wrongly" apart.
func TestWrongUseHasItsOwnExitCode(t *testing.T) {
	t.Setenv(testpg.EnvURL, "postgres://nobody@127.0.0.1:1/unused?sslmode=disable")
	missing := "no-such-command-" + strings.ToLower(t.Name())
	if _, err := exec.LookPath(missing); err == nil {
		t.Fatalf("%s exists", missing)
	}
	tests := []struct {
		name string
		args []string
		want int
		says string
	}{
		{"unknown flag", []string{"-nonsense"}, exitUsage, "nonsense"},
		{"unknown command", []string{"--", missing}, exitFailed, missing},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(t.Context(), test.args, nil, &stdout, &stderr); got != test.want {
				t.Errorf("exit code %d, want %d", got, test.want)
			}
			if !strings.Contains(stderr.String(), test.says) {
				t.Errorf("stderr %q does not name %q", &stderr, test.says)
			}
		})
	}
}

// TestWithoutACommandTheAddressIsPrinted is what "make db" stands on.
func TestWithoutACommandTheAddressIsPrinted(t *testing.T) {
	const address = "postgres://nobody@127.0.0.1:1/unused?sslmode=disable"
	t.Setenv(testpg.EnvURL, address)
	signals := make(chan os.Signal, 1)
	signals <- os.Interrupt
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), nil, signals, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d after Ctrl-C, want 0; stderr: %s", code, &stderr)
	}
	if want := "export TEST_DATABASE_URL='" + address + "'\n"; stdout.String() != want {
		t.Errorf("printed %q, want %q", &stdout, want)
	}
}
