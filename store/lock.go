package store

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// lockDataDir takes the data directory for one server. The lock is the
// process's own and goes with it, however it ends.
func lockDataDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, sqliteFile+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, ErrDataDir.Because(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(ErrDatabaseLocked.Because(err), f.Close())
	}
	return f, nil
}

func (s *Store) unlock() {
	if s.lock != nil {
		_ = s.lock.Close() // closing gives the lock back; there is nothing else to lose
		s.lock = nil
	}
}
