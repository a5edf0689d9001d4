package whatsapp

import "sync"

// recentMessages is how many of the last messages are found without a question
// to the database: receipts mostly come within seconds.
const recentMessages = 512

// recent knows our ids of the last messages by their WhatsApp ids.
type recent struct {
	mu   sync.Mutex
	ids  map[string]string
	ring []string
	next int
}

func (r *recent) add(waID, messageID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids == nil {
		r.ids = make(map[string]string)
	}
	if _, known := r.ids[waID]; known {
		return
	}
	r.ids[waID] = messageID
	if len(r.ring) < recentMessages {
		r.ring = append(r.ring, waID)
		return
	}
	delete(r.ids, r.ring[r.next])
	r.ring[r.next] = waID
	r.next = (r.next + 1) % recentMessages
}

// find splits WhatsApp ids into those that are known and the rest.
func (r *recent) find(waIDs []string) (found map[string]string, rest []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found = make(map[string]string, len(waIDs))
	for _, waID := range waIDs {
		if id, ok := r.ids[waID]; ok {
			found[waID] = id
		} else {
			rest = append(rest, waID)
		}
	}
	return found, rest
}
