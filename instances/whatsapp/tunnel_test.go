package whatsapp_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portaria/messaging"
)

// proxyServer is a proxy that asks for a user and a password, and counts.
type proxyServer struct {
	t        *testing.T
	addr     string
	tunnels  atomic.Int64
	refused  atomic.Int64
	mu       sync.Mutex
	down     bool
	targets  map[string]bool
	open     map[net.Conn]bool
	handling sync.WaitGroup
}

const (
	proxyUser     = "acme"
	proxyPassword = "s3:cret"
)

func newProxyServer(t *testing.T, serve func(*proxyServer, net.Conn) error) *proxyServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxyServer{t: t, addr: listener.Addr().String(), targets: make(map[string]bool), open: make(map[net.Conn]bool)}
	p.handling.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.handling.Go(func() {
				defer conn.Close()
				if p.hold(conn) {
					defer p.release(conn)
					_ = serve(p, conn) // the other side sees that it ended
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.setDown(true)
		p.handling.Wait()
	})
	return p
}

// hold notes a connection; false while the proxy is down.
func (p *proxyServer) hold(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return false
	}
	p.open[conn] = true
	return true
}

func (p *proxyServer) release(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, conn)
}

// setDown ends all connections, and those to come.
func (p *proxyServer) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
	for conn := range p.open {
		conn.Close()
	}
}

// pass connects a client with its target until either goes.
func (p *proxyServer) pass(conn net.Conn, target string) error {
	far, err := net.Dial("tcp", target)
	if err != nil {
		return err
	}
	defer far.Close()
	p.tunnels.Add(1)
	p.mu.Lock()
	p.targets[target] = true
	p.mu.Unlock()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(conn, far)
		conn.Close()
	})
	_, err = io.Copy(far, conn)
	far.Close()
	back.Wait()
	return err
}

// asked are the addresses that were asked for.
func (p *proxyServer) asked() (targets []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for target := range p.targets {
		targets = append(targets, target)
	}
	return targets
}

// byHTTP speaks CONNECT.
func byHTTP(p *proxyServer, conn net.Conn) error {
	head, err := readHead(conn)
	if err != nil {
		return err
	}
	line, headers, _ := strings.Cut(head, "\r\n")
	fields := strings.Fields(line)
	want := "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(proxyUser+":"+proxyPassword))
	if len(fields) != 3 || fields[0] != http.MethodConnect || !strings.Contains(headers, want) {
		p.refused.Add(1)
		_, err := io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
		return err
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return err
	}
	return p.pass(conn, fields[1])
}

// readHead reads byte by byte, so that nothing of what follows is lost.
func readHead(conn net.Conn) (string, error) {
	var head []byte
	one := make([]byte, 1)
	for !strings.HasSuffix(string(head), "\r\n\r\n") {
		if _, err := io.ReadFull(conn, one); err != nil {
			return "", err
		}
		head = append(head, one...)
	}
	return string(head), nil
}

// bySocks speaks SOCKS 5 (RFC 1928) with user and password (RFC 1929).
func bySocks(p *proxyServer, conn net.Conn) error {
	part := func() []byte { // a byte with a length, and that many bytes
		size := make([]byte, 1)
		if _, err := io.ReadFull(conn, size); err != nil {
			return nil
		}
		text := make([]byte, size[0])
		_, _ = io.ReadFull(conn, text)
		return text
	}
	head := make([]byte, 1)
	_, _ = io.ReadFull(conn, head)
	part() // the methods
	_, _ = conn.Write([]byte{5, 2})
	_, _ = io.ReadFull(conn, head)
	if user, password := string(part()), string(part()); user != proxyUser || password != proxyPassword {
		p.refused.Add(1)
		_, err := conn.Write([]byte{1, 1})
		return err
	}
	_, _ = conn.Write([]byte{1, 0})
	request := make([]byte, 4)
	if _, err := io.ReadFull(conn, request); err != nil {
		return err
	}
	var host string
	switch request[3] {
	case 1:
		ip := make([]byte, 4)
		_, _ = io.ReadFull(conn, ip)
		host = net.IP(ip).String()
	case 3:
		host = string(part())
	default:
		return errors.New("no such kind of address")
	}
	port := make([]byte, 2)
	_, _ = io.ReadFull(conn, port)
	if _, err := conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
		return err
	}
	return p.pass(conn, net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(port)))))
}

// through sends everything of the world's instances through a proxy.
func (w *world) through(raw string) {
	w.t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	w.proxy.Store(u)
}

// All that an instance says goes through its proxy: the pairing, the messages and
// the files. Nothing goes beside it.
func TestAnInstanceWithAProxySpeaksThroughItAlone(t *testing.T) {
	for scheme, serve := range map[string]func(*proxyServer, net.Conn) error{"http": byHTTP, "socks5": bySocks} {
		t.Run(scheme, func(t *testing.T) {
			w := newWorld(t, quick)
			p := newProxyServer(t, serve)
			w.through(scheme + "://" + proxyUser + ":s3%3Acret@" + p.addr)
			phone := w.linked(ours)
			w.sim.Contact(ana).Reads(true)
			m := phone.text(ana, "by proxy")
			phone.deliver(m)
			w.status(m, messaging.StatusRead)
			before := p.tunnels.Load()
			picture := phone.message(ana, messaging.Content{Kind: messaging.KindImage, Media: &messaging.Media{
				ID: w.shelf.put("image/png", "", []byte("a picture")).ID, MIME: "image/png",
			}})
			phone.deliver(picture)
			w.status(picture, messaging.StatusDelivered)
			if got := p.asked(); len(got) != 1 || got[0] != w.sim.Addr() {
				t.Errorf("the proxy was asked for %v, not for %s", got, w.sim.Addr())
			}
			if w.dials.Load() != 0 || p.tunnels.Load() == before || p.refused.Load() != 0 {
				t.Errorf("%d dials beside the proxy; %d tunnels, %d before the file; %d refused", w.dials.Load(), p.tunnels.Load(), before, p.refused.Load())
			}
		})
	}
}

