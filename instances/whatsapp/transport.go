package whatsapp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
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
// pairing and its files go the same way.
func (d *Driver) newTransport(i messaging.Instance, open *lines) (*http.Transport, error) {
	dial := open.dialer(d.o.Dial)
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dial,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: answerTimeout,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConnsPerHost:   1,
	}
	if e := d.o.Endpoint; e != nil {
		t.Proxy = nil
		t.TLSClientConfig = &tls.Config{RootCAs: e.CA, MinVersion: tls.VersionTLS12}
		t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dial(ctx, network, e.Addr)
		}
	}
	if d.o.Proxy == nil {
		return t, nil
	}
	proxy, err := d.o.Proxy(i)
	if err != nil {
		return nil, fmt.Errorf("proxy of %s: %w", i.ID, err)
	}
	if proxy != nil {
		t.Proxy = http.ProxyURL(proxy)
	}
	return t, nil
}

// route sends all that a client does through one transport.
func route(client *whatsmeow.Client, t *http.Transport) {
	h := &http.Client{Transport: t}
	client.SetWebsocketHTTPClient(h)
	client.SetPreLoginHTTPClient(h)
	client.SetMediaHTTPClient(h)
}
