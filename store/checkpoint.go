package store

import (
	"context"
	"time"
)

// SQLite's write-ahead log is copied into the database beside the writers
// instead of inside a commit: the caller whose commit crossed SQLite's own
// threshold would wait for all of it.
const (
	checkpointInterval = 500 * time.Millisecond
	// restartFrames is how long the log may grow, in pages of 4 KiB, before
	// writers pause for the moment that copying the rest takes; the next write
	// begins it anew.
	restartFrames = 16384
)

// runCheckpoints copies the log while there are commits, until quit is closed.
func (s *Store) runCheckpoints(quit <-chan struct{}) {
	tick := time.NewTicker(checkpointInterval)
	defer tick.Stop()
	var copied int64
	for {
		select {
		case <-quit:
			return
		case <-tick.C:
		}
		commits := s.commits.Load()
		if commits == copied {
			continue
		}
		copied = commits
		if s.checkpoint() >= restartFrames {
			s.writing.Lock()
			s.checkpoint()
			s.writing.Unlock()
		}
	}
}

// checkpoint copies what no reader needs in its old place, and returns the
// length of the log. It waits for no one; what it cannot do now it does the
// next time.
func (s *Store) checkpoint() (frames int64) {
	var busy, copied int64
	err := s.w.QueryRowContext(context.Background(), `PRAGMA wal_checkpoint(PASSIVE)`).Scan(&busy, &frames, &copied)
	if err != nil {
		s.log.Warn("checkpoint failed, trying again", "error", err)
	}
	return frames
}
