package store_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/sandbox"
	"portaria/store/storetest"
)

// A COMMIT may happen and its answer be lost. The caller must hear that the
// message was accepted, and its lane must get it: otherwise it would wait,
// stored and unsent, until the next restart.
func TestACommitWhoseAnswerIsLostIsFoundOut(t *testing.T) {
	o := storetest.Options(t, "postgres")
	proxy := newCuttingProxy(t, o.DatabaseURL)
	o.DatabaseURL = proxy.url
	s := storetest.Open(t, o)
	tenancy := storetest.Workspace(t, s, "w")
	i := storetest.Instance(t, s, tenancy, "one")
	first := storetest.Message(i, "15005550006", "x")
	accept(t, s, &first) // the statements are prepared

	for _, callers := range []int{1, 20} {
		proxy.cutAtCommit.Store(true)
		var handed atomic.Int64
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				m := storetest.Message(i, "15005550006", "x")
				err := s.Accept(context.Background(), outbox.Acceptance{Message: &m}, func(int64) { handed.Add(1) })
				if err != nil {
					t.Errorf("accept: %v", err)
				}
			})
		}
		wg.Wait()
		if proxy.cutAtCommit.Load() {
			t.Fatal("no commit was cut")
		}
		if got := handed.Load(); got != int64(callers) {
			t.Errorf("%d of %d messages were handed to their lane", got, callers)
		}
	}
	stored, err := s.Messages(t.Context(), tenancy, messaging.MessageFilter{}, messaging.Page{Limit: 100})
	if err != nil || len(stored) != 22 {
		t.Errorf("%d messages stored, %v; want 22", len(stored), err)
	}
}

// A batch without an event is simply repeated: what is there already was carried by
// this very call, or its answer says so. The statuses of messages go the same way.
func TestCarriagesAndStatusesSurviveALostAnswer(t *testing.T) {
	o := storetest.Options(t, "postgres")
	proxy := newCuttingProxy(t, o.DatabaseURL)
	o.DatabaseURL = proxy.url
	s := storetest.Open(t, o)
	i := storetest.Instance(t, s, storetest.Workspace(t, s, "w"), "one")
	m := accepted(t, s, i, "15005550006")
	for n, act := range []func(){
		func() {
			batch := []sandbox.Carried{carried(i, "a", i.CreatedAt), carried(i, "b", i.CreatedAt)}
			taken, err := s.Carry(t.Context(), batch)
			if err != nil || len(taken) != 2 || !taken[0].Owed || !taken[0].CarriedAt.Equal(batch[0].CarriedAt) {
				t.Errorf("carry: %+v, %v", taken, err)
			}
		},
		func() { m.report(t, s, messaging.StatusSent, messaging.StatusDelivered) },
		func() { m.report(t, s, messaging.StatusRead) },
	} {
		proxy.cutAtCommit.Store(true)
		act()
		if proxy.cutAtCommit.Load() {
			t.Fatalf("act %d: no commit was cut", n)
		}
	}
	m.want(t, s, "queued sent delivered read")
}

// cuttingProxy stands before PostgreSQL and, once, keeps the answer to a COMMIT
// for itself and closes the connection.
type cuttingProxy struct {
	url         string
	cutAtCommit atomic.Bool
}

func newCuttingProxy(t *testing.T, database string) *cuttingProxy {
	t.Helper()
	p := new(cuttingProxy)
	p.url = standBefore(t, database, p.relay)
	return p
}

func (p *cuttingProxy) relay(client, server net.Conn) {
	defer client.Close()
	defer server.Close()
	relay(server, client, func(said []byte) error {
		committed := bytes.Contains(said, []byte("COMMIT\x00")) || bytes.Contains(said, []byte("SELECT 0\x00")) // of the held writes
		if committed && p.cutAtCommit.CompareAndSwap(true, false) {
			return net.ErrClosed
		}
		_, err := client.Write(said)
		return err
	})
}

// relay hands what from says to pass, until that fails, and tells from what to
// says.
func relay(from, to net.Conn, pass func(said []byte) error) {
	go func() {
		_, _ = io.Copy(from, to)
		_ = from.Close()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || pass(buf[:n]) != nil {
			return
		}
	}
}

// standBefore listens in front of a database, hands every connection to relay
// with one of its own to the database, and returns the address to be used
// instead. What relay leaves open of the database's side is closed at the end.
func standBefore(t *testing.T, database string, relay func(client, server net.Conn)) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := u.Host
	u.Host = l.Addr().String()
	var relays sync.WaitGroup
	var servers sync.Map
	relays.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", address)
			if err != nil {
				t.Errorf("stand before %s: %v", address, err)
				_ = client.Close()
				continue
			}
			servers.Store(server, nil)
			relays.Go(func() { relay(client, server) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		servers.Range(func(c, _ any) bool { _ = c.(net.Conn).Close(); return true })
		relays.Wait()
	})
	return u.String()
}
