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
	h := open(t, func(o *gateway.Options) { o.WriteStall, o.StopGrace = time.Minute, 300*time.Millisecond })
	deaf(t, h)
	const still = 60 // looks without a new request: the server is stuck in a write
	seen, looks := 0, 0
	waitFor(t, "the server to get stuck", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		if looks++; len(h.logs) != seen || seen == 0 {
			seen, looks = len(h.logs), 0
		}
		return looks > still
	})
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
