package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/events/webhooks"
	"portaria/messaging"
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

// errSilent ends a stream that shows no sign of life.
var errSilent = errors.New("the server is silent")

// connect follows one connection to its end. It reports whether there was one.
func (f *follower) connect(ctx context.Context) (begun bool, err error) {
	if f.after == "" {
		if err := f.findNow(ctx); err != nil {
			return false, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	path := "/v1/events/stream"
	if len(f.query) > 0 {
		path += "?" + f.query.Encode()
	}
	answer, err := f.get(ctx, path, cancel)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	reader := newFrameReader(&attentive{in: answer.Body, limit: f.silence, cancel: cancel})
	reader.id = f.after
	for {
		event, err := reader.next()
		if reader.retry > 0 {
			f.retry = min(reader.retry, f.longest)
		}
		switch {
		case errors.Is(err, errLongFrame):
			return true, err
		case err != nil:
			return true, &lostError{why: streamEnd(ctx, err)}
		}
		if err := f.take(ctx, event); err != nil {
			return true, err
		}
		f.after = reader.lastID
	}
}

// streamEnd says why a stream cannot be read on.
func streamEnd(ctx context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errSilent):
		return errSilent
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the server closed it")
	default:
		return err
	}
}

// take handles one event, or says what the stream tells about itself.
func (f *follower) take(ctx context.Context, event frame) error {
	if strings.Contains(event.name, ".") {
		return f.handle(ctx, event.id, jsontext.Value(event.data))
	}
	var told struct {
		refusal
		After string `json:"after"`
		First string `json:"first"`
	}
	if json.Unmarshal(event.data, &told) != nil {
		return nil // what later versions tell
	}
	switch {
	case event.name == "gap" && told.First != "":
		f.out.note("events are missing: those behind %s and before %s are no longer kept", printable(told.After), printable(told.First))
	case event.name == "gap":
		f.out.note("events are missing: those behind %s are no longer kept", printable(told.After))
	case told.Code != "":
		f.out.note("the server says %s %s", printable(told.Code), printable(told.Message))
	}
	return nil
}

// get asks for a stream. Errors: *lostError, *refusal, errStrangeAnswer.
func (f *follower) get(ctx context.Context, path string, cancel context.CancelCauseFunc) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.api.base+path, nil)
	if err != nil {
		return nil, usageError("--url: " + err.Error())
	}
	req.Header.Set("Authorization", "Bearer "+f.api.token)
	req.Header.Set("Accept", "text/event-stream, application/json;q=0.9")
	req.Header.Set("Cache-Control", "no-store")
	req.Header.Set("User-Agent", "portaria/"+version())
	if f.after != "" {
		req.Header.Set("Last-Event-ID", f.after)
	}
	timer := time.AfterFunc(f.silence, func() { cancel(errSilent) })
	defer timer.Stop()
	answer, err := f.api.http.Do(req)
	if err != nil {
		return nil, &lostError{why: unreachable(f.api.base, err)}
	}
	mediaType, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";")
	if answer.StatusCode == http.StatusOK && mediaType == "text/event-stream" {
		return answer, nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, &lostError{why: unreachable(f.api.base, err)}
	}
	return nil, refusedStream(answer, text)
}

// refusedStream tells what may pass from what is for good.
func refusedStream(answer *http.Response, text []byte) error {
	_, err := readAnswer(answer.StatusCode, text)
	if err == nil {
		err = errStrangeAnswer.Because(fmt.Errorf("an answer with status %d that is no stream of events", answer.StatusCode))
	}
	if answer.StatusCode != http.StatusTooManyRequests && answer.StatusCode < http.StatusInternalServerError {
		return err
	}
	seconds, _ := strconv.ParseUint(answer.Header.Get("Retry-After"), 10, 16)
	return &lostError{why: err, after: time.Duration(seconds) * time.Second}
}

// findNow finds the event behind which the stream begins. Without it, what
// happens between the first connection and the next would be missed when the
// first one brought nothing.
func (f *follower) findNow(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerGrace)
	defer cancel()
	data, err := askJSON(ctx, http.MethodGet, f.api.base+"/v1/events?limit=1", f.api.token, nil)
	if err != nil {
		return gatewayError(f.api.base, err)
	}
	var newest []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(data, &newest); err != nil {
		return errStrangeAnswer.Because(err)
	}
	f.after = messaging.NewEventID(0, time.UnixMilli(0)) // before the first one
	if len(newest) > 0 {
		f.after = newest[0].ID
	}
	return nil
}

// attentive reads from a stream that must not be silent for longer than limit.
// Only the time spent waiting counts.
type attentive struct {
	in     io.Reader
	limit  time.Duration
	cancel context.CancelCauseFunc
}

// Read implements io.Reader.
func (a *attentive) Read(p []byte) (int, error) {
	timer := time.AfterFunc(a.limit, func() { a.cancel(errSilent) })
	defer timer.Stop()
	return a.in.Read(p)
}
