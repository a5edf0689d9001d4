package testpg

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// putServer makes a folder look like one with the server's programs.
func putServer(t *testing.T, dir string, programs ...string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestBinariesAreFoundInOrder: PATH is the user's own choice, then the newest
// of Debian's versions by number, and a client alone is no server.
func TestBinariesAreFoundInOrder(t *testing.T) {
	root := t.TempDir()
	client := putServer(t, filepath.Join(root, "client"), "psql", "initdb")
	chosen := putServer(t, filepath.Join(root, "chosen"), "initdb", "postgres")
	debian := filepath.Join(root, "debian")
	for _, version := range []string{"9.6", "15", "14"} {
		putServer(t, filepath.Join(debian, version, "bin"), "initdb", "postgres")
	}
	putServer(t, filepath.Join(debian, "17", "bin"), "psql") // only its client is installed

	tests := []struct {
		name   string
		finder finder
		want   string
	}{
		{"PATH first", finder{path: []string{client, chosen}, debian: debian}, chosen},
		{"newest of Debian's", finder{path: []string{client}, debian: debian}, filepath.Join(debian, "15", "bin")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.finder.serverBinaries(t.Context())
			if err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

// TestMachineWithoutServerSaysWhatToInstall: a newcomer reads this sentence
// instead of a stack of failed tests.
func TestMachineWithoutServerSaysWhatToInstall(t *testing.T) {
	_, err := finder{debian: t.TempDir()}.serverBinaries(t.Context())
	if !errors.Is(err, errNoPostgres) {
		t.Fatalf("got %v, want errNoPostgres", err)
	}
	for _, word := range []string{"apt-get install postgresql", EnvURL} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not mention %q", err, word)
		}
	}
}

// TestPackageIsInstalledOnlyWhenAbsent covers the fresh machine, and the
// failure of its installer, whose own words must be shown.
func TestPackageIsInstalledOnlyWhenAbsent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bin")
	lock := filepath.Join(t.TempDir(), "lock")
	installed := 0
	f := finder{path: []string{dir}, lock: lock, install: func(context.Context) error {
		installed++
		putServer(t, dir, "initdb", "postgres")
		return nil
	}}
	for range 2 {
		if got, err := f.serverBinaries(t.Context()); err != nil || got != dir {
			t.Fatalf("got %q, %v, want %q", got, err, dir)
		}
	}
	if installed != 1 {
		t.Errorf("installed %d times, want once", installed)
	}

	f = finder{lock: lock, install: func(context.Context) error { return errors.New("no route to the mirror") }}
	_, err := f.serverBinaries(t.Context())
	if !errors.Is(err, errNoPostgres) || !strings.Contains(err.Error(), "no route to the mirror") {
		t.Errorf("got %v, want what to do and why the installer failed", err)
	}
}

// TestInstallerRunsUnattended: on a CI machine nobody answers a question of
// the package's set-up, and what apt-get complains of is all there is to see.
func TestInstallerRunsUnattended(t *testing.T) {
	dir := t.TempDir()
	calls := filepath.Join(dir, "calls")
	apt := filepath.Join(dir, "apt-get")
	script := "#!/bin/sh\necho \"$DEBIAN_FRONTEND $*\" >>" + calls + "\n"
	if err := os.WriteFile(apt, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := installPackage(t.Context(), apt); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	want := "noninteractive update -q\n" +
		"noninteractive install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 postgresql\n"
	if string(got) != want {
		t.Errorf("apt-get was called so:\n%swant:\n%s", got, want)
	}

	if err := os.WriteFile(apt, []byte("#!/bin/sh\necho no space left; exit 100\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := installPackage(t.Context(), apt); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("got %v, want the installer's own words", err)
	}
}
