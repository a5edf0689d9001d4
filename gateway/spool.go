package gateway

import (
	"errors"
	"io"
	"os"

	"portaria/media"
)

// spool is a file on the disk for the time of a request. Where the system allows
// it, its name goes as soon as it is open: nothing stays of it, however the
// process ends.
type spool struct {
	f    *os.File
	size int64
}

// newSpool makes an empty file in dir; empty: where the system keeps such files.
// Fault: media.ErrStorage.
func newSpool(dir string) (*spool, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, media.ErrStorage.Because(err)
		}
	}
	f, err := os.CreateTemp(dir, "upload-*") // 0600
	if err != nil {
		return nil, media.ErrStorage.Because(err)
	}
	_ = os.Remove(f.Name()) // a system that refuses is asked again by Close
	return &spool{f: f}, nil
}

// Write implements io.Writer. Fault: media.ErrStorage.
func (s *spool) Write(p []byte) (int, error) {
	n, err := s.f.Write(p)
	s.size += int64(n)
	if err != nil {
		return n, media.ErrStorage.Because(err)
	}
	return n, nil
}

// ReadAt implements io.ReaderAt. Fault: media.ErrStorage.
func (s *spool) ReadAt(p []byte, at int64) (int, error) {
	n, err := s.f.ReadAt(p, at)
	if err != nil && !errors.Is(err, io.EOF) {
		err = media.ErrStorage.Because(err)
	}
	return n, err
}

// reader reads the file from its beginning.
func (s *spool) reader() io.Reader { return io.NewSectionReader(s, 0, s.size) }

// Close removes the file.
func (s *spool) Close() error {
	err := s.f.Close()
	_ = os.Remove(s.f.Name()) // gone already where that is possible
	return err
}
