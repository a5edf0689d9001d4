package testbin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// put makes a folder look like one with programs in it.
func put(t *testing.T, dir string, programs ...string) string {
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

// TestProgramsAreFoundInOrder: PATH is the user's own choice, then the newest
// version by number, and a program without what belongs beside it does not
// count.
func TestProgramsAreFoundInOrder(t *testing.T) {
	root := t.TempDir()
	half := put(t, filepath.Join(root, "half"), "initdb")
	alone := put(t, filepath.Join(root, "alone"), "postgres")
	chosen := put(t, filepath.Join(root, "chosen"), "initdb", "postgres")
	debian := filepath.Join(root, "debian")
	for _, version := range []string{"9.6", "15", "14"} {
		put(t, filepath.Join(debian, version, "bin"), "initdb", "postgres")
	}
	put(t, filepath.Join(debian, "17", "bin"), "psql") // only its client is installed
	local := put(t, filepath.Join(root, "local"), "initdb", "postgres")

	tests := []struct {
		name  string
		path  []string
		paths []string
		want  string
	}{
		{"PATH first", []string{half, alone, chosen}, []string{debian + "/*/bin/postgres"}, chosen},
		{"the newest of a pattern", []string{half}, []string{debian + "/*/bin/postgres"}, filepath.Join(debian, "15", "bin")},
		{"the first pattern first", nil, []string{local + "/postgres", debian + "/*/bin/postgres"}, local},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := Program{Name: "postgres", Beside: []string{"initdb"}, Paths: test.paths}
			got, err := finder{path: test.path}.find(t.Context(), p)
			if want := filepath.Join(test.want, "postgres"); err != nil || got != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
}

// TestMachineWithoutProgramSaysWhatToInstall: a newcomer reads this sentence
// instead of a stack of failed tests.
func TestMachineWithoutProgramSaysWhatToInstall(t *testing.T) {
	_, err := finder{}.find(t.Context(), Program{Name: "node", Package: "nodejs", Otherwise: ", or nvm"})
	want := "testbin: there is no node on this machine: install it (Debian, Ubuntu: apt-get install nodejs), or nvm"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestPackageIsInstalledOnlyWhenAbsent covers the fresh machine on which several
// test processes ask for the same program at once.
func TestPackageIsInstalledOnlyWhenAbsent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bin")
	lock := filepath.Join(t.TempDir(), "lock")
	installed := 0 // the lock file is all that guards it
	f := finder{path: []string{dir}, lock: lock, install: func(context.Context, Program) error {
		installed++
		put(t, dir, "node")
		return nil
	}}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if got, err := f.find(t.Context(), Program{Name: "node"}); err != nil || got != filepath.Join(dir, "node") {
				t.Errorf("got %q, %v, want it in %q", got, err, dir)
			}
		})
	}
	all.Wait()
	if installed != 1 {
		t.Errorf("installed %d times, want once", installed)
	}
}

// TestFailedInstallationIsExplained: the installer's own words are all that
// there is to see on a CI machine.
func TestFailedInstallationIsExplained(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "lock")
	cause := errors.New("no route to the mirror")
	f := finder{lock: lock, install: func(context.Context, Program) error { return cause }}
	_, err := f.find(t.Context(), Program{Name: "node", Package: "nodejs"})
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "apt-get install nodejs") || !strings.Contains(err.Error(), cause.Error()) {
		t.Errorf("got %v, want what to do and why the installer failed", err)
	}
	f.install = func(context.Context, Program) error { return nil }
	if _, err = f.find(t.Context(), Program{Name: "node", Package: "nodejs-doc"}); err == nil || !strings.Contains(err.Error(), "does not have it") {
		t.Errorf("got %v, want that the package is the wrong one", err)
	}
}

// TestWaitingForAnInstallationEndsWithTheContext: a test that is given up must
// not hang on another process's apt-get.
func TestWaitingForAnInstallationEndsWithTheContext(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(t.Context(), lock)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lockFile(ctx, lock); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the context ended", err)
	}
}

// installer is an apt-get that notes how it was called and then runs a script.
func installer(t *testing.T, script string) (a *apt, calls func() string) {
	t.Helper()
	dir := t.TempDir()
	path, log := filepath.Join(dir, "apt-get"), filepath.Join(dir, "calls")
	text := "#!/bin/sh\necho \"$DEBIAN_FRONTEND $*\" >>" + log + "\n" + script + "\n"
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return &apt{command: []string{path}, lists: filepath.Join(dir, "lists")}, func() string {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// TestInstallerRunsUnattended: nobody answers a question of the package's set-up.
// The lists are updated once for all packages of a test run.
func TestInstallerRunsUnattended(t *testing.T) {
	a, calls := installer(t, "")
	for _, name := range []string{"nodejs", "npm"} {
		if err := a.install(t.Context(), Program{Package: name}); err != nil {
			t.Fatal(err)
		}
	}
	want := "noninteractive update -q\n" +
		"noninteractive install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 nodejs\n" +
		"noninteractive install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 npm\n"
	if got := calls(); got != want {
		t.Errorf("apt-get was called so:\n%swant:\n%s", got, want)
	}
	old := time.Now().Add(-listsLife)
	if err := os.Chtimes(a.lists, old, old); err != nil {
		t.Fatal(err)
	}
	if err := a.install(t.Context(), Program{Package: "npm"}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(calls(), "update"); got != 2 {
		t.Errorf("updated %d times, want again for lists of long ago", got)
	}
}

// TestListsThatDoNotHelpAreUpdated: whoever cleans the image after each step
// takes the lists away.
func TestListsThatDoNotHelpAreUpdated(t *testing.T) {
	a, calls := installer(t, `case "$1" in update) : >"$0.updated";; *) [ -e "$0.updated" ];; esac`)
	if err := os.WriteFile(a.lists, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.install(t.Context(), Program{Package: "npm"}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(calls(), "\n"); got != 3 {
		t.Errorf("apt-get was called %d times, want install, update, install:\n%s", got, calls())
	}
}

// TestInstallerIsQuoted: what apt-get complains of is all there is to see.
func TestInstallerIsQuoted(t *testing.T) {
	a, _ := installer(t, "echo no space left; exit 100")
	if err := a.install(t.Context(), Program{Package: "npm"}); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("got %v, want the installer's own words", err)
	}
}
