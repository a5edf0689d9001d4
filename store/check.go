package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Exists reports whether a SQLite database is in a data directory. Open makes
// one where there is none, which who only looks around must not do.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, sqliteFile))
	return !errors.Is(err, fs.ErrNotExist)
}

// QuickCheck reads the whole of a SQLite file and looks for damage, which may
// take a while. PostgreSQL guards its pages itself: there, the database is only
// asked whether it answers. Fault: ErrDatabaseCorrupt.
func (s *Store) QuickCheck(ctx context.Context) error {
	const q = `
PRAGMA quick_check(1) -- only: sqlite
SELECT 'ok' -- only: postgres
`
	var said string
	if err := s.r.GetContext(ctx, &said, s.engine.sql(q)); err != nil {
		return fmt.Errorf("quick check: %w", explain(err))
	}
	if said != "ok" {
		return ErrDatabaseCorrupt.Because(errors.New(said))
	}
	return nil
}

// Clock returns the time of the machine that the database is on.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	const q = `
SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER) -- only: sqlite
SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) -- only: postgres
`
	var us int64
	if err := s.r.GetContext(ctx, &us, s.engine.sql(q)); err != nil {
		return time.Time{}, fmt.Errorf("database clock: %w", explain(err))
	}
	return fromMicros(us), nil
}
