package natssink

import (
	"errors"
	"net/url"
	"strings"
)

// Errors of New. They do not quote the URL, which may hold a password.
var (
	ErrURL = errors.New("a NATS URL must be like nats://host:4222 or tls://user:password@host:4222, " +
		"or several of these with commas between")
	ErrNames = errors.New("the stream's name must be one token, and its subjects tokens with dots between, without wildcards")
)

// address is where the servers are.
type address struct {
	url   string // with credentials, for the library alone
	hosts string // for logs
}

// parseAddress refuses what the library would take for something else.
func parseAddress(list string) (address, error) {
	var urls, hosts []string
	for raw := range strings.SplitSeq(list, ",") {
		raw = strings.TrimSpace(raw)
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" ||
			strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return address{}, ErrURL
		}
		urls, hosts = append(urls, raw), append(hosts, u.Host)
	}
	return address{url: strings.Join(urls, ","), hosts: strings.Join(hosts, ",")}, nil
}

// checkNames refuses names that JetStream would not take.
func checkNames(stream, subjects string) error {
	if strings.ContainsAny(stream, " \t\r\n.*>/\\") {
		return ErrNames
	}
	for token := range strings.SplitSeq(subjects, ".") {
		if token == "" || strings.ContainsAny(token, " \t\r\n*>") || strings.HasPrefix(token, "$") {
			return ErrNames
		}
	}
	return nil
}
