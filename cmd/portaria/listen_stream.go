package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portaria/events/webhooks"
)

// follow shows what the stream tells, and forwards it if that is asked for.
func (cmd *listenCmd) follow(ctx context.Context, out *eventPrinter, secrets []webhooks.Secret) error {
	f, err := cmd.newFollower(out)
	if err != nil {
		return err
	}
	if cmd.Forward != "" && len(secrets) == 0 {
		drawn := webhooks.NewSecret()
		secrets = append(secrets, drawn)
		out.note("forwarding to %s, signed with %s", cmd.Forward, drawn.Reveal())
	}
	f.handle = handleEvents(out, cmd.newForwarder(secrets))
	return f.run(ctx)
}

// handleEvents shows events, and forwards them unless forward is nil.
func handleEvents(out *eventPrinter, forward *forwarder) eventHandler {
	return func(ctx context.Context, id string, event jsontext.Value) error {
		if err := out.event(readEvent(event), ""); err != nil || forward == nil {
			return err
		}
		if o := forward.insist(ctx, id, event); ctx.Err() == nil {
			out.forwarded(id, o)
		}
		return nil
	}
}

// eventHandler does what is to be done with an event. An error of it is final.
type eventHandler func(ctx context.Context, id string, event jsontext.Value) error

// The timings of a follower.
const (
	// usualRetry is how long a stream that says nothing else lets its readers
	// wait before they come again; each failure doubles it, up to longestRetry.
	usualRetry   = 2 * time.Second
	longestRetry = 30 * time.Second
	// streamSilence is how long a stream may be still: the server shows three
	// times meanwhile that it lives.
	streamSilence = 45 * time.Second
)

// follower follows the stream of a key through lost connections.
type follower struct {
	api    *apiClient
	query  url.Values
	after  string // the last event that was handled; empty: begin now
	out    *eventPrinter
	handle eventHandler

	silence time.Duration
	retry   time.Duration // before the next try
	longest time.Duration
}

func (cmd *listenCmd) newFollower(out *eventPrinter) (*follower, error) {
	token, err := fromFile("PORTARIA_API_KEY", cmd.APIKey, cmd.APIKeyFile)
	if err != nil {
		return nil, err
	}
	if token = strings.TrimSpace(token); token == "" {
		return nil, usageError("--api-key: set PORTARIA_API_KEY, or PORTARIA_API_KEY_FILE to a file that holds the key")
	}
	api, err := newAPIClient(cmd.URL, token, 0)
	if err != nil {
		return nil, err
	}
	api.http.Timeout = 0 // a stream has no end; silence ends it
	query := make(url.Values)
	if len(cmd.Type) > 0 {
		query.Set("type", strings.Join(cmd.Type, ","))
	}
	if cmd.Instance != "" {
		query.Set("instance", cmd.Instance)
	}
	return &follower{
		api: api, query: query, after: cmd.After, out: out, silence: streamSilence, retry: usualRetry, longest: longestRetry,
	}, nil
}

// lostError is the end of a connection that can be made again.
type lostError struct {
	why   error
	after time.Duration // the server asks for this much patience; 0: for none
}

// Error implements error.
func (e *lostError) Error() string { return e.why.Error() }

// Unwrap returns what happened.
func (e *lostError) Unwrap() error { return e.why }

// run follows the stream until ctx ends, which is no error. Errors: what the
// server refuses for good, that nobody answers the first time, and those of
// handle.
func (f *follower) run(ctx context.Context) error {
	wait := f.retry
	for connected := false; ; {
		begun, err := f.connect(ctx)
		if ctx.Err() != nil {
			return nil
		}
		lost, ok := errors.AsType[*lostError](err)
		if !ok || !connected && !begun {
			return err
		}
		if begun {
			connected, wait = true, f.retry
		}
		patience := max(min(wait, f.longest), lost.after)
		patience += time.Duration(rand.Int64N(int64(patience)/5 + 1)) // so that many readers do not come at once
		f.out.note("the stream ended: %s; again in %s", lost, patience.Round(100*time.Millisecond))
		wait = min(2*wait, f.longest)
		if !pause(ctx, patience) {
			return nil
		}
	}
}

// pause waits, and reports false when ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
