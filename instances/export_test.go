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
