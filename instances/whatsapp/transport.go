package whatsapp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"time"

	"go.mau.fi/whatsmeow"

	"portaria/messaging"
)

const (
	dialTimeout   = 10 * time.Second
	answerTimeout = 30 * time.Second
	idleTimeout   = 30 * time.Second
)

// Endpoint stands in for WhatsApp's servers, for the simulator: every host is
// dialled there, and proves its name with a certificate of CA.
type Endpoint struct {
	Addr string
	CA   *x509.CertPool
}

// newTransport makes the one transport of an instance: its websocket, its
// pairing and its files go the same way. An instance whose proxy cannot be read
// reaches nobody: it does not go without.
func (d *Driver) newTransport(i messaging.Instance, open *lines) *http.Transport {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: answerTimeout,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConnsPerHost:   1,
	}
	dial := d.o.Dial
	if own := d.proxyOf(i); own != nil {
		t.Proxy = nil
		dial = (&tunnel{proxy: own, dial: d.o.DialProxy, log: d.log.With("instance", i.ID)}).connect
	}
	dial = open.dialer(dial)
	t.DialContext = dial
	if e := d.o.Endpoint; e != nil {
		t.Proxy = nil
		t.TLSClientConfig = &tls.Config{RootCAs: e.CA, MinVersion: tls.VersionTLS12}
		t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dial(ctx, network, e.Addr)
		}
	}
	return t
}

// proxyOf returns an instance's own proxy, or why it cannot be had; nil when it
// has none.
func (d *Driver) proxyOf(i messaging.Instance) func() (*url.URL, error) {
	if d.o.Proxy == nil {
		return nil
	}
	u, err := d.o.Proxy(i)
	if u == nil && err == nil {
		return nil
	}
	return func() (*url.URL, error) { return u, err }
}

// route sends all that a client does through one transport.
func route(client *whatsmeow.Client, t *http.Transport) {
	h := &http.Client{Transport: t}
	client.SetWebsocketHTTPClient(h)
	client.SetPreLoginHTTPClient(h)
	client.SetMediaHTTPClient(h)
}
