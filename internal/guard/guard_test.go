package guard_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"portaria/internal/guard"
)

// Everything that is not the public network is refused, however it is written.
func TestOnlyPublicHostsArePermitted(t *testing.T) {
	g := guard.New(nil)
	for host, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "proxy.example.com": true, "proxy": true, "3proxy": true, "example.com.": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.0.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "255.255.255.255": false, "224.0.0.1": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:8.8.8.8": false, "64:ff9b::7f00:1": false, "64:ff9b::808:808": false,
		"64:ff9b:1::a00:1": false, "2002:7f00:1::": false, "::127.0.0.1": false,
		"localhost": false, "LocalHost.": false, "a.localhost": false,
		"127.1": false, "2130706433": false, "0x7f000001": false, "0x7f.1": false, "0177.0.0.1": false, "example.1": false, "": false,
	} {
		if got := g.Permits(host); got != want {
			t.Errorf("%q: permitted %t, want %t", host, got, want)
		}
		if !want && g.Leads(t.Context(), host) {
			t.Errorf("%q leads somewhere", host)
		}
	}
}

// What the operator allows is allowed, and no more than that.
func TestAllowedPrefixesAreExceptions(t *testing.T) {
	g := guard.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("fd00::/8")})
	for host, want := range map[string]bool{
		"127.0.0.1": true, "localhost": true, "fd00::1": true, "10.0.0.1": false, "::1": false, "fc00::1": false,
		"::ffff:127.0.0.1": false,
	} {
		if got := g.Permits(host); got != want {
			t.Errorf("%q: permitted %t, want %t", host, got, want)
		}
	}
}

// A name may have led elsewhere when it was looked at: the dial decides.
func TestTheDialIsGuardedToo(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, host := range []string{"127.0.0.1", "::ffff:127.0.0.1", "localhost"} {
		_, port, err := net.SplitHostPort(listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := guard.New(nil).Dialer(time.Second).DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err == nil {
			conn.Close()
		}
		if !guard.Refused(err) {
			t.Errorf("%s: %v", host, err)
		}
	}
	conn, err := guard.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}).Dialer(time.Second).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
