package whatsapp

import (
	"context"
	"sync"
	"time"
)

const (
	// maxTogether bounds the entries of one commit: those who wait for it wait
	// for all of them.
	maxTogether = 64
	// writePatience bounds a commit. A database that does not answer must not
	// hold every instance for ever.
	writePatience = 10 * time.Second
)

// scribe writes what messages leave in the sessions' tables. Messages of many
// instances that come while it writes share its next commit, for a commit costs
// more than what is in it. Nobody's message leaves before its commit.
type scribe struct {
	// begin runs a function in a transaction, which the context that it gets
	// carries; the stores of every session write into it.
	begin func(context.Context, func(context.Context) error) error

	mu      sync.Mutex
	waiting []*entry
	writing bool
}

// entry is what one message leaves.
type entry struct {
	write func(context.Context) error // may be called again when the commit failed
	done  chan error
}

// write returns when the entry is on the disk, or its error.
func (s *scribe) write(ctx context.Context, write func(context.Context) error) error {
	e := &entry{write: write, done: make(chan error, 1)}
	s.mu.Lock()
	s.waiting = append(s.waiting, e)
	begins := !s.writing
	s.writing = true
	s.mu.Unlock()
	if begins {
		go s.work(context.WithoutCancel(ctx))
	}
	return <-e.done
}

// work writes until nobody waits.
func (s *scribe) work(ctx context.Context) {
	for {
		s.mu.Lock()
		n := min(len(s.waiting), maxTogether)
		batch := s.waiting[:n:n]
		s.waiting = s.waiting[n:]
		if n == 0 {
			s.waiting, s.writing = nil, false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		s.commit(ctx, batch)
	}
}

// commit writes a batch together. When that fails, each is written alone, so
// that one which cannot be written takes none along.
func (s *scribe) commit(ctx context.Context, batch []*entry) {
	err := s.together(ctx, batch)
	for i, e := range batch {
		if err != nil && len(batch) > 1 {
			e.done <- s.together(ctx, batch[i:i+1])
			continue
		}
		e.done <- err
	}
}

func (s *scribe) together(ctx context.Context, batch []*entry) error {
	limited, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	return s.begin(limited, func(ctx context.Context) error {
		for _, e := range batch {
			if err := e.write(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}
