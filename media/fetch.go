package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"time"

	"portaria/internal/guard"
)

const (
	// maxURLBytes is the longest URL that is fetched.
	maxURLBytes = 2048
	// maxRedirects is how many redirects are followed, each guarded.
	maxRedirects = 3
	// firstByte is how long a server may take to begin its answer.
	firstByte = 10 * time.Second
	// FetchTimeout bounds a whole fetch.
	FetchTimeout = time.Minute
)

// fetcher brings files from URLs. Its guard asks at every dial, so that no name
// that is resolved anew and no redirect leads inside.
type fetcher struct {
	guard  *guard.Guard
	client *http.Client
}

func newFetcher(allow []netip.Prefix) *fetcher {
	f := &fetcher{guard: guard.New(allow)}
	f.client = &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy would dial for us, without the guard
			DialContext:            f.guard.Dialer(firstByte).DialContext,
			TLSHandshakeTimeout:    firstByte,
			ResponseHeaderTimeout:  firstByte,
			MaxResponseHeaderBytes: 64 << 10,
			DisableKeepAlives:      true,
			// What is announced as packed is kept as it is: nothing is unpacked
			// without bound.
			DisableCompression: true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return ErrUnreachable.Saying("The URL leads through more than 3 redirects.")
			}
			// It would tell the next server a URL that may be signed, and so a key.
			r.Header.Del("Referer")
			return f.permits(r.URL)
		},
	}
	return f
}

// permits refuses what can be told from a URL alone. Addresses behind names are
// refused when they are dialled.
func (f *fetcher) permits(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return ErrURLNotAllowed
	}
	if !f.guard.Permits(u.Hostname()) {
		return ErrURLNotAllowed
	}
	return nil
}

// Fetched is a file from a URL, as its server names it.
type Fetched struct {
	*Spooled

	Filename string
	Type     string // what the server says of it; often nothing that is true
}

// Fetch spools the file of a URL. Faults: ErrURLNotAllowed, ErrUnreachable,
// ErrTooLarge, ErrEmpty, ErrStorage.
func (l *Library) Fetch(ctx context.Context, rawURL string, limit int64) (*Fetched, error) {
	u, err := url.Parse(rawURL)
	if err != nil || len(rawURL) > maxURLBytes {
		return nil, ErrURLNotAllowed
	}
	if err := l.fetcher.permits(u); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, FetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, ErrURLNotAllowed
	}
	request.Header.Set("User-Agent", "portaria")
	answer, err := l.fetcher.client.Do(request)
	if err != nil {
		return nil, fetchFault(err)
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode != http.StatusOK:
		return nil, ErrUnreachable.Saying(fmt.Sprintf("The URL's server answered %d.", answer.StatusCode)).With("status", answer.StatusCode)
	case answer.ContentLength > limit:
		return nil, ErrTooLarge
	}
	spooled, err := l.Spool(arriving{answer.Body}, limit)
	if err != nil {
		return nil, err
	}
	return &Fetched{Spooled: spooled, Filename: remoteName(answer), Type: answer.Header.Get("Content-Type")}, nil
}

// fetchFault says why nothing came. That a name leads inside is told, as the
// documentation promises; what answers there is not asked.
func fetchFault(err error) error {
	if guard.Refused(err) || errors.Is(err, ErrURLNotAllowed) {
		return ErrURLNotAllowed
	}
	if errors.Is(err, ErrUnreachable) {
		return ErrUnreachable.Saying("The URL leads through more than 3 redirects.")
	}
	return ErrUnreachable
}

// arriving is a body whose failures are the sender's.
type arriving struct{ r io.Reader }

// Read implements io.Reader.
func (a arriving) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = ErrUnreachable.Saying("The file did not arrive whole.")
	}
	return n, err
}

// remoteName is how a server names its file: in a header, or in the path.
func remoteName(answer *http.Response) string {
	if _, params, err := mime.ParseMediaType(answer.Header.Get("Content-Disposition")); err == nil && params["filename"] != "" {
		return params["filename"]
	}
	name := path.Base(answer.Request.URL.Path)
	if name == "/" || name == "." {
		return ""
	}
	return name
}
