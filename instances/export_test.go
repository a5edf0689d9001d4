package instances

// Undrained is how many instances are left to Run to drain.
func (m *Manager) Undrained() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.undrained)
}

// Memory is how many deleted instances are still remembered.
func (m *Manager) Memory() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.dropped)
}

// Watchers is how many watch any instance.
func (m *Manager) Watchers() (n int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, of := range m.watchers {
		n += len(of)
	}
	return n
}
