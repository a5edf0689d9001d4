package whatsapp_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// shelf keeps files in memory.
type shelf struct {
	mu    sync.Mutex
	infos map[string]messaging.MediaInfo
	files map[string][]byte
	opens int
}

func newShelf() *shelf {
	return &shelf{infos: make(map[string]messaging.MediaInfo), files: make(map[string][]byte)}
}

func (s *shelf) put(mime, filename string, text []byte) messaging.MediaInfo {
	sum := sha256.Sum256(text)
	info := messaging.MediaInfo{
		ID: messaging.NewID(messaging.MediaPrefix, time.Now()), MIME: mime, Filename: filename, Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:]),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.infos[info.ID], s.files[info.ID] = info, text
	return info
}

func (s *shelf) file(id string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[id]
}

// OpenMedia implements whatsapp.MediaStore.
func (s *shelf) OpenMedia(_ context.Context, _ string, _ messaging.Environment, id string) (messaging.MediaInfo, io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opens++
	text, ok := s.files[id]
	if !ok {
		return messaging.MediaInfo{}, nil, fault.ErrNotFound
	}
	return s.infos[id], io.NopCloser(bytes.NewReader(text)), nil
}

// KeepInbound implements whatsapp.MediaStore.
func (s *shelf) KeepInbound(_ context.Context, _ string, _ messaging.Environment, _, filename, mime string, r io.Reader) (messaging.MediaInfo, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return messaging.MediaInfo{}, err
	}
	return s.put(mime, filename, text), nil
}

// kept is how many files there are.
func (s *shelf) kept() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.files)
}

func (s *shelf) opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opens
}
