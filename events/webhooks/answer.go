package webhooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"portaria/internal/guard"
)

// maxAnswerHeader bounds the header of an answer, in bytes.
const maxAnswerHeader = 64 << 10

// Connections that nobody uses are kept for the next delivery, but not many.
// Several endpoints may be at one host.
const (
	maxIdle     = 256
	maxIdleHost = 10 * sideBySide
	idleTimeout = 30 * time.Second
)

// errPlainHTTP is the error of a URL that the operator does not allow any more.
var errPlainHTTP = errors.New("plain HTTP is not allowed")

// poster makes requests.
type poster struct {
	transport roundTripper
	patience  time.Duration
	allowHTTP bool
	userAgent string
}

// newTransport returns a transport that dials only where the guard lets it. It
// speaks HTTP/1.1, so that an answer which hangs keeps nothing else waiting; it
// knows no proxy, and it unpacks nothing.
func newTransport(g *guard.Guard, dial time.Duration) *http.Transport {
	return &http.Transport{
		DialContext: g.Dialer(dial).DialContext, TLSHandshakeTimeout: dial,
		DisableCompression: true, MaxResponseHeaderBytes: maxAnswerHeader,
		MaxIdleConns: maxIdle, MaxIdleConnsPerHost: maxIdleHost, IdleConnTimeout: idleTimeout,
	}
}

// answer is what became of a request.
type answer struct {
	status     int // 0: there was none
	class      ErrorClass
	kept       string
	retryAfter time.Duration // what the answer asks for; 0: nothing
	took       time.Duration
}

// post makes one request and reads its answer as far as it is kept. Redirects
// are answers as any other. The status decides: what happens to the rest of the
// answer does not matter.
func (p *poster) post(ctx context.Context, t *target, header http.Header, text []byte) answer {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	response, err := p.roundTrip(ctx, t, header, text)
	if err != nil {
		return answer{class: classOf(err), took: time.Since(begun)}
	}
	defer response.Body.Close()
	got := answer{status: response.StatusCode, class: classOfStatus(response.StatusCode)}
	if got.class != "" {
		got.retryAfter = retryAfter(response.Header.Get("Retry-After"), time.Now())
	}
	if response.StatusCode != http.StatusSwitchingProtocols { // whose body has no end
		got.kept = readAnswer(response.Body)
	}
	got.took = time.Since(begun)
	return got
}

func (p *poster) roundTrip(ctx context.Context, t *target, header http.Header, text []byte) (*http.Response, error) {
	if t.url.Scheme != "https" && !p.allowHTTP {
		return nil, errPlainHTTP
	}
	content := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	first, err := content()
	if err != nil {
		return nil, err
	}
	request := &http.Request{
		Method: http.MethodPost, URL: t.url, Host: t.url.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: first, GetBody: content, ContentLength: int64(len(text)),
	}
	return p.transport.RoundTrip(request.WithContext(ctx))
}

// readAnswer reads a little of an answer, so that its connection can be used
// again if that is all, and returns what is kept of it.
func readAnswer(from io.Reader) string {
	var buffer [answerRead]byte
	n := 0
	for n < len(buffer) {
		read, err := from.Read(buffer[n:])
		n += read
		if err != nil {
			break
		}
	}
	return keptOf(buffer[:n])
}

// keptOf cuts an answer to AnswerKept bytes of valid UTF-8 without NUL, which
// PostgreSQL does not store.
func keptOf(raw []byte) string {
	text := strings.ReplaceAll(strings.ToValidUTF8(string(raw[:min(len(raw), AnswerKept)]), "\uFFFD"), "\x00", "\uFFFD")
	if len(raw) > AnswerKept { // the cut may have gone through a character
		text = strings.TrimSuffix(text, "\uFFFD")
	}
	if len(text) <= AnswerKept {
		return text
	}
	cut := AnswerKept
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}

// classOfStatus says why an answer is a failure; empty when it is none.
func classOfStatus(status int) ErrorClass {
	switch status / 100 {
	case 2:
		return ""
	case 3:
		return ClassRedirect
	default:
		return ClassStatus
	}
}

// classOf says why there was no answer.
func classOf(err error) ErrorClass {
	var (
		dns      *net.DNSError
		network  *net.OpError
		deadline net.Error
	)
	switch {
	case errors.Is(err, errPlainHTTP) || guard.Refused(err):
		return ClassNotAllowed
	case errors.As(err, &dns):
		return ClassDNS
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &deadline) && deadline.Timeout():
		return ClassTimeout
	case ofTLS(err):
		return ClassTLS
	case errors.As(err, &network) && network.Op == "dial":
		return ClassConnect
	default:
		return ClassBroken
	}
}

func ofTLS(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		authority   x509.UnknownAuthorityError
		invalid     x509.CertificateInvalidError
		hostname    x509.HostnameError
	)
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.As(err, &authority) || errors.As(err, &invalid) || errors.As(err, &hostname)
}

// retryAfter reads a Retry-After header, seconds or a date (RFC 9110, 10.2.3),
// at most maxRetryAfter; 0 when it says nothing.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
