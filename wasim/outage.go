package wasim

import (
	"io"
	"time"
)

// comeBack is how long to wait before another try to listen, when somebody
// else has taken the port meanwhile.
const comeBack = 50 * time.Millisecond

// outage is the time in which the server refuses connections.
type outage struct {
	down bool
	end  *time.Timer // nil: without end
}

// goDown drops everything and stops listening, for a time or until comeUp.
func (s *Server) goDown(d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	err := s.current.stop()
	s.endOutageLocked()
	s.outage.down = true
	if d > 0 {
		s.outage.end = time.AfterFunc(d, s.tryComeUp)
	}
	return err
}

// tryComeUp ends an outage, now or as soon as the port is free.
func (s *Server) tryComeUp() {
	if err := s.comeUp(); err != nil {
		s.log.Warn("wasim cannot listen again yet", "error", err)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.outage.down && !s.closed {
			s.outage.end = time.AfterFunc(comeBack, s.tryComeUp)
		}
	}
}

// comeUp ends an outage, if there is one.
func (s *Server) comeUp() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.outage.down {
		return nil
	}
	if err := s.listenLocked(); err != nil {
		return err
	}
	s.endOutageLocked()
	return nil
}

// isDown reports whether there is an outage.
func (s *Server) isDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outage.down
}

// endOutageLocked forgets an outage. The caller holds the server's lock.
func (s *Server) endOutageLocked() {
	if s.outage.end != nil {
		s.outage.end.Stop()
	}
	s.outage = outage{}
}

// swallow reads what a client sends, and says nothing, until the client has
// had enough.
func (c *conn) swallow() {
	tired := time.AfterFunc(idleTimeout, c.drop)
	defer tired.Stop()
	n, err := io.Copy(io.Discard, c.socket)
	c.log.Debug("silent connection ended", "bytes", n, "error", err)
}
