package webhooks_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portaria/events/webhooks"
	"portaria/internal/guard"
)

// raw starts a server that speaks whatever it likes, and returns its address.
func raw(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return listener.Addr().String()
}

// readSome takes the beginning of a request, so that the answer is not lost.
func readSome(conn net.Conn) { conn.Read(make([]byte, 64<<10)) }

// closedPort returns an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// Whatever a receiver does, the delivery says what went wrong and is tried
// again when the schedule says.
func TestEveryKindOfFailureIsTold(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	var followed atomic.Bool
	elsewhere := newReceiver(t, func(http.ResponseWriter, *http.Request) { followed.Store(true) })
	redirects := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusPermanentRedirect)
	})
	plain := newReceiver(t, nil)
	for name, c := range map[string]struct {
		url    string
		change func(*webhooks.DispatcherOptions)
		class  webhooks.ErrorClass
		status int
		answer string
	}{
		"500":       {url: newReceiver(t, says(500)).URL, class: webhooks.ClassStatus, status: 500, answer: "this is 500"},
		"404":       {url: newReceiver(t, says(404)).URL, class: webhooks.ClassStatus, status: 404, answer: "this is 404"},
		"redirects": {url: redirects.URL, class: webhooks.ClassRedirect, status: 308},
		"hangs": {url: newReceiver(t, hangs).URL, class: webhooks.ClassTimeout, change: func(o *webhooks.DispatcherOptions) {
			o.Timings.Post = 500 * time.Millisecond
		}},
		"resets": {url: "http://" + raw(t, func(c net.Conn) {
			readSome(c)
			c.(*net.TCPConn).SetLinger(0)
		}), class: webhooks.ClassBroken},
		"ends at once":    {url: "http://" + raw(t, readSome), class: webhooks.ClassBroken},
		"speaks no HTTP":  {url: "http://" + raw(t, func(c net.Conn) { readSome(c); io.WriteString(c, "220 smtp.example.com\r\n") }), class: webhooks.ClassBroken},
		"endless headers": {url: "http://" + raw(t, endlessHeaders), class: webhooks.ClassBroken},
		"switches": {
			url: "http://" + raw(t, func(c net.Conn) {
				readSome(c)
				io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
			}),
			class: webhooks.ClassStatus, status: 101,
		},
		"refuses":         {url: "http://" + closedPort(t), class: webhooks.ClassConnect},
		"has no name":     {url: "http://nobody.invalid", class: webhooks.ClassDNS},
		"certificate":     {url: secure.URL, class: webhooks.ClassTLS},
		"no TLS":          {url: strings.Replace(plain.URL, "http:", "https:", 1), class: webhooks.ClassTLS},
		"private address": {url: plain.URL, class: webhooks.ClassNotAllowed, change: func(o *webhooks.DispatcherOptions) { o.Guard = guard.New(nil) }},
		"plain HTTP":      {url: plain.URL, class: webhooks.ClassNotAllowed, change: func(o *webhooks.DispatcherOptions) { o.AllowHTTP = false }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.start(func(o *webhooks.DispatcherOptions) {
				if c.change != nil {
					c.change(o)
				}
			})
			hook := w.webhook(c.url)
			w.event("ins_a")
			w.idle()
			d := w.only(hook)
			if d.State != webhooks.Pending || d.Attempts != 1 || d.ErrorClass != c.class || d.StatusCode != c.status || c.answer != "" && d.Answer != c.answer {
				t.Errorf("delivery = %+v", d)
			}
			if wait := d.Due.Sub(w.clock.Now()); wait < 4*time.Second || wait > 6*time.Second {
				t.Errorf("tried again in %v", wait)
			}
		})
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}

func endlessHeaders(c net.Conn) {
	readSome(c)
	io.WriteString(c, "HTTP/1.1 200 OK\r\n")
	for line := "X: " + strings.Repeat("x", 4096) + "\r\n"; ; {
		if _, err := io.WriteString(c, line); err != nil {
			return
		}
	}
}

// An answer of any size is success by its status, and is not read on.
func TestAnAnswerWithoutEndIsNotRead(t *testing.T) {
	w := newWorld(t)
	w.start()
	var sent atomic.Int64
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		for chunk := []byte(strings.Repeat("0123456789abcdef", 4096)); sent.Load() < 1<<30; sent.Add(int64(len(chunk))) {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	hook := w.webhook(r.URL)
	w.event("ins_a")
	w.idle()
	d := w.only(hook)
	if d.State != webhooks.Delivered || len(d.Answer) != webhooks.AnswerKept || !strings.HasPrefix(d.Answer, "0123456789abcdef") {
		t.Errorf("delivery = %+v", d)
	}
	w.until("the receiver is cut off", func() bool { _, now, _ := r.count(); return now == 0 })
	if n := sent.Load(); n >= 1<<30 {
		t.Errorf("%d bytes were taken", n)
	}
}

// A receiver that restarts closes connections which lie idle: that is no
// failure of the next delivery.
func TestAnIdleConnectionThatWasClosedIsNoFailure(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := &receiver{}
	server := httptest.NewServer(r)
	defer server.Close()
	hook := w.webhook(server.URL)
	for range 5 {
		w.event("ins_a")
		w.idle()
		server.CloseClientConnections()
	}
	for _, d := range w.memory.list(hook.ID) {
		if d.State != webhooks.Delivered || d.Attempts != 1 {
			t.Errorf("delivery = %+v", d)
		}
	}
}

// A name that leads inside only when it is dialled is refused there.
func TestTheDialIsGuarded(t *testing.T) {
	w := newWorld(t)
	w.guard = guard.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	r := newReceiver(t, nil)
	hook := w.webhook(strings.Replace(r.URL, "127.0.0.1", "localhost", 1)) // allowed when it was made
	w.start(func(o *webhooks.DispatcherOptions) { o.Guard = guard.New(nil) })
	w.event("ins_a")
	w.idle()
	if d := w.only(hook); d.ErrorClass != webhooks.ClassNotAllowed || len(r.ids()) != 0 {
		t.Errorf("delivery = %+v", d)
	}
}
