package media

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// spoolDir is where files are written before they are kept.
const spoolDir = "spool"

// sniffBytes is how much of a file is looked at to find its type.
const sniffBytes = 4 << 10

// Spooled is a file on the disk that nobody knows of yet. It is removed by
// Discard unless it was kept.
type Spooled struct {
	Size   int64
	SHA256 string // in hex
	MIME   string // what the bytes are

	path string // empty once it is kept or discarded
}

// Spool writes a file of at most limit bytes to the disk. Faults: ErrTooLarge,
// ErrEmpty, ErrStorage; errors of the reader are returned as they are.
func (l *Library) Spool(r io.Reader, limit int64) (*Spooled, error) {
	f, err := l.newSpool()
	if err != nil {
		return nil, ErrStorage.Because(err)
	}
	s := &Spooled{path: f.Name()}
	if err := s.fill(f, r, limit); err != nil {
		s.Discard()
		return nil, err
	}
	return s, nil
}

// fill writes the file and finds out what it is.
func (s *Spooled) fill(f *os.File, r io.Reader, limit int64) error {
	sum := sha256.New()
	head := &headWriter{most: sniffBytes}
	n, err := io.Copy(io.MultiWriter(storing{f}, sum, head), io.LimitReader(r, limit+1))
	if err == nil && n <= limit && n > 0 {
		// What was read is only promised when it is kept, but a disk that is full
		// says so here.
		err = storageFault(f.Sync())
	}
	if closed := storageFault(f.Close()); err == nil {
		err = closed
	}
	switch {
	case err != nil:
		return err
	case n > limit:
		return ErrTooLarge
	case n == 0:
		return ErrEmpty
	}
	s.Size, s.SHA256 = n, hex.EncodeToString(sum.Sum(nil))
	s.MIME = sniff(head.b)
	return nil
}

// Discard removes the file unless it was kept. It may be called more than once.
func (s *Spooled) Discard() {
	if s == nil || s.path == "" {
		return
	}
	_ = os.Remove(s.path) // should it stay, Clean finds it
	s.path = ""
}

// moveTo gives the file its name for good, so that it outlives a power cut.
func (s *Spooled) moveTo(path string) error {
	dir := filepath.Dir(path)
	_, err := os.Stat(dir)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return ErrStorage.Because(err)
	}
	if err := os.Rename(s.path, path); err != nil {
		return ErrStorage.Because(err)
	}
	s.path = ""
	err = syncDir(dir)
	if err == nil && fresh {
		err = syncDir(filepath.Dir(dir))
	}
	if err != nil {
		return ErrStorage.Because(errors.Join(err, os.Remove(path)))
	}
	return nil
}

func (l *Library) newSpool() (*os.File, error) {
	dir := filepath.Join(l.dir, spoolDir)
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, err
	}
	return os.CreateTemp(dir, "*") // 0600
}

// spoolLife is how long a file may be spooled: longer than any request.
const spoolLife = 6 * time.Hour

// Clean removes what a process that died had spooled. Files of requests that
// are just being answered, here or by another server on the same folder, are
// younger.
func (l *Library) Clean() error {
	dir := filepath.Join(l.dir, spoolDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return ErrStorage.Because(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || time.Since(info.ModTime()) < spoolLife {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return ErrStorage.Because(err)
		}
	}
	return nil
}

// syncDir makes names that were given in a folder outlive a power cut.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// storing is a file whose refusals are told from those of who sends.
type storing struct{ f *os.File }

// Write implements io.Writer.
func (s storing) Write(p []byte) (int, error) {
	n, err := s.f.Write(p)
	return n, storageFault(err)
}

func storageFault(err error) error {
	if err == nil {
		return nil
	}
	return ErrStorage.Because(err)
}

// headWriter keeps the beginning of what is written.
type headWriter struct {
	most int
	b    []byte
}

// Write implements io.Writer.
func (h *headWriter) Write(p []byte) (int, error) {
	if left := h.most - len(h.b); left > 0 {
		h.b = append(h.b, p[:min(left, len(p))]...)
	}
	return len(p), nil
}

// maxNameBytes is the longest file name that is kept.
const maxNameBytes = 255

// cleanName keeps of a file's name what recipients are shown: no path, no
// control characters.
func cleanName(name string) string {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, "")))
	for len(name) > maxNameBytes {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}
