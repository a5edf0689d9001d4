package gateway

import (
	"net/netip"
	"strings"
)

// clientIP finds the caller's address. X-Forwarded-For is read from its end,
// where the nearest proxy wrote, for as long as the proxies are trusted: what
// stands before the first untrusted hop is the caller's own invention.
func clientIP(remote netip.Addr, forwardedFor []byte, trusted []netip.Prefix) netip.Addr {
	if len(forwardedFor) == 0 || !contains(trusted, remote) {
		return remote
	}
	hops := strings.Split(string(forwardedFor), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := parseHop(strings.TrimSpace(hops[i]))
		if err != nil {
			return remote
		}
		remote = hop
		if !contains(trusted, remote) {
			return remote
		}
	}
	return remote
}

// parseHop reads an address as proxies write it: with or without a port.
func parseHop(hop string) (netip.Addr, error) {
	if withPort, err := netip.ParseAddrPort(hop); err == nil {
		return withPort.Addr().Unmap(), nil
	}
	addr, err := netip.ParseAddr(strings.Trim(hop, "[]"))
	return addr.Unmap().WithZone(""), err
}

// contains reports whether an address lies in one of the prefixes.
func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, prefix := range prefixes {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}
