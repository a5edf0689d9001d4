// Package guard keeps the addresses that callers give us from leading inside:
// to this machine, its neighbours, or whatever else is not the public network.
//
// An address is judged twice. Permits and Leads look at the text, so that the
// caller is told; Dialer asks again at every dial, when a name has become an
// address, so that nothing is gained by a name which changes its mind. Mapped
// and translated addresses (IPv4 in IPv6, NAT64, 6to4) are never public.
package guard

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"code.dny.dev/ssrf"
)

// Guard tells public addresses from others. It is safe for concurrent use.
type Guard struct{ guardian *ssrf.Guardian }

// New returns a guard that also lets the addresses of allow through.
func New(allow []netip.Prefix) *Guard {
	var v4, v6 []netip.Prefix
	for _, p := range allow {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return &Guard{ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))}
}

// Dialer returns a dialer that connects to no address which is not permitted.
// Refused tells its refusals.
func (g *Guard) Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Control: g.guardian.Safe}
}

// Refused reports whether a dial failed because its address is not permitted.
func Refused(err error) bool {
	for _, refusal := range []error{ssrf.ErrProhibitedIP, ssrf.ErrProhibitedNetwork, ssrf.ErrProhibitedPort, ssrf.ErrInvalidHostPort} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// Permits reports what can be told of a host, without its port, from its text
// alone. Names pass, but for those of this machine and for numbers that only
// some resolvers take for an address.
func (g *Guard) Permits(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return g.allows(addr)
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return g.allows(netip.AddrFrom4([4]byte{127, 0, 0, 1})) || g.allows(netip.IPv6Loopback())
	}
	return name != "" && !isNumber(name[strings.LastIndexByte(name, '.')+1:])
}

// isNumber reports whether the last label of a name is a number: such names are
// addresses to resolvers that read 127.1 and 0x7f000001.
func isNumber(label string) bool {
	digits, hexadecimal := strings.CutPrefix(label, "0x")
	if hexadecimal {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return strings.Trim(digits, "0123456789") == ""
}

// Leads reports whether a host leads to an address that is permitted. The
// resolver is asked about names; one that it does not know passes, for a dial
// will fail anyway, and the resolver may only be down.
func (g *Guard) Leads(ctx context.Context, host string) bool {
	if !g.Permits(host) {
		return false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(found) == 0 {
		return true
	}
	for _, addr := range found {
		if g.allows(addr.Unmap()) { // as a dial takes it
			return true
		}
	}
	return false
}

func (g *Guard) allows(addr netip.Addr) bool { return g.guardian.SafeAddr(addr) == nil }
