package testbin

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFolderParentIsReachable: a root shell often has a TMPDIR that only root
// may enter; the server could not start there.
func TestFolderParentIsReachable(t *testing.T) {
	locked := filepath.Join(t.TempDir(), "locked")
	if err := os.Mkdir(locked, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", locked)
	if got := (Account{&syscall.Credential{Uid: 65534}}).folderParent(); got != "/tmp" {
		t.Errorf("for another user: %s, want /tmp", got)
	}
	if got := (Account{}).folderParent(); got != locked {
		t.Errorf("for this user: %s, want %s", got, locked)
	}
}

// TestTailKeepsTheLastWords: the reason of a failed start is at the end.
func TestTailKeepsTheLastWords(t *testing.T) {
	log := new(tail)
	for range 3 {
		_, _ = log.Write([]byte(strings.Repeat("x", tailBytes)))
	}
	_, _ = log.Write([]byte("FATAL: no room\n"))
	if got := log.String(); len(got) > tailBytes || !strings.HasSuffix(got, "FATAL: no room") {
		t.Errorf("kept %d bytes ending in %q", len(got), got[len(got)-20:])
	}
}
