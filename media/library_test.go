package media_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"portaria/internal/fault"
	"portaria/media"
	"portaria/messaging"
)

// memory is a store in memory.
type memory struct {
	mu    sync.Mutex
	rows  map[string]messaging.MediaInfo
	fails error
}

func (m *memory) InsertMedia(_ context.Context, row messaging.MediaInfo, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails == nil {
		m.rows[row.ID] = row
	}
	return m.fails
}

func (m *memory) FindMedia(_ context.Context, workspace string, env messaging.Environment, id string) (messaging.MediaInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	row, ok := m.rows[id]
	if !ok || row.WorkspaceID != workspace || row.Environment != env {
		return messaging.MediaInfo{}, fault.ErrNotFound
	}
	return row, nil
}

func (m *memory) DeleteMedia(_ context.Context, _ string, _ messaging.Environment, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rows, id)
	return nil
}

// shelf is a library with its store and folder.
type shelf struct {
	*media.Library

	store *memory
	dir   string
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{store: &memory{rows: make(map[string]messaging.MediaInfo)}, dir: filepath.Join(t.TempDir(), "media")}
	l, err := media.New(media.Options{Store: s.store, Dir: s.dir})
	if err != nil {
		t.Fatal(err)
	}
	s.Library = l
	return s
}

// files lists what lies in the library's folder.
func (s *shelf) files(t *testing.T) (names []string) {
	t.Helper()
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v", path, info.Mode())
		}
		if !d.IsDir() {
			names = append(names, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func tenancy(allow messaging.Allowlist) messaging.Tenancy {
	return messaging.NewTenancy("wsp_a", messaging.Test, allow)
}

func TestAKeptFileReadsBackByteForByte(t *testing.T) {
	s := newShelf(t)
	text := strings.Repeat("Olá\n", 100_000)
	m, err := s.Put(t.Context(), media.Upload{
		Tenancy: tenancy(messaging.AllInstances()), Lineage: "key_a", Filename: "../../etc/no\u202etes\n.txt", MIME: "text/csv", Reader: strings.NewReader(text),
	})
	if err != nil {
		t.Fatal(err)
	}
	got, r, err := s.Open(t.Context(), tenancy(messaging.AllInstances()), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil || string(b) != text {
		t.Errorf("%d bytes came back, %v", len(b), err)
	}
	if got != m || m.Filename != "notes.txt" || m.MIME != "text/csv" || m.Size != int64(len(text)) || len(m.SHA256) != 64 {
		t.Errorf("kept as %+v", m)
	}
	if n := len(s.files(t)); n != 1 {
		t.Errorf("%d files", n)
	}
}

// A refused upload may be anything, and come as often as a caller likes.
func TestWhatIsNotKeptLeavesNothingBehind(t *testing.T) {
	broken := errors.New("the line went dead")
	for name, try := range map[string]func(*shelf) error{
		"too large": func(s *shelf) error {
			_, err := s.Spool(bytes.NewReader(make([]byte, 11)), 10)
			return expect(err, media.ErrTooLarge)
		},
		"empty": func(s *shelf) error { _, err := s.Spool(strings.NewReader(""), 10); return expect(err, media.ErrEmpty) },
		"broken": func(s *shelf) error {
			_, err := s.Spool(io.MultiReader(strings.NewReader("abc"), failing{broken}), 10)
			return expect(err, broken)
		},
		"discarded": func(s *shelf) error {
			spooled, err := s.Spool(strings.NewReader("abc"), 10)
			spooled.Discard()
			spooled.Discard()
			return err
		},
		"the database refuses": func(s *shelf) error {
			s.store.fails = broken
			_, err := s.Put(context.Background(), media.Upload{Tenancy: tenancy(messaging.AllInstances()), Reader: strings.NewReader("abc")})
			return expect(err, broken)
		},
		"dropped": func(s *shelf) error {
			m, err := s.Put(context.Background(), media.Upload{Tenancy: tenancy(messaging.AllInstances()), Reader: strings.NewReader("abc")})
			return errors.Join(err, s.Drop(context.Background(), m))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			if err := try(s); err != nil {
				t.Error(err)
			}
			if left := s.files(t); len(left) > 0 || len(s.store.rows) > 0 {
				t.Errorf("left behind: %v, %v", left, s.store.rows)
			}
		})
	}
}

func expect(err, want error) error {
	if errors.Is(err, want) {
		return nil
	}
	return errors.Join(errors.New("another error than expected"), err)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A disk that does not take the file is the operator's matter, told apart from
// what a caller does wrong.
func TestADiskThatRefusesIsSaidToBeOne(t *testing.T) {
	s := newShelf(t)
	if err := os.WriteFile(s.dir, nil, 0o600); err != nil { // where the folder should be
		t.Fatal(err)
	}
	_, err := s.Spool(strings.NewReader("abc"), 10)
	if f := fault.As(err); f == nil || f.Kind() != fault.Unavailable {
		t.Errorf("%v, want a temporary fault", err)
	}
}

// A locked key opens no file of an instance outside of its list, and an id of
// another workspace or world is no id at all.
func TestFilesAreFoundWithinTheTenancyOnly(t *testing.T) {
	s := newShelf(t)
	m, err := s.KeepInbound(t.Context(), "wsp_a", messaging.Test, "ins_a", "photo.png", "", strings.NewReader("abc"))
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]struct {
		tenancy messaging.Tenancy
		found   bool
	}{
		"every instance":    {tenancy(messaging.AllInstances()), true},
		"its instance":      {tenancy(messaging.OnlyInstances("ins_a")), true},
		"another instance":  {tenancy(messaging.OnlyInstances("ins_b")), false},
		"no instance":       {tenancy(messaging.OnlyInstances()), false},
		"another workspace": {messaging.NewTenancy("wsp_b", messaging.Test, messaging.AllInstances()), false},
		"the other world":   {messaging.NewTenancy("wsp_a", messaging.Live, messaging.AllInstances()), false},
	} {
		_, r, err := s.Open(t.Context(), try.tenancy, m.ID)
		if err == nil {
			r.Close()
		}
		if found := err == nil; found != try.found || (!found && !errors.Is(err, fault.ErrNotFound)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, id := range []string{"", "med_", "../../etc/passwd", "msg_" + m.ID[4:], m.ID + "/.."} {
		if _, err := s.Find(t.Context(), tenancy(messaging.AllInstances()), id); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestOnlyOldLeftoversAreCleanedAway(t *testing.T) {
	s := newShelf(t)
	old, err := s.Spool(strings.NewReader("old"), 10)
	if err != nil {
		t.Fatal(err)
	}
	path := s.files(t)[0]
	long := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(path, long, long); err != nil {
		t.Fatal(err)
	}
	young, err := s.Spool(strings.NewReader("young"), 10)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Discard()
	defer young.Discard()
	if err := s.Clean(); err != nil {
		t.Fatal(err)
	}
	if left := s.files(t); len(left) != 1 || left[0] == path {
		t.Errorf("left: %v", left)
	}
}
