package wasim

import (
	"context"
	"log/slog"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	waBinary "go.mau.fi/whatsmeow/binary"
)

// returning is a device of a server that was never started, and a connection
// that nobody writes: what leaves is taken from its outbox.
func returning() (*device, *conn) {
	s := &Server{log: slog.New(slog.DiscardHandler), accounts: map[string]*account{}}
	a := s.account("5511900000001")
	d := newDevice(a, 1, [32]byte{}, bundle{})
	return d, nextConn(s)
}

func nextConn(s *Server) *conn {
	ctx, cancel := context.WithCancel(context.Background())
	return &conn{srv: s, log: s.log, ctx: ctx, cancel: cancel, outbox: newOutbox()}
}

func numbered(i int) waBinary.Node {
	return waBinary.Node{Tag: "message", Attrs: waBinary.Attrs{"id": strconv.Itoa(i), "from": serverJID()}}
}

// TestLongestQueueIsReplayedAtOneLogin: what a device may have waiting does not
// fit into an outbox at once, and its client is not dropped for that.
func TestLongestQueueIsReplayedAtOneLogin(t *testing.T) {
	d, c := returning()
	defer c.drop()
	for i := range maxPending {
		d.deliver(numbered(i))
	}
	d.attach(c, waBinary.Node{Tag: "success"})
	if c.ctx.Err() != nil {
		t.Fatal("the client is dropped for what it has not been sent yet")
	}
}
