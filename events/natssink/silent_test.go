package natssink_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// relay stands between the sink and a server. While it is held, nothing of the
// server gets through.
type relay struct {
	listener net.Listener
	target   string
	conns    sync.WaitGroup
	accepted atomic.Int64

	mu   sync.Mutex
	held chan struct{} // closed when it is released; nil: it is not held
}

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: listener, target: target}
	r.conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r.accepted.Add(1)
			r.conns.Go(func() { r.carry(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		r.release()
		r.conns.Wait()
	})
	return r
}

func (r *relay) url() string { return "nats://" + r.listener.Addr().String() }

func (r *relay) hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		r.held = make(chan struct{})
	}
}

func (r *relay) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held != nil {
		close(r.held)
		r.held = nil
	}
}

// carry ends when either side does.
func (r *relay) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", r.target)
	if err != nil {
		return
	}
	defer server.Close()
	var up sync.WaitGroup
	defer up.Wait()
	up.Go(func() {
		io.Copy(server, client)
		server.Close()
	})
	defer client.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := server.Read(buffer)
		r.mu.Lock()
		held := r.held
		r.mu.Unlock()
		if held != nil {
			<-held
		}
		if err != nil {
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// TestSilentServerIsLeft: acknowledgements that do not come are no reason to wait
// for ever, and what the stream has taken meanwhile does not come twice.
func TestSilentServerIsLeft(t *testing.T) {
	on, s := newServer(t, jetStream).start(), newShelf()
	between := newRelay(t, "127.0.0.1:"+on.port)
	log := new(journal)
	o := options(s, between.url())
	o.Logger, o.AckWait = log.logger(), 200*time.Millisecond
	sink, _ := run(t, o)
	begin(t, s)
	sink.Tell(s.commit(live, 10))
	eventually(t, "the first are published", func() bool { return s.cursor(live) == 10 })
	between.hold()
	sink.Tell(s.commit(live, 600))
	eventually(t, "the silence is noticed", func() bool { return strings.Contains(log.String(), "did not acknowledge in time") })
	between.release()
	expect(t, s, on, live)
}

// TestEndDoesNotWaitForASilentServer: neither for its greeting nor for its
// acknowledgements.
func TestEndDoesNotWaitForASilentServer(t *testing.T) {
	on, s := newServer(t, jetStream).start(), newShelf()
	between := newRelay(t, "127.0.0.1:"+on.port)
	o := options(s, between.url())
	o.AckWait = time.Hour
	ends := func(stop func()) time.Duration {
		began := time.Now()
		stop()
		return time.Since(began)
	}
	sink, stop := run(t, o)
	begin(t, s)
	sink.Tell(s.commit(live, 1))
	eventually(t, "one is published", func() bool { return s.cursor(live) == 1 })
	between.hold() // from here on the next connection is silent from its first byte
	sink.Tell(s.commit(live, 1))
	eventually(t, "another is in the stream", func() bool { return len(on.contents("PORTARIA")) == 2 })
	if took := ends(stop); took > 20*time.Second { // of an hour
		t.Errorf("waiting for its acknowledgements, Run took %v to end", took)
	}

	quickest := time.Hour
	for n := int64(2); n <= 4 && quickest > 3*time.Second; n++ { // a greeting is waited for 5 s: a busy machine gets another chance
		_, stop = run(t, o)
		eventually(t, "it has connected", func() bool { return between.accepted.Load() == n })
		quickest = min(quickest, ends(stop))
	}
	if quickest > 3*time.Second {
		t.Errorf("waiting for its greeting, Run took %v to end", quickest)
	}
	if got := s.cursor(live); got != 1 {
		t.Errorf("the cursor is at %d, want 1: nothing was acknowledged", got)
	}
}
