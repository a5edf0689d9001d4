package gateway_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"portaria/internal/fault"
	"portaria/media"
	"portaria/messaging"
)

// shelf knows the files of a test's library, which lie on the real disk.
type shelf struct {
	mu   sync.Mutex
	rows map[string]messaging.MediaInfo
	dir  string
}

func (s *shelf) InsertMedia(_ context.Context, m messaging.MediaInfo, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[m.ID] = m
	return nil
}

func (s *shelf) FindMedia(_ context.Context, workspace string, env messaging.Environment, id string) (messaging.MediaInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.rows[id]
	if !ok || m.WorkspaceID != workspace || m.Environment != env {
		return messaging.MediaInfo{}, fault.ErrNotFound
	}
	return m, nil
}

func (s *shelf) DeleteMedia(_ context.Context, _ string, _ messaging.Environment, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, id)
	return nil
}

// library makes the house's library.
func (h *house) library(t *testing.T) (l *media.Library) {
	t.Helper()
	l, h.shelf = newLibrary(t)
	return l
}

// newLibrary makes a library that may fetch from this machine's IPv4 loopback
// only.
func newLibrary(t testing.TB) (*media.Library, *shelf) {
	t.Helper()
	s := &shelf{rows: make(map[string]messaging.MediaInfo), dir: filepath.Join(t.TempDir(), "media")}
	l, err := media.New(media.Options{Store: s, Dir: s.dir, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	if err != nil {
		t.Fatal(err)
	}
	return l, s
}
