package outbox

import "slices"

// withdraw takes a message out of the lane so that it can be ended. It returns
// the message as a waiter, if others may be waiting for it; ok is false when
// the message is in the channel's hands, or being ended already.
func (l *lane) withdraw(id string) (waiter *Waiter, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reclaim(id)
	where, known := l.known[id]
	if known && where != queued {
		return nil, false
	}
	if known {
		for p := range l.queues {
			l.queues[p] = slices.DeleteFunc(l.queues[p], func(q Parcel) bool { return q.MessageID == id })
		}
	}
	if w, waited := l.unwait(id); waited {
		waiter = &w
	}
	l.remember(id, withdrawn)
	return waiter, true
}

// release forgets a withdrawn message once its end was recorded. Rows that are
// being read just now may still hold it: then it is remembered until they have
// been taken in.
func (l *lane) release(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(id)
}

// drop is release for who holds l.mu.
func (l *lane) drop(id string) {
	if l.reading {
		if l.late == nil {
			l.late = make(map[string]bool)
		}
		l.late[id] = true
		return
	}
	delete(l.known, id)
}

// leave forgets a message that was in hand. l.mu is held.
func (l *lane) leave(id string) {
	delete(l.known, id)
	delete(l.recalled, id)
}

// restore puts back a message whose end could not be recorded.
func (l *lane) restore(id string, waiter *Waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.known, id)
	if waiter != nil {
		l.wait(*waiter)
		l.armDue()
	}
	l.readFirst()
	l.start()
}

// beginRead and endRead stand around a read of rows without the lock. l.mu is
// held.
func (l *lane) beginRead() { l.reading = true }

func (l *lane) endRead() {
	l.reading = false
	for id := range l.late {
		delete(l.known, id)
	}
	l.late = nil
}

// reclaim makes a message free to be withdrawn again that is kept in mind only
// for the sake of a read. l.mu is held.
func (l *lane) reclaim(id string) {
	if l.late[id] {
		delete(l.late, id)
		delete(l.known, id)
	}
}
