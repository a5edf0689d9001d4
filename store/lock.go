package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// One server may run on a database: each holds all lanes in memory, so two
// would send everything twice as often. The lock goes with the process,
// however it ends.

// serverLock is the lock of a server; one of its fields is set.
type serverLock struct {
	file *os.File
	conn *sql.Conn
}

func (l serverLock) release() {
	if l.file != nil {
		_ = l.file.Close() // closing gives the lock back; there is nothing else to lose
	}
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// lockDataDir takes the data directory.
func lockDataDir(dir string) (serverLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, sqliteFile+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return serverLock{}, ErrDataDir.Because(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return serverLock{}, errors.Join(ErrDatabaseLocked.Because(err), f.Close())
	}
	return serverLock{file: f}, nil
}

const (
	// serverLockKey is "portaria" in ASCII.
	serverLockKey = 0x706f727461726961
	// lockPatience is how long PostgreSQL may take to notice that the server
	// before this one was killed.
	lockPatience = 5 * time.Second
	lockRetry    = 100 * time.Millisecond
)

// lockDatabase takes a database on a server: an advisory lock of a connection
// that is kept for it.
func (s *Store) lockDatabase(ctx context.Context) (serverLock, error) {
	const q = `SELECT pg_try_advisory_lock($1)`
	conn, err := s.w.Conn(ctx)
	if err != nil {
		return serverLock{}, fmt.Errorf("lock: %w", explain(err))
	}
	retry := time.NewTicker(lockRetry)
	defer retry.Stop()
	for end := time.Now().Add(lockPatience); ; <-retry.C {
		var locked bool
		if err := conn.QueryRowContext(ctx, q, int64(serverLockKey)).Scan(&locked); err != nil {
			return serverLock{}, errors.Join(fmt.Errorf("lock: %w", explain(err)), conn.Close())
		}
		if locked {
			return serverLock{conn: conn}, nil
		}
		if time.Now().After(end) {
			return serverLock{}, errors.Join(ErrDatabaseLocked, conn.Close())
		}
	}
}
