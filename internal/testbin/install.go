package testbin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// apt installs Debian's packages.
type apt struct {
	command []string // apt-get, with sudo before it unless this is root
	lists   string   // a file that is touched when the lists of packages have been updated
}

// listsLife is how long updated lists are used again by other test processes.
const listsLife = 15 * time.Minute

// aptGet returns how packages are installed here; nil: they may not be.
func aptGet() *apt {
	path, err := exec.LookPath("apt-get")
	if err != nil {
		return nil
	}
	a := &apt{
		command: []string{path},
		lists:   fmt.Sprintf("%s/portaria-testbin-%d.lists", os.TempDir(), os.Geteuid()),
	}
	if os.Geteuid() == 0 {
		return a
	}
	sudo, err := exec.LookPath("sudo")
	if err != nil || exec.Command(sudo, "-n", "true").Run() != nil { //nolint:noctx // it asks nothing and ends at once
		return nil
	}
	a.command = []string{sudo, "-n", "env", "DEBIAN_FRONTEND=noninteractive", path}
	return a
}

// install is called by one process at a time: apt-get update does not wait for
// its lock. Lists that were updated a moment ago are good enough, unless they
// are gone: images are often made without them.
func (a *apt) install(ctx context.Context, p Program) error {
	fmt.Fprintf(os.Stderr, "testbin: no %s here; installing Debian's package %s\n", p.Name, p.Package)
	get := []string{"install", "-q", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", p.Package}
	if info, err := os.Stat(a.lists); err == nil && time.Since(info.ModTime()) < listsLife {
		if a.run(ctx, get...) == nil {
			return nil
		}
	}
	if err := a.run(ctx, "update", "-q"); err != nil {
		return err
	}
	if err := os.WriteFile(a.lists, nil, 0o600); err != nil {
		return fmt.Errorf("testbin: %w", err)
	}
	now := time.Now() // writing nothing to an empty file may leave its time as it was
	return errors.Join(os.Chtimes(a.lists, now, now), a.run(ctx, get...))
}

// run returns the installer's own words when it fails.
func (a *apt) run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, a.command[0], append(a.command[1:len(a.command):len(a.command)], args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w: %s", args[0], err, out)
	}
	return nil
}

// lockFile lets one test process install at a time: "go test ./..." runs several
// packages at once.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("testbin: %w", err)
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("testbin: lock: %w", err), file.Close())
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("testbin: another process installs: %w", ctx.Err()), file.Close())
		}
	}
}
