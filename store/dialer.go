package store

import (
	"context"
	"net"
	"time"
)

// How long a connection to PostgreSQL may be silent before it is given up: a
// peer that vanished (a cable, a firewall that forgot) answers nothing at all.
const (
	probeAfter    = 10 * time.Second
	probeInterval = 5 * time.Second
	probes        = 3
	// unackedLimit bounds how long what was sent may go unacknowledged; probes
	// are not sent while it does.
	unackedLimit = 20 * time.Second
)

// watchfulDialer makes connections that end when the peer has vanished.
// It implements pq.Dialer and pq.DialerContext.
type watchfulDialer struct{}

func (watchfulDialer) dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{
		Timeout:         timeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeInterval, Count: probes},
		Control:         limitUnacked,
	}
}

// Dial implements pq.Dialer.
func (d watchfulDialer) Dial(network, address string) (net.Conn, error) {
	return d.dialer(connectTimeout).Dial(network, address)
}

// DialTimeout implements pq.Dialer.
func (d watchfulDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	return d.dialer(timeout).Dial(network, address)
}

// DialContext implements pq.DialerContext.
func (d watchfulDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d.dialer(connectTimeout).DialContext(ctx, network, address)
}
