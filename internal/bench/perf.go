package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// profile records what a server does, with perf(1), until the function that it
// returns is called. Without -perf it does nothing.
func (b *bench) profile(ctx context.Context, pid int, name string) (stop func() error, err error) {
	if b.o.perf == "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(b.o.perf, 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(b.o.perf, strings.NewReplacer(" ", "-", ",", "").Replace(name)+".perf")
	said := new(logTail)
	cmd := exec.CommandContext(ctx, "perf", "record", "-q", "-F", "499", "-g", "-p", strconv.Itoa(pid), "-o", file)
	cmd.Stderr, cmd.SysProcAttr = said, leash()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("perf: %w", err)
	}
	return func() error {
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			return fmt.Errorf("perf: %w: %s", err, said)
		}
		_ = cmd.Wait() // its status tells of the signal
		fmt.Fprintf(b.progress, "perf report -i %s\n", file)
		return nil
	}, nil
}
