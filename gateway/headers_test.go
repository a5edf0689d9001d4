package gateway

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Who is behind a proxy is only what trusted proxies say; anything else lets a
// caller choose the address in the log.
func TestOnlyTrustedProxiesSayWhoTheCallerIs(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, test := range []struct{ name, remote, forwarded, want string }{
		{"no proxy", "203.0.113.9", "", "203.0.113.9"},
		{"a stranger's header", "203.0.113.9", "198.51.100.1", "203.0.113.9"},
		{"a trusted proxy", "10.1.2.3", "198.51.100.1", "198.51.100.1"},
		{"a chain", "10.1.2.3", "198.51.100.1, 10.9.9.9", "198.51.100.1"},
		{"what the caller invented", "10.1.2.3", "1.2.3.4, 198.51.100.1", "198.51.100.1"},
		{"with a port", "10.1.2.3", "198.51.100.1:4711", "198.51.100.1"},
		{"IPv6", "fd00::1", "[2001:db8::1]:443", "2001:db8::1"},
		{"mapped", "10.1.2.3", "::ffff:198.51.100.1", "198.51.100.1"},
		{"garbage", "10.1.2.3", "unknown", "10.1.2.3"},
		{"garbage behind the caller", "10.1.2.3", "<script>, 198.51.100.1", "198.51.100.1"},
		{"all trusted", "10.1.2.3", "10.0.0.7", "10.0.0.7"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := clientIP(netip.MustParseAddr(test.remote), []byte(test.forwarded), trusted).String(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestForwardingHeadersAreIgnoredWithoutTrustedProxies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		remote := netip.MustParseAddr("203.0.113.9")
		header := rapid.SliceOf(rapid.Byte()).Draw(t, "X-Forwarded-For")
		if got := clientIP(remote, header, nil); got != remote {
			t.Fatalf("%q made the caller %s", header, got)
		}
	})
}

func TestPortugueseIsChosenByPreference(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "pt-BR": true, "pt": true, "PT-br": true, "en": false, "pt-BR,en;q=0.5": true, "en,pt;q=0.9": false,
		"fr,pt;q=0.4,en;q=0.3": true, "de": false, "pt;q=0": false, "pt;q=x": false, "*": false, "en;q=0.1, pt-PT;q=0.2": true,
	} {
		h := headers{acceptLanguage: []byte(header)}
		if got := h.wantsPortuguese(); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}

func TestOnlySaneRequestIDsAreEchoed(t *testing.T) {
	for id, want := range map[string]bool{
		"abc": true, "A.b_c:d-9": true, strings.Repeat("a", 128): true,
		"": false, strings.Repeat("a", 129): false, "a b": false, "a\nb": false, "ção": false, `a"b`: false, "a/b": false,
	} {
		if got := saneRequestID([]byte(id)); got != want {
			t.Errorf("%q: %v, want %v", id, got, want)
		}
	}
}
