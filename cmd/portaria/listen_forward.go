package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"portaria/events/webhooks"
)

// forwardWaits is how long a forward that failed waits for its next tries.
// Nobody writes to it.
var forwardWaits = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}

const (
	// forwardPatience is how long a program may take to answer, as for a webhook.
	forwardPatience = 15 * time.Second
	// keptAnswer is how much of a program's answer is passed on.
	keptAnswer = 64 << 10
)

// forwarder posts events to a local program as webhooks are posted.
type forwarder struct {
	url     string
	secrets []webhooks.Secret
	client  *http.Client
	waits   []time.Duration
}

// newForwardClient returns a client that waits and follows no further than
// webhooks do.
func newForwardClient() *http.Client {
	return &http.Client{
		Timeout:       forwardPatience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// outcome is what came of a forward.
type outcome struct {
	status      int // 0: there was no answer
	contentType string
	answer      []byte
	err         error
	took        time.Duration
	tries       int
}

// String shows the outcome to people.
func (o outcome) String() string {
	said := "no answer"
	switch {
	case o.status != 0:
		said = strconv.Itoa(o.status)
	case o.err != nil:
		said += ": " + printable(o.err.Error())
	}
	said += fmt.Sprintf(" in %s", o.took.Round(time.Millisecond))
	if o.tries > 1 {
		said += fmt.Sprintf(", after %d tries", o.tries)
	}
	if !o.good() {
		said += " (failed)"
	}
	return said
}

func (o outcome) good() bool { return o.status >= 200 && o.status < 300 }

// passing reports whether another try may help.
func (o outcome) passing() bool {
	return o.status == 0 || o.status == http.StatusTooManyRequests || o.status >= http.StatusInternalServerError
}

// insist posts an event until it is taken, refused for good, or the tries are
// used up.
func (f *forwarder) insist(ctx context.Context, id string, body []byte) outcome {
	for try := 0; ; try++ {
		o := f.post(ctx, f.headers(id, time.Now(), body), body)
		o.tries = try + 1
		if !o.passing() || try == len(f.waits) || !pause(ctx, f.waits[try]) {
			return o
		}
	}
}

// headers sign a body, as a webhook is signed at that time.
func (f *forwarder) headers(id string, at time.Time, body []byte) http.Header {
	signatures := make([]string, len(f.secrets))
	for i, secret := range f.secrets {
		signatures[i] = webhooks.Sign(secret, id, at, body)
	}
	h := make(http.Header)
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "Portaria-Webhooks/"+version())
	h.Set(webhooks.HeaderID, id)
	h.Set(webhooks.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(webhooks.HeaderSignature, strings.Join(signatures, " "))
	return h
}

// post tries once.
func (f *forwarder) post(ctx context.Context, headers http.Header, body []byte) (o outcome) {
	begun := time.Now()
	defer func() { o.took = time.Since(begun) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(body))
	if err != nil {
		return outcome{err: err}
	}
	req.Header = headers
	answer, err := f.client.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // the address is known
		}
		return outcome{err: err}
	}
	defer answer.Body.Close()
	o = outcome{status: answer.StatusCode, contentType: answer.Header.Get("Content-Type")}
	if o.answer, err = io.ReadAll(io.LimitReader(answer.Body, keptAnswer)); err != nil {
		return outcome{err: err} // the program died while it answered
	}
	return o
}
