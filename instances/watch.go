package instances

// Watch returns a channel that holds one token whenever the instance may have
// changed since the last one was taken, until stop is called. What drivers show
// elsewhere, as the codes of pairings, has to be asked for all the same.
func (m *Manager) Watch(id string) (changes <-chan struct{}, stop func()) {
	told := make(chan struct{}, 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watchers[id] == nil {
		m.watchers[id] = make(map[chan struct{}]bool)
	}
	m.watchers[id][told] = true
	return told, func() { m.unwatch(id, told) }
}

func (m *Manager) unwatch(id string, told chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.watchers[id], told)
	if len(m.watchers[id]) == 0 {
		delete(m.watchers, id)
	}
}

// notify tells the watchers of an instance. m.mu is held.
func (m *Manager) notify(id string) {
	for told := range m.watchers[id] {
		select {
		case told <- struct{}{}:
		default: // it has been told already and will look again
		}
	}
}
