package bulk

import "sync"

// tracker knows which messages of bulks are in lanes, and of which bulk each is.
// It is asked about every message that is sent, so it has a lock of its own.
type tracker struct {
	mu   sync.Mutex
	runs map[string]*run // by message
}

func (t *tracker) add(r *run, ids ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		t.runs[id] = r
	}
}

func (t *tracker) find(id string) *run {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.runs[id]
}

func (t *tracker) remove(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.runs, id)
}

// forget removes the messages of a feed.
func (t *tracker) forget(ids map[string]bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range ids {
		delete(t.runs, id)
	}
}
