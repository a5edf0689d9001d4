package bulk

import "sync"

// tracker knows which messages of bulks are in lanes, and of which bulk each is.
// It is asked about every message that is sent, so it has a lock of its own.
type tracker struct {
	mu      sync.Mutex
	runs    map[string]*run // by message
	readers int             // how many read from the store what is in lanes
	left    map[string]bool // what has left its lane since the first of them began
}

func (t *tracker) add(r *run, ids ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		t.runs[id] = r
	}
}

// find returns whose message it is; nil: nobody's that is known. gone says that
// the message has left its lane.
func (t *tracker) find(id string, gone bool) *run {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.runs[id]
	if r == nil && gone && t.readers > 0 {
		t.left[id] = true
	}
	return r
}

func (t *tracker) remove(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.runs, id)
}

// beginRead and endRead stand around a read of what is in lanes: what leaves
// meanwhile is kept in mind.
func (t *tracker) beginRead() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.readers == 0 {
		t.left = make(map[string]bool)
	}
	t.readers++
}

func (t *tracker) endRead() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.readers--; t.readers == 0 {
		t.left = nil
	}
}

// adopt notes a message that was read as the run's, unless it has left its lane
// since. It is for between beginRead and endRead.
func (t *tracker) adopt(r *run, id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left[id] {
		return false
	}
	t.runs[id] = r
	return true
}

// forget removes the messages of a feed.
func (t *tracker) forget(messages map[string]inLane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range messages {
		delete(t.runs, id)
	}
}
