package store

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// limitUnacked has the kernel end a connection whose data stays unacknowledged
// (tcp(7), TCP_USER_TIMEOUT).
func limitUnacked(network, _ string, c syscall.RawConn) error {
	if network == "unix" {
		return nil
	}
	var err error
	cerr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unackedLimit.Milliseconds()))
	})
	return errors.Join(err, cerr)
}