// A proxy that is away, or does not let us in, is told from a network that is:
// its owner has to look after it. The instance comes back with it, by itself.
func TestAProxyThatIsAwayIsToldAndTriedAgain(t *testing.T) {
	w := newWorld(t, quick)
	p := newProxyServer(t, byHTTP)
	w.through("http://" + proxyUser + ":s3%3Acret@" + p.addr)
	phone := w.linked(ours)
	p.setDown(true)
	w.eventually("the proxy is missed", func() bool {
		last := phone.last()
		return last.State == messaging.InstanceDisconnected && last.Reason == messaging.ReasonProxyUnreachable
	})
	p.setDown(false)
	phone.await(messaging.InstanceConnected)

	w.through("http://acme:wrong@" + p.addr)
	phone.ask(messaging.AskRestart)
	w.eventually("the refusal is told", func() bool {
		return phone.last().Reason == messaging.ReasonProxyUnreachable && p.refused.Load() > 1
	})
	if w.dials.Load() != 0 {
		t.Errorf("%d dials beside the proxy", w.dials.Load())
	}
}

// Without its proxy an instance is silent: to go without it would show the
// address that it was to hide.
func TestAnInstanceWhoseProxyCannotBeReadReachesNobody(t *testing.T) {
	w := newWorld(t, quick)
	phone := w.linked(ours)
	phone.close()
	dials := w.dials.Load()
	w.unreadable.Store(true)
	phone.ask(messaging.AskRestart)
	w.eventually("it is told", func() bool {
		return phone.last().Reason == messaging.ReasonProxyUnreachable
	})
	if w.dials.Load() != dials {
		t.Error("it was dialled without the proxy")
	}
}

// A pairing that no code could be shown for did not run out of time.
func TestAPairingWithoutItsProxySaysSo(t *testing.T) {
	timing := quick
	timing.Pairing = 2 * time.Second // long enough for a dial that is refused
	w := newWorld(t, timing)
	w.through("http://127.0.0.1:1")
	phone := w.instance()
	phone.ask(messaging.AskConnect)
	if last := phone.await(messaging.InstanceCreated); last.Reason != messaging.ReasonProxyUnreachable {
		t.Errorf("the pairing ended with %q", last.Reason)
	}
}

// A proxy that never answers, says too much or speaks something else is given up
// with the channel, not before its time and not after.
func TestAProxyThatSaysNothingDoesNotHoldTheChannel(t *testing.T) {
	w := newWorld(t, quick)
	heard := make(chan struct{})
	var once sync.Once
	p := newProxyServer(t, func(_ *proxyServer, conn net.Conn) error {
		_, err := readHead(conn)
		once.Do(func() { close(heard) })
		if err == nil {
			_, err = io.Copy(io.Discard, conn)
		}
		return err
	})
	w.through("http://" + p.addr)
	phone := w.instance()
	phone.ask(messaging.AskConnect)
	<-heard
	phone.close() // which checks how long it takes
}

func TestAProxyThatAnswersNonsenseIsRefused(t *testing.T) {
	for name, answer := range map[string]string{
		"no answer": "", "not HTTP": "SSH-2.0-x\r\n", "an endless head": "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 100<<10),
		"more than asked": "HTTP/1.1 200 OK\r\n\r\nhello", "a redirect": "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, quick)
			phone := w.linked(ours)
			p := newProxyServer(t, func(_ *proxyServer, conn net.Conn) error {
				if _, err := readHead(conn); err != nil {
					return err
				}
				_, err := io.WriteString(conn, answer)
				return err
			})
			w.through("http://" + p.addr)
			phone.ask(messaging.AskRestart)
			w.eventually("it is told", func() bool {
				return phone.last().Reason == messaging.ReasonProxyUnreachable
			})
		})
	}
}

// An https proxy proves its name before it hears a password.
func TestAnHTTPSProxyWithoutAProvenNameHearsNothing(t *testing.T) {
	w := newWorld(t, quick)
	phone := w.linked(ours)
	var asked atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	w.through(strings.Replace(server.URL, "https://", "https://acme:secret@", 1))
	phone.ask(messaging.AskRestart)
	w.eventually("it is told", func() bool {
		return phone.last().Reason == messaging.ReasonProxyUnreachable
	})
	if asked.Load() != 0 {
		t.Error("a proxy that could not prove its name was asked")
	}
}

// proxied is the driver's view of the world's proxy.
func (w *world) proxied(messaging.Instance) (*url.URL, error) {
	if w.unreadable.Load() {
		return nil, errors.New("stored with another key")
	}
	return w.proxy.Load(), nil
}

// dialProxy dials a proxy; it is not counted among the dials.
func dialProxy(ctx context.Context, network, addr string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, addr)
}
