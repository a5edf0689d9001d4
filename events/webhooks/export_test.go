package webhooks

import "net/http"

// PostWith has the dispatcher post by other means than the network. It must be
// called before Run.
func (d *Dispatcher) PostWith(post func(*http.Request) (*http.Response, error)) {
	d.poster.transport = transportFunc(post)
}

type transportFunc func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// CloseIdleConnections implements roundTripper.
func (transportFunc) CloseIdleConnections() {}

// What the tests look at.
var (
	KeptOf     = keptOf
	RetryAfter = retryAfter
)

// Next returns the wait after a number of failed tries.
func (p Policy) Next(tries int) (wait int64, again bool) {
	d, again := p.next(tries)
	return int64(d), again
}

// Settled reports whether Run has looked at what an earlier process left.
func (d *Dispatcher) Settled() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settled
}
