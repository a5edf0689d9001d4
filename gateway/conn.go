package gateway

import (
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// lingerTime and lingerBytes bound what a refused caller is still listened
	// to. A connection closed while data is on its way is reset, and a reset can
	// destroy the answer before the caller has read it (RFC 9112 section 9.6).
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 256 << 10
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

	unread atomic.Bool
}

// Close closes the connection. When a request was left unread, it first ends
// its own side, then discards a little of what still comes, so that the answer
// gets through.
func (c *politeConn) Close() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if c.unread.Load() && ok && half.CloseWrite() == nil &&
		c.Conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
	return c.Conn.Close()
}

// leaveUnread closes the connection behind an answer whose request has not been
// read: fasthttp would take the rest of the body for the next request.
func leaveUnread(c *fasthttp.RequestCtx) {
	c.SetConnectionClose()
	if polite, ok := c.Conn().(*politeConn); ok {
		polite.unread.Store(true)
	}
}
