package wasim

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
)

const (
	// maxMedia bounds one encrypted file.
	maxMedia = 128 << 20
	// maxMediaTotal bounds all files together; beyond it the oldest are gone,
	// as on the real servers after some weeks.
	maxMediaTotal = 2 << 30
)

var (
	errMediaFull   = errors.New("no room for so many uploads at once")
	errMediaLarge  = errors.New("file is too large")
	errMediaSum    = errors.New("content is not what its name says")
	errMediaClosed = errors.New("media store is closed")
)

// mediaName is the SHA-256 of an encrypted file, which is its name as well.
type mediaName = [sha256.Size]byte

// mediaStore keeps encrypted files on disk, in a directory of its own that is
// made with the first file and removed by close.
type mediaStore struct {
	capacity int64

	mu     sync.Mutex // guards all below
	dir    string
	closed bool
	used   int64 // bytes of files and of uploads that go on
	files  map[mediaName]mediaFile
	order  []mediaName // the oldest first
}

type mediaFile struct {
	path string
	size int64
}

func newMediaStore(capacity int64) *mediaStore {
	return &mediaStore{capacity: capacity, files: map[mediaName]mediaFile{}}
}

// keep stores what body holds, when that is what the name says.
func (m *mediaStore) keep(name mediaName, body io.Reader) error {
	file, err := m.create()
	if err != nil {
		return err
	}
	sum := sha256.New()
	up := &upload{store: m, file: file}
	_, err = io.Copy(io.MultiWriter(sum, up), io.LimitReader(body, maxMedia+1))
	err = errors.Join(err, file.Close())
	if err == nil && up.size > maxMedia {
		err = errMediaLarge
	}
	if err == nil && mediaName(sum.Sum(nil)) != name {
		err = errMediaSum
	}
	if err != nil || !m.add(name, mediaFile{file.Name(), up.size}) {
		return errors.Join(err, m.discard(file.Name(), up.size))
	}
	return nil
}

// upload writes a file and accounts for every byte before it is written.
type upload struct {
	store *mediaStore
	file  *os.File
	size  int64
}

// Write implements io.Writer.
func (u *upload) Write(p []byte) (int, error) {
	if err := u.store.reserve(int64(len(p))); err != nil {
		return 0, err
	}
	u.size += int64(len(p))
	return u.file.Write(p)
}

func (m *mediaStore) create() (*os.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errMediaClosed
	}
	if m.dir == "" {
		dir, err := os.MkdirTemp("", "wasim-media-")
		if err != nil {
			return nil, fmt.Errorf("make a directory for media: %w", err)
		}
		m.dir = dir
	}
	file, err := os.CreateTemp(m.dir, "")
	if err != nil {
		return nil, fmt.Errorf("make a file for media: %w", err)
	}
	return file, nil
}

// reserve makes room for n bytes by removing the oldest files.
func (m *mediaStore) reserve(n int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.used+n > m.capacity && len(m.order) > 0 {
		oldest := m.files[m.order[0]]
		delete(m.files, m.order[0])
		m.order = m.order[1:]
		m.used -= oldest.size
		if err := os.Remove(oldest.path); err != nil {
			return fmt.Errorf("remove the oldest media: %w", err)
		}
	}
	if m.used+n > m.capacity {
		return errMediaFull
	}
	m.used += n
	return nil
}

// add makes a file known. It reports false when there is one of this name.
func (m *mediaStore) add(name mediaName, file mediaFile) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.files[name]; known || m.closed {
		return false
	}
	m.files[name] = file
	m.order = append(m.order, name)
	return true
}

func (m *mediaStore) discard(path string, size int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= size
	if m.closed {
		return nil // gone with the directory
	}
	return os.Remove(path)
}

// open returns a file for reading, or os.ErrNotExist.
func (m *mediaStore) open(name mediaName) (*os.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	file, ok := m.files[name]
	if !ok {
		return nil, os.ErrNotExist
	}
	return os.Open(file.path)
}

// remove forgets a file.
func (m *mediaStore) remove(name mediaName) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	file, ok := m.files[name]
	if !ok {
		return os.ErrNotExist
	}
	delete(m.files, name)
	m.order = slices.DeleteFunc(m.order, func(other mediaName) bool { return other == name })
	m.used -= file.size
	return os.Remove(file.path)
}

// close removes everything. What is being read can be read to its end.
func (m *mediaStore) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	clear(m.files)
	m.order = nil
	if m.dir == "" {
		return nil
	}
	return os.RemoveAll(m.dir)
}
