package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// simulator starts `portaria wasim serve` in a process of its own, and returns
// when it runs.
func simulator(t *testing.T, dir string) (cmd *exec.Cmd, log *lockedBuffer) {
	t.Helper()
	log = new(lockedBuffer)
	cmd = exec.Command("portaria", "wasim", "serve", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--dir", dir)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	for end := time.Now().Add(patience); !strings.Contains(log.String(), "simulating WhatsApp"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the simulator does not start:\n%s", log)
		}
	}
	return cmd, log
}

// TestFolderOfASimulatorIsItsOwn: a second simulator is refused with the state
// untouched, and the folder is free again however the first one ended.
func TestFolderOfASimulatorIsItsOwn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "wasim")
	first, _ := simulator(t, dir)
	state := filepath.Join(dir, wasimStateFile)
	before, err := os.Stat(state)
	if err != nil {
		t.Fatal(err)
	}

	second := exec.Command("portaria", "wasim", "serve", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--dir", dir)
	timer := time.AfterFunc(patience, func() { _ = second.Process.Kill() })
	defer timer.Stop()
	said, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "WASIM_DIR_IN_USE") || !strings.Contains(string(said), "--dir") {
		t.Errorf("the second simulator ended with %v and said %q", err, said)
	}
	after, err := os.Stat(state)
	if err != nil || !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the refused simulator wrote the state: %v", err)
	}

	if err := first.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	next, log := simulator(t, dir)
	if err := next.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := next.Wait(); err != nil {
		t.Errorf("the next simulator ended with %v:\n%s", err, log)
	}
	simulator(t, dir)
}
