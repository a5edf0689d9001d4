package gateway

import (
	"sync"
	"time"
)

// A server moves the deadlines of a busy connection several times a request, and
// nearly always to where they were, a little later. To tell the runtime costs
// about as much as to read a header, so it is told when somebody is about to wait,
// and only if the deadline that it knows is none, would come late, or would come
// early by more than an eighth of the wait.

// deadline is a time that was asked for, and the one that the runtime knows.
type deadline struct{ wanted, known time.Time }

// far reports whether the runtime must be told, at now, before a wait.
func (d *deadline) far(now time.Time) bool {
	if d.wanted.IsZero() || d.known.IsZero() {
		return d.wanted != d.known
	}
	return d.known.After(d.wanted) || d.known.Sub(now) < d.wanted.Sub(now)*7/8
}

// readDeadline is the deadline of a connection's reads.
type readDeadline struct {
	mu sync.Mutex
	deadline
	reading bool // somebody waits with the deadline that is known
}

// SetReadDeadline implements net.Conn. A read that waits hears of it at once.
func (c *politeConn) SetReadDeadline(t time.Time) error {
	c.read.mu.Lock()
	defer c.read.mu.Unlock()
	c.read.wanted = t
	if !c.read.reading {
		return nil
	}
	c.read.known = t
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn. It does nothing: Write sets a deadline of its
// own for each piece.
func (c *politeConn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline implements net.Conn.
func (c *politeConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// Read implements net.Conn.
func (c *politeConn) Read(p []byte) (int, error) {
	if err := c.beginRead(); err != nil {
		return 0, err
	}
	defer c.endRead()
	return c.Conn.Read(p)
}

func (c *politeConn) beginRead() error {
	c.read.mu.Lock()
	defer c.read.mu.Unlock()
	c.read.reading = true
	if !c.read.far(time.Now()) {
		return nil
	}
	c.read.known = c.read.wanted
	return c.Conn.SetReadDeadline(c.read.wanted)
}

func (c *politeConn) endRead() {
	c.read.mu.Lock()
	defer c.read.mu.Unlock()
	c.read.reading = false
}
