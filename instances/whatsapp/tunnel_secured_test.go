package whatsapp

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// An https proxy is spoken to in TLS, and what goes through it is untouched.
func TestATunnelThroughAnHTTPSProxy(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != "web.whatsapp.com:443" || r.Header.Get("Proxy-Authorization") != "Basic YWNtZTpzM2NyZXQ=" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		w.WriteHeader(http.StatusOK)
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		line, err := buffered.ReadString('\n')
		if err == nil {
			_, err = fmt.Fprint(conn, "echo "+line)
		}
		if err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	for user, want := range map[string]bool{"acme:s3cret@": true, "acme:wrong@": false, "": false} {
		u, err := url.Parse(strings.Replace(server.URL, "https://", "https://"+user, 1))
		if err != nil {
			t.Fatal(err)
		}
		through := tunnel{proxy: func() (*url.URL, error) { return u, nil }, dial: dial, roots: roots, log: slog.New(slog.DiscardHandler)}
		conn, err := through.connect(t.Context(), "tcp", "web.whatsapp.com:443")
		if !want {
			if !proxyFailed(err) || !strings.Contains(err.Error(), "407") || strings.Contains(err.Error(), "wrong") {
				t.Errorf("as %q: %v", user, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintln(conn, "hello"); err != nil {
			t.Error(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil || string(answer) != "echo hello\n" {
			t.Errorf("through the tunnel came %q, %v", answer, err)
		}
		conn.Close()
	}
}
