package proxy

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"portaria/internal/fault"
)

// hidden stands for a password that is not shown, and for a whole URL that
// cannot be read.
const hidden = "***"

// The longest URL, and the longest user name and password: SOCKS counts them in
// one byte.
const (
	maxURLBytes  = 1024
	maxHostBytes = 253
	maxUserBytes = 255
)

// What a proxy's URL may be refused for. None repeats what was sent.
var (
	errNoText   = errors.New("must be a text")
	errNoURL    = errors.New("must be a URL: http, https or socks5, a host, and at most a user, a password and a port")
	errUser     = errors.New("must have a user name of 1 to 255 bytes without a colon, and a password of at most 255")
	errHidden   = errors.New("must hold the password itself: *** only stands for the one of the proxy that is stored")
	errTooLarge = errors.New("must be at most " + strconv.Itoa(maxURLBytes) + " bytes long")
)

// Check notes what is wrong with the form of a proxy's URL. What is shown of a
// stored proxy passes.
func Check(fields *fault.Fields, text string) {
	if text == hidden {
		return
	}
	if _, err := parse(text); err != nil {
		fields.Add(field, "format", err.Error())
	}
}

// parse reads a proxy's URL. Its errors tell nothing of it.
func parse(text string) (*url.URL, error) {
	if len(text) > maxURLBytes {
		return nil, errTooLarge
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errNoURL
	}
	switch u.Scheme {
	case "http", "https", "socks5":
	default:
		return nil, errNoURL
	}
	if u.Opaque != "" || strings.Trim(u.Path, "/") != "" || strings.ContainsAny(text, "?#") || !validHost(u) {
		return nil, errNoURL
	}
	if u.User != nil {
		password, _ := u.User.Password()
		name := u.User.Username()
		if name == "" || len(name) > maxUserBytes || len(password) > maxUserBytes || strings.Contains(name, ":") {
			return nil, errUser
		}
	}
	return &url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host}, nil
}

// validHost reports whether a URL names a host: an address, or a name of ASCII
// letters, digits, dots, hyphens and underscores.
func validHost(u *url.URL) bool {
	host, port := u.Hostname(), u.Port()
	if number, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || number == 0) || strings.HasSuffix(u.Host, ":") {
		return false
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == ""
	}
	return host != "" && len(host) <= maxHostBytes && strings.Trim(host, ".-") != "" && strings.IndexFunc(host, isForeign) < 0
}

// isForeign reports whether a character belongs in no name of a host.
func isForeign(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
}

// shown is a URL with its password hidden.
func shown(u *url.URL) string {
	if _, secret := u.User.Password(); !secret {
		return u.String()
	}
	return u.Scheme + "://" + url.User(u.User.Username()).String() + ":" + hidden + "@" + u.Host
}

// isHidden reports whether a URL has what is shown in place of a password.
func isHidden(u *url.URL) bool {
	password, _ := u.User.Password()
	return password == hidden
}
