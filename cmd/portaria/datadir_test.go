package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree makes files and folders (with a slash at the end) with loose modes.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// modes lists the mode of a folder, as ".", and of all below it.
func modes(t *testing.T, dir string) map[string]fs.FileMode {
	t.Helper()
	found := make(map[string]fs.FileMode)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		found[name] = info.Mode().Perm()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func prepare(t *testing.T, dir string) (said string) {
	t.Helper()
	var log strings.Builder
	c := Config{DataDir: dir}
	if err := c.prepareDataDir(slog.New(slog.NewTextHandler(&log, nil))); err != nil {
		t.Fatal(err)
	}
	return log.String()
}

// The data folder holds the keys of the house: what is Portaria's is closed to
// others, with a warning that it was not.
func TestLooseModesOfPortariasOwnAreMended(t *testing.T) {
	dir := tree(t, append([]string{"lost+found/", "notes.txt"}, ownFiles...)...)
	said := prepare(t, dir)
	want := map[string]fs.FileMode{".": 0o700, "lost+found": 0o755, "notes.txt": 0o644}
	for _, name := range ownFiles {
		want[name] = 0o600
		if !strings.Contains(said, filepath.Join(dir, name)+" ") {
			t.Errorf("no warning names %s", name)
		}
	}
	if diff := cmp.Diff(want, modes(t, dir)); diff != "" {
		t.Errorf("modes (-want +got):\n%s", diff)
	}
	if said := prepare(t, dir); said != "" {
		t.Errorf("what is mended is warned of again: %s", said)
	}
	empty := tree(t)
	prepare(t, empty)
	if got := modes(t, empty)["."]; got != 0o700 {
		t.Errorf("an empty folder has mode %o", got)
	}
	made := filepath.Join(t.TempDir(), "a", "b")
	if said := prepare(t, made); said != "" || modes(t, made)["."] != 0o700 {
		t.Errorf("a new folder has mode %o; said %s", modes(t, made)["."], said)
	}
}

// --data-dir may name a home, or /: a server that closed these to everybody
// else, at its first start or at its second, would break the machine.
func TestWhatIsNotPortariasIsLeftAlone(t *testing.T) {
	for name, files := range map[string][]string{
		"a stranger's folder":       {"thesis.tex", ".ssh/config", "bin/tool"},
		"a folder with one file":    {"thesis.tex"},
		"folders below our own":     {"portaria.db", "secret.key", "backups/portaria.db", "bin/secret.key"},
		"a second start in a home":  {"portaria.db", "thesis.tex", ".cache/"},
		"names that only look like": {"my-portaria.db", "secret.key.bak", "portaria.db/inner"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, files...)
			want := modes(t, dir)
			for _, own := range ownFiles {
				if info, err := os.Stat(filepath.Join(dir, own)); err == nil && info.Mode().IsRegular() {
					want[own] = 0o600
				}
			}
			prepare(t, dir)
			if diff := cmp.Diff(want, modes(t, dir)); diff != "" {
				t.Errorf("modes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLinksAndSharedFoldersAreLeftAlone(t *testing.T) {
	elsewhere := tree(t, "target")
	dir := tree(t)
	if err := os.Symlink(filepath.Join(elsewhere, "target"), filepath.Join(dir, secretKeyFile)); err != nil {
		t.Fatal(err)
	}
	prepare(t, dir)
	if got := modes(t, elsewhere)["target"]; got != 0o644 {
		t.Errorf("what a link points to has mode %o now", got)
	}
	shared := tree(t, "portaria.db")
	if err := os.Chmod(shared, 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	prepare(t, shared)
	if got := modes(t, shared); got["."] != 0o777 || got["portaria.db"] != 0o600 {
		t.Errorf("a folder that all users share: %v", got)
	}
}

// A power cut between the key and what is made with it must leave a key: the
// database would refuse any other.
func TestASecretIsWrittenWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path, draft := filepath.Join(dir, secretKeyFile), filepath.Join(dir, secretKeyDraft)
	if err := os.WriteFile(draft, []byte("half of an older draft, and longer than what is written now"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Config{DataDir: dir}
	key, err := c.secretKey()
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.secretKey()
	if err != nil || fingerprint(again) != fingerprint(key) {
		t.Errorf("the key that was stored is another one (%v)", err)
	}
	if diff := cmp.Diff(map[string]fs.FileMode{".": modes(t, dir)["."], secretKeyFile: 0o600}, modes(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	// Where the draft cannot be written, there is no key, and no half of one.
	if err := errors.Join(os.Remove(path), os.Mkdir(draft, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.secretKey(); err == nil {
		t.Error("a key that could not be stored was used")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a key that could not be drafted was stored")
	}
}
