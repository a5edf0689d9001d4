package gateway

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// hungUp returns a question about a connection: whether its other end has closed
// it. Only who writes finds out otherwise, and not at the first try; a stream
// that is silent would hold its place long after its reader has gone. What the
// other end has sent stays where it is.
func hungUp(c net.Conn) func() bool {
	if polite, ok := c.(*politeConn); ok {
		c = polite.Conn
	}
	known, ok := c.(syscall.Conn)
	if !ok {
		return func() bool { return false }
	}
	return func() (gone bool) {
		raw, err := known.SyscallConn()
		if err != nil {
			return true
		}
		err = raw.Control(func(fd uintptr) {
			var one [1]byte
			n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			gone = err == nil && n == 0 || err == unix.ECONNRESET
		})
		return gone || err != nil
	}
}
