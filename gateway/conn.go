package gateway

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// What is still listened to after an answer whose request was left unread. A
// connection closed while data is on its way is reset, and a reset can destroy
// the answer before the caller has read it (RFC 9112 section 9.6). What comes is
// thrown away; a caller with a key, whose body was only too large, may send more
// of it than a stranger.
const (
	lingerTime     = 500 * time.Millisecond
	lingerStranger = 256 << 10
	lingerKnown    = 8 << 20
)

const (
	// writeStall is how long a reader may take nothing of an answer.
	writeStall = 30 * time.Second
	// writePiece is how much of an answer has to be taken in that time.
	writePiece = 64 << 10
)

// politeListener hands out connections that close without a reset when they
// were answered before their request had been read, and knows those that are
// open.
type politeListener struct {
	net.Listener

	stall time.Duration

	mu   sync.Mutex
	open map[*politeConn]struct{} // guarded by mu
}

func newPoliteListener(l net.Listener, stall time.Duration) *politeListener {
	return &politeListener{Listener: l, stall: stall, open: make(map[*politeConn]struct{})}
}

// Accept implements net.Listener.
func (l *politeListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn := &politeConn{Conn: c, listener: l}
	if addr, ok := addressOf(c.RemoteAddr()); ok {
		conn.peer = addr.String()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[conn] = struct{}{}
	return conn, nil
}

func (l *politeListener) forget(c *politeConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}

// cutAll ends the connections that are open, whatever they are about, and
// returns how many there were.
func (l *politeListener) cutAll() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		_ = c.Conn.Close() // who uses it finds out, and forgets it
	}
	return len(l.open)
}

// politeConn is a connection that may have to be closed with unread data.
type politeConn struct {
	net.Conn

	listener *politeListener
	peer     string // the IP address of its other end; empty: it has none
	// linger is how many bytes are thrown away before the connection closes;
	// zero when all requests have been read.
	linger atomic.Int64

	read  readDeadline
	write deadline // of who writes: one at a time
}

// Write gives the reader new time with every piece that it took. There is no
// deadline for a whole answer, which would cut streams and large files; but who
// reads nothing must not keep a connection for ever.
func (c *politeConn) Write(p []byte) (written int, err error) {
	for {
		if err := c.beginWrite(time.Now()); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(p[:min(len(p), writePiece)])
		written += n
		if p = p[n:]; err != nil || len(p) == 0 {
			return written, err
		}
	}
}

func (c *politeConn) beginWrite(now time.Time) error {
	c.write.wanted = now.Add(c.listener.stall)
	if !c.write.far(now) {
		return nil
	}
	c.write.known = c.write.wanted
	return c.Conn.SetWriteDeadline(c.write.wanted)
}

// Close closes the connection. When a request was left unread, it first ends
// its own side, then discards a little of what still comes, so that the answer
// gets through.
func (c *politeConn) Close() error {
	defer c.listener.forget(c)
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if most := c.linger.Load(); most > 0 && ok && half.CloseWrite() == nil &&
		c.Conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, most)
	}
	return c.Conn.Close()
}

// leaveUnread closes the connection behind an answer whose request has not been
// read: fasthttp would take the rest of the body for the next request.
func leaveUnread(c *fasthttp.RequestCtx, linger int64) {
	c.SetConnectionClose()
	if polite, ok := c.Conn().(*politeConn); ok {
		polite.linger.Store(linger)
	}
}
