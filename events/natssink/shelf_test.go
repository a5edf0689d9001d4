package natssink_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"portaria/events/natssink"
	"portaria/messaging"
)

// shelf is a store in memory. It fails when it is told to.
type shelf struct {
	mu      sync.Mutex
	events  map[messaging.World][]messaging.Event
	cursors map[messaging.World]int64
	moves   int
	// refuse, when set, may refuse a move before it is made; moved hears of it.
	refuse func(messaging.World, int64) error
	down   bool // nothing can be read
}

var _ natssink.Store = (*shelf)(nil)

var errDown = errors.New("the database is down")

func newShelf() *shelf {
	return &shelf{events: map[messaging.World][]messaging.Event{}, cursors: map[messaging.World]int64{}}
}

// commit records n events of a world and returns them as they are told.
func (s *shelf) commit(w messaging.World, n int) []messaging.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.events[w] = append(s.events[w], newEvent(w, int64(len(s.events[w])+1)))
	}
	return slices.Clone(s.events[w][len(s.events[w])-n:])
}

func (s *shelf) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *shelf) cursor(w messaging.World) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursors[w]
}

func (s *shelf) Worlds(context.Context) (out []messaging.World, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, errDown
	}
	for w := range s.events {
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b messaging.World) int {
		return cmp.Or(cmp.Compare(a.WorkspaceID, b.WorkspaceID), cmp.Compare(a.Environment, b.Environment))
	})
	return out, nil
}

func (s *shelf) EventHead(ctx context.Context, w messaging.World) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err // as a database does
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return 0, errDown
	}
	return int64(len(s.events[w])), nil
}

func (s *shelf) EventsAfter(_ context.Context, w messaging.World, after int64, limit int) ([]messaging.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, errDown
	}
	rest := s.events[w][min(after, int64(len(s.events[w]))):]
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}

func (s *shelf) SinkCursors(_ context.Context, _ string) (map[messaging.World]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, errDown
	}
	out := make(map[messaging.World]int64, len(s.cursors))
	for w, n := range s.cursors {
		out[w] = n
	}
	return out, nil
}

func (s *shelf) MoveSinkCursor(_ context.Context, _ string, w messaging.World, sequence int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		if err := s.refuse(w, sequence); err != nil {
			return err
		}
	}
	s.moves++
	s.cursors[w] = max(s.cursors[w], sequence)
	return nil
}
