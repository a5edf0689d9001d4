package main

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"portaria/store/storetest"
)

// hole stands before a database. While it is black, what goes in never comes
// out, and nobody is told, as behind a firewall that drops packets.
type hole struct {
	target string
	black  sync.RWMutex // locked while it is
}

// dig opens a hole before the database at address and returns the address to
// use instead.
func (h *hole) dig(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.target, u.Host = u.Host, l.Addr().String()
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go h.carry(c)
		}
	}()
	return u.String()
}

func (h *hole) carry(c net.Conn) {
	defer c.Close()
	database, err := net.Dial("tcp", h.target)
	if err != nil {
		return
	}
	defer database.Close()
	go h.pipe(c, database)
	h.pipe(database, c)
}

func (h *hole) pipe(to io.WriteCloser, from io.Reader) {
	defer to.Close()
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		h.black.RLock()
		_, err = to.Write(b[:n])
		h.black.RUnlock()
		if err != nil {
			return
		}
	}
}

// Who watches over the server gives up after a few seconds. A database that is
// silent must be told by then, again and again, and its return too.
func TestReadinessAnswersInTimeWhateverTheDatabaseDoes(t *testing.T) {
	t.Parallel()
	var h hole
	o := storetest.Options(t, "postgres")
	o.DatabaseURL = h.dig(t, o.DatabaseURL)
	d := newRealDoor(t, storetest.Open(t, o))
	ready := func() (status int, took time.Duration) {
		t.Helper()
		began := time.Now()
		answer, err := (&http.Client{Timeout: patience}).Get(d.url + "/readyz")
		if err != nil {
			t.Errorf("no answer: %v", err)
			return 0, time.Since(began)
		}
		_ = answer.Body.Close()
		return answer.StatusCode, time.Since(began)
	}
	if status, _ := ready(); status != http.StatusOK {
		t.Fatalf("ready = %d before anything happened", status)
	}
	h.black.Lock()
	var askers sync.WaitGroup
	for range 2 {
		for range 3 {
			askers.Go(func() {
				if status, took := ready(); status != http.StatusServiceUnavailable || took > 10*readyPatience {
					t.Errorf("ready = %d after %s, want 503 within %s", status, took, 10*readyPatience)
				}
			})
		}
		askers.Wait()
	}
	h.black.Unlock()
	waitUntil(t, patience, func() bool { status, _ := ready(); return status == http.StatusOK })
}
