package wasim

// ForgetSessions is a contact that has lost its sessions, as a phone that was
// set up anew.
func (c *Contact) ForgetSessions() {
	c.account.party.mu.Lock()
	defer c.account.party.mu.Unlock()
	clear(c.account.party.store.sessions)
}

// PreKeysLeft returns how many one-time keys the server has for a device.
func (p *Phone) PreKeysLeft(id uint16) int {
	d := p.account.companion(id)
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.oneTime)
}

// Pending returns how many stanzas wait for a device to acknowledge them.
func (p *Phone) Pending(id uint16) int {
	d := p.account.companion(id)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pending.Len()
}

// MediaAuth is what an upload must show.
func MediaAuth() string { return mediaAuth() }
