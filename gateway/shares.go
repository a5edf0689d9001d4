package gateway

import "sync"

// shares divides what the whole server has of something among key lineages, so
// that neither all of them together nor one alone takes too much of it.
type shares struct {
	total, each int64

	mu    sync.Mutex
	taken int64            // guarded by mu
	by    map[string]int64 // guarded by mu; only those that hold something
}

func newShares(total, each int64) *shares {
	return &shares{total: total, each: each, by: make(map[string]int64)}
}

// take takes n for a lineage; false when it or the server has not so much left.
// It never waits: who waits holds a connection and what it has sent so far.
func (s *shares) take(lineage string, n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken+n > s.total || s.by[lineage]+n > s.each {
		return false
	}
	s.taken += n
	s.by[lineage] += n
	return true
}

// give gives back what was taken.
func (s *shares) give(lineage string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken -= n
	if s.by[lineage] -= n; s.by[lineage] <= 0 {
		delete(s.by, lineage)
	}
}
