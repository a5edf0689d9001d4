package gateway

import (
	"io"
	"net"
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

// politeListener hands out connections that close without a reset when they
// were answered before their request had been read.
type politeListener struct{ net.Listener }

// Accept implements net.Listener.
func (l politeListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &politeConn{Conn: c}, nil
}

// politeConn is a connection that may have to be closed with unread data.
type politeConn struct {
	net.Conn

	// linger is how many bytes are thrown away before the connection closes;
	// zero when all requests have been read.
	linger atomic.Int64
}

// Close closes the connection. When a request was left unread, it first ends
// its own side, then discards a little of what still comes, so that the answer
// gets through.
func (c *politeConn) Close() error {
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
