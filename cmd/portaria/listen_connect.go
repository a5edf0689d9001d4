package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/messaging"
)

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
