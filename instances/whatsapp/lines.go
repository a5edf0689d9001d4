package whatsapp

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
)

const (
	// hangUpPatience bounds the wait for a client to notice that its line is
	// closed.
	hangUpPatience = time.Second
	noticeInterval = time.Millisecond
)

// lines are an instance's open connections. whatsmeow ends a connection by
// forgetting who reads from it, and a frame that comes in at that moment keeps a
// goroutine for ever. So we close the line first, which whatsmeow handles well.
type lines struct {
	mu   sync.Mutex
	open map[*line]struct{}
}

// line is one connection that is known while it is open.
type line struct {
	net.Conn
	lines *lines
}

// dialer returns a dialer whose connections are known.
func (l *lines) dialer(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		known := &line{conn, l}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.open == nil {
			l.open = make(map[*line]struct{})
		}
		l.open[known] = struct{}{}
		return known, nil
	}
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// Close implements net.Conn.
func (l *line) Close() error {
	l.lines.mu.Lock()
	delete(l.lines.open, l)
	l.lines.mu.Unlock()
	return l.Conn.Close()
}

// close closes all lines. Files on their way are tried again.
func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for known := range l.open {
		_ = known.Conn.Close() // whoever reads from it hears of it
	}
	clear(l.open)
}

// dial connects a client, and returns how to hang up. It ends with ctx, though
// the connection does not.
func (c *channel) dial(ctx context.Context, client *whatsmeow.Client) (hangUp func(), err error) {
	connection, cut := context.WithCancel(context.WithoutCancel(ctx))
	result := make(chan error, 1)
	go func() { result <- client.ConnectContext(connection) }()
	select {
	case err := <-result:
		if err != nil {
			cut()
			return nil, err
		}
		return func() { c.hangUp(client, cut) }, nil
	case <-ctx.Done():
	}
	cut()
	c.lines.close()
	patience := time.NewTimer(hangUpPatience)
	defer patience.Stop()
	select {
	case <-result:
		client.Disconnect()
	case <-patience.C:
		// whatsmeow waits 20 s for a handshake that nobody answers, and cannot
		// be told otherwise.
		go func() {
			<-result
			client.Disconnect()
		}()
	}
	return nil, ctx.Err()
}

// hangUp ends a client's connection.
func (c *channel) hangUp(client *whatsmeow.Client, cut context.CancelFunc) {
	c.lines.close()
	notice := time.NewTicker(noticeInterval)
	defer notice.Stop()
	for deadline := time.Now().Add(hangUpPatience); !isDown(client) && time.Now().Before(deadline); {
		<-notice.C
	}
	cut()
	client.Disconnect()
}

// isDown reports whether a client has done with its connection. A client that
// only says that it is not connected may still be about it.
func isDown(client *whatsmeow.Client) bool {
	if client.IsConnected() {
		return false
	}
	// There is nothing that this could be sent on.
	err := internals(client).SendNode(context.Background(), waBinary.Node{Tag: "ib"})
	return errors.Is(err, whatsmeow.ErrNotConnected)
}
