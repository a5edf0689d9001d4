package whatsapp

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/proxy"
)

const (
	// tunnelTimeout bounds the way to a proxy and through it.
	tunnelTimeout = 30 * time.Second
	// maxProxyAnswer is how much a proxy may say before it passes things on.
	maxProxyAnswer = 16 << 10
)

var errTalkative = errors.New("the proxy sent more than its answer")

// tunnel reaches hosts through an instance's proxy. It is not left to
// http.Transport, which would let the stand-in for WhatsApp take the proxy's
// place: a proxy is dialled where it stands, and asked for the address that
// would have been dialled without it.
type tunnel struct {
	proxy func() (*url.URL, error)
	dial  dialFunc       // to the proxy
	roots *x509.CertPool // that an https proxy proves its name by; nil: the system's
	log   *slog.Logger
}

// connect is a dialFunc. Its errors are told from those of the network behind
// the proxy by unreachable.
func (t *tunnel) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, tunnelTimeout)
	defer cancel()
	conn, err := t.through(limited, network, addr)
	if err == nil {
		return conn, nil
	}
	if ctx.Err() == nil { // nobody else says why
		t.log.Warn("no connection through the instance's proxy", "error", err)
	}
	return nil, &net.OpError{Op: proxyConnect, Net: network, Err: err}
}

// proxyConnect is the operation of a connection that a proxy did not make, as
// net/http calls it.
const proxyConnect = "proxyconnect"

// proxyFailed reports whether it was a proxy, the instance's own or that of
// HTTPS_PROXY, through which no connection could be made.
func proxyFailed(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == proxyConnect || op.Op == "socks connect")
}

func (t *tunnel) through(ctx context.Context, network, addr string) (net.Conn, error) {
	u, err := t.proxy()
	if err != nil {
		return nil, err
	}
	if u.Scheme == "socks5" {
		return t.throughSocks(ctx, network, addr, u)
	}
	conn, err := t.dial(ctx, network, proxyAddr(u))
	if err != nil {
		return nil, err
	}
	if u.Scheme == "https" {
		secured := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), RootCAs: t.roots, MinVersion: tls.VersionTLS12})
		if err := secured.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = secured
	}
	if err := askProxy(ctx, conn, addr, u.User); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// throughSocks leaves it to the proxy to find the host, so that no name is asked
// for beside it.
func (t *tunnel) throughSocks(ctx context.Context, network, addr string, u *url.URL) (net.Conn, error) {
	var auth *proxy.Auth
	if u.User != nil {
		password, _ := u.User.Password()
		auth = &proxy.Auth{User: u.User.Username(), Password: password}
	}
	dialer, err := proxy.SOCKS5("tcp", proxyAddr(u), auth, forward(t.dial))
	if err != nil {
		return nil, err
	}
	return dialer.(proxy.ContextDialer).DialContext(ctx, network, addr)
}

// forward is a dialFunc as the library of SOCKS wants it.
type forward dialFunc

// Dial implements proxy.Dialer.
func (f forward) Dial(network, addr string) (net.Conn, error) {
	return f(context.Background(), network, addr)
}

// DialContext implements proxy.ContextDialer.
func (f forward) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return f(ctx, network, addr)
}

// askProxy asks for a tunnel to an address by CONNECT.
func askProxy(ctx context.Context, conn net.Conn, addr string, user *url.Userinfo) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // whoever waits for it hears of the end
	defer stop()
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: make(http.Header)}
	if user != nil {
		password, _ := user.Password()
		request.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if err := request.Write(conn); err != nil {
		return err
	}
	reader := bufio.NewReader(io.LimitReader(conn, maxProxyAnswer))
	answer, err := http.ReadResponse(reader, request) //nolint:bodyclose // what follows is the tunnel, or the end of the connection
	switch {
	case err != nil:
		return fmt.Errorf("read the proxy's answer: %w", err)
	case answer.StatusCode != http.StatusOK:
		return fmt.Errorf("the proxy answered %d", answer.StatusCode)
	case reader.Buffered() > 0: // TLS comes next, in which we speak first
		return errTalkative
	}
	if !stop() {
		return ctx.Err()
	}
	return nil
}

// proxyAddr is where a proxy listens: on the usual port of its scheme unless it
// says otherwise.
func proxyAddr(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
