package whatsapp

import "sync"

// maxKnown bounds what is known of one table of one session.
const maxKnown = 256

// known is rows of a session's tables, as they certainly are in the database:
// while somebody writes, and until a transaction has ended, nothing is added.
type known[V any] struct {
	mu      sync.Mutex
	values  map[string]V
	writers int    // who are about to change rows
	changes uint64 // counts what may have changed a row
}

// get returns a row that is known.
func (k *known[V]) get(key string) (V, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.values[key]
	return v, ok
}

// now is what put needs to know of the time before a row was read.
func (k *known[V]) now() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changes
}

// put notes a row that was read, or written, unless it may have been changed
// since then.
func (k *known[V]) put(since uint64, key string, v V) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.writers > 0 || k.changes != since {
		return
	}
	if k.values == nil {
		k.values = make(map[string]V)
	}
	if len(k.values) >= maxKnown {
		for any := range k.values { // the order of a map is as good as any
			delete(k.values, any)
			break
		}
	}
	k.values[key] = v
}

// begin says that rows are about to change; end says that they have, or have
// not. What end returns is for put.
func (k *known[V]) begin() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writers++
}

func (k *known[V]) end() (since uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writers--
	k.changes++
	return k.changes
}

// drop forgets a row. It is called between begin and end.
func (k *known[V]) drop(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.values, key)
}

// clear forgets all rows. It is called between begin and end.
func (k *known[V]) clear() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.values)
}

// change writes one row that must be read again afterwards.
func (k *known[V]) change(key string, write func() error) (since uint64, err error) {
	k.begin()
	k.drop(key)
	err = write()
	return k.end(), err
}

// changeAll writes many rows that must be read again afterwards.
func (k *known[V]) changeAll(write func() error) error {
	k.begin()
	defer k.end()
	k.clear()
	return write()
}
