package gateway_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"portaria/gateway"
)

// deaf asks for a long answer many times and reads none of them.
func deaf(t *testing.T, h *house) net.Conn {
	t.Helper()
	conn := dial(t, h)
	go func() {
		_, _ = io.WriteString(conn, strings.Repeat("GET /v1/nowhere HTTP/1.1\r\nHost: x\r\n\r\nGET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 1000))
	}()
	return conn
}

// A stranger who asks and never reads is let go: its connection ends.
func TestACallerThatReadsNothingIsLetGo(t *testing.T) {
	h := open(t, func(o *gateway.Options) { o.WriteStall = 200 * time.Millisecond })
	conn := deaf(t, h)
	waitFor(t, "the connection to end", func() bool {
		_, err := io.WriteString(conn, "x")
		return err != nil
	})
}

// Who takes an answer slowly, but takes it, gets all of it.
func TestASlowReaderIsNotCut(t *testing.T) {
	t.Parallel()                  // it waits for most of its time
	const stall = 2 * time.Second // no starved machine is as slow as that
	h := open(t, func(o *gateway.Options) { o.WriteStall = stall })
	conn := dial(t, h)
	const answers = 100
	go fmt.Fprint(conn, strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", answers-1)+
		"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	began, got, piece := time.Now(), 0, make([]byte, 256<<10)
	tick := time.NewTicker(stall / 40)
	defer tick.Stop()
	for {
		<-tick.C
		n, err := io.ReadFull(conn, piece)
		got += n
		if err != nil {
			break
		}
	}
	document, err := h.server.Document()
	if err != nil {
		t.Fatal(err)
	}
	if got < answers*len(document) {
		t.Errorf("%d of %d bytes came in %v", got, answers*len(document), time.Since(began))
	}
	if took := time.Since(began); took < stall {
		t.Errorf("it took only %v: the reader was not slow", took)
	}
}

// A caller that neither reads nor leaves must not keep the server from
// stopping, nor make an orderly stop look like a failure.
func TestStopCutsWhatOutlastsIt(t *testing.T) {
	pipes := newPipeListener(t)
	h := openOn(t, pipes, func(o *gateway.Options) { o.WriteStall, o.StopGrace = time.Minute, 300*time.Millisecond })
	conn := pipes.dial(t)
	// A pipe holds nothing: its first answer keeps the server until it is read.
	if _, err := io.WriteString(conn, "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := h.stop(); err != nil {
		t.Errorf("Serve returned %v", err)
	}
	if took := time.Since(began); took > lastStop {
		t.Errorf("the stop took %v", took)
	}
	if !strings.Contains(h.logged.String(), "connections were cut") {
		t.Error("nothing had to be cut: the test shows nothing")
	}
}

// pipeListener hands out what another listener accepts, and connections without
// any buffer.
type pipeListener struct {
	net.Listener

	conns chan net.Conn
}

func newPipeListener(t *testing.T) *pipeListener {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &pipeListener{inner, make(chan net.Conn, 1)}
	go func() {
		defer close(l.conns)
		for {
			conn, err := inner.Accept()
			if err != nil {
				return
			}
			l.conns <- conn
		}
	}()
	return l
}

// dial returns the caller's end of a connection.
func (l *pipeListener) dial(t *testing.T) net.Conn {
	t.Helper()
	theirs, ours := net.Pipe()
	t.Cleanup(func() { ours.Close() })
	l.conns <- theirs
	return ours
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	if conn, ok := <-l.conns; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}
