package testbin

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestChildEndsWithItsFolder: what Stop has waited for is gone. (That a child
// dies with a process that is killed is shown by testpg, with a real server.)
func TestChildEndsWithItsFolder(t *testing.T) {
	for _, scratch := range []bool{true, false} {
		dir := filepath.Join(t.TempDir(), "work")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		child, err := Start(Command{Args: []string{"/bin/sh", "-c", "echo ready; exec sleep 1000"}, Folder: dir, Scratch: scratch})
		if err != nil {
			t.Fatal(err)
		}
		await(t, child, "ready")
		child.Stop()
		child.Stop() // twice is allowed
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) != scratch {
			t.Errorf("scratch %v, and the folder: %v", scratch, err)
		}
	}
}

// TestChildThatEndsByItselfIsNoticed: a server that cannot start must not be
// waited for.
func TestChildThatEndsByItselfIsNoticed(t *testing.T) {
	child, err := Start(Command{Args: []string{"/bin/sh", "-c", "echo the port is taken >&2; exit 1"}, Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer child.Stop()
	select {
	case <-child.Done():
	case <-time.After(time.Minute):
		t.Fatal("the child seems to run still")
	}
	if got := child.Words(); !strings.Contains(got, "the port is taken") {
		t.Errorf("its last words are %q", got)
	}
}

func await(t *testing.T, child *Child, words string) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(child.Words(), words) {
		select {
		case <-deadline.C:
			t.Fatalf("the child did not say %q but %q", words, child.Words())
		case <-tick.C:
		}
	}
}
