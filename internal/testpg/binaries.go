package testpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// errNoPostgres says what a person has to do.
var errNoPostgres = errors.New("testpg: no PostgreSQL server on this machine: " +
	"install it (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql), " +
	"or set TEST_DATABASE_URL to a server where the tests may create databases")

// finder looks for the server's programs on a machine.
type finder struct {
	path    []string                    // the folders of PATH
	debian  string                      // where Debian keeps one folder for each major version
	install func(context.Context) error // nil when nothing may be installed
	lock    string                      // a file that lets one process install at a time
}

// machine returns the finder of the machine that the tests run on.
func machine() finder {
	f := finder{path: filepath.SplitList(os.Getenv("PATH")), debian: "/usr/lib/postgresql", lock: filepath.Join(os.TempDir(), "portaria-testpg.lock")}
	if apt, err := exec.LookPath("apt-get"); err == nil && os.Geteuid() == 0 {
		f.install = func(ctx context.Context) error { return installPackage(ctx, apt) }
	}
	return f
}

// serverBinaries returns the folder that holds initdb and postgres, and
// installs them first when they are absent and it may.
func (f finder) serverBinaries(ctx context.Context) (string, error) {
	if dir, ok := f.find(); ok {
		return dir, nil
	}
	if f.install == nil {
		return "", errNoPostgres
	}
	unlock, err := f.lockInstall()
	if err != nil {
		return "", err
	}
	defer unlock()
	if dir, ok := f.find(); ok { // another test process was faster
		return dir, nil
	}
	if err := f.install(ctx); err != nil {
		return "", fmt.Errorf("%w (installing it failed: %w)", errNoPostgres, err)
	}
	if dir, ok := f.find(); ok {
		return dir, nil
	}
	return "", errNoPostgres
}

func (f finder) find() (string, bool) {
	for _, dir := range append(slices.Clone(f.path), f.debianVersions()...) {
		if executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "postgres")) {
			return dir, true
		}
	}
	return "", false
}

// debianVersions lists the folders of Debian's packages, newest first. The
// versions are numbers: 9 comes after 15.
func (f finder) debianVersions() []string {
	dirs, _ := filepath.Glob(filepath.Join(f.debian, "*", "bin")) // the pattern is well formed
	version := func(dir string) float64 {
		v, _ := strconv.ParseFloat(filepath.Base(filepath.Dir(dir)), 64) // what is no number is oldest
		return v
	}
	slices.SortFunc(dirs, func(a, b string) int { return cmp.Compare(version(b), version(a)) })
	return dirs
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

func installPackage(ctx context.Context, apt string) error {
	fmt.Fprintln(os.Stderr, "testpg: no PostgreSQL here; installing Debian's package postgresql")
	for _, args := range [][]string{
		{"update", "-q"},
		{"install", "-q", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", "postgresql"},
	} {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w: %s", args[0], err, out)
		}
	}
	return nil
}

// lockInstall lets one test process install at a time: "go test ./..." runs
// several packages at once, and apt-get update does not wait for its lock.
func (f finder) lockInstall() (unlock func(), err error) {
	file, err := os.OpenFile(f.lock, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("testpg: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("testpg: lock: %w", err), file.Close())
	}
	return func() { file.Close() }, nil
}
