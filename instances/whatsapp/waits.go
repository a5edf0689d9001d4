package whatsapp

import "sync"

// waits counts, by recipient, how often in a row a message could not be tried:
// whoever cannot be looked up is looked up less and less often. Attempts do not
// tell, for they are of messages that WhatsApp was given.
type waits struct {
	mu    sync.Mutex
	times map[string]int
}

// add notes that a recipient's message could not be tried.
func (w *waits) add(waID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.times == nil || len(w.times) >= maxPeople {
		w.times = make(map[string]int) // at worst somebody is looked up more often
	}
	w.times[waID]++
}

// end notes that nothing keeps a recipient's message from being tried.
func (w *waits) end(waID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.times, waID)
}

func (w *waits) of(waID string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.times[waID]
}
