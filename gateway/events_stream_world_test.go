package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portaria/events/stream"
	"portaria/messaging"
)

// frame is one of a stream of events.
type frame struct{ id, event, data, retry string }

// listening is a stream that is read until it ends.
type listening struct {
	h      *house
	frames chan frame
	cancel func()
	header http.Header
}

// listen opens a stream of events and waits for its first frame.
func (h *house) listen(t *testing.T, token, query string, header ...string) *listening {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL()+"/v1/events/stream"+query, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s, %s", answer.Status, answer.Header.Get("Content-Type"))
	}
	l := &listening{h: h, frames: make(chan frame, 1000), cancel: cancel, header: answer.Header}
	go func() {
		defer close(l.frames)
		defer answer.Body.Close()
		readFrames(answer.Body, func(f frame) bool {
			select {
			case l.frames <- f:
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()
	if f := l.next(t); f != (frame{retry: "2000"}) {
		t.Fatalf("the stream begins with %+v", f)
	}
	return l
}

// readFrames reads a stream as the WHATWG's standard says, as far as this server
// uses it.
func readFrames(r io.Reader, heard func(frame) bool) {
	lines, f := bufio.NewScanner(r), frame{}
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			f.id = value
		case "event":
			f.event = value
		case "data":
			f.data += value
		case "retry":
			f.retry = value
		case "":
			if value == "" && f != (frame{}) && !heard(f) {
				return
			}
			f = frame{}
		}
	}
}

// next returns the next frame. Events are held against their schema.
func (l *listening) next(t *testing.T) frame {
	t.Helper()
	select {
	case f, ok := <-l.frames:
		if !ok {
			t.Fatal("the stream has ended")
		}
		if f.id != "" {
			if err := l.h.Client.CheckEvent(t, []byte(f.data)); err != nil {
				t.Errorf("an event is not as its schema says: %v", err)
			}
		}
		return f
	case <-time.After(patience):
		t.Fatal("the stream is silent")
		return frame{}
	}
}

// ids returns the ids of the next n events.
func (l *listening) ids(t *testing.T, n int) []string {
	t.Helper()
	ids := make([]string, 0, n)
	for range n {
		f := l.next(t)
		if f.id == "" {
			t.Fatalf("no event: %+v", f)
		}
		ids = append(ids, f.id)
	}
	return ids
}

// end returns why a stream ended, and expects nothing but that.
func (l *listening) end(t *testing.T) frame {
	t.Helper()
	f := l.next(t)
	if f.event != "dropped" {
		t.Fatalf("not the end: %+v", f)
	}
	select {
	case more, ok := <-l.frames:
		if ok {
			t.Fatalf("after the end: %+v", more)
		}
	case <-time.After(patience):
		t.Fatal("the stream goes on")
	}
	return f
}

// sent records an event of a message with a text.
func (h *house) sent(instance, text string) messaging.Event {
	m := messaging.Message{
		ID: messaging.NewID(messaging.MessagePrefix, time.Now()), WorkspaceID: workspace, Environment: messaging.Test, InstanceID: instance,
		Direction: messaging.Outbound, Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: text}},
		Metadata: []byte(`{"a":1}`), CreatedAt: time.Now(), State: messaging.State{Status: messaging.StatusSent},
	}
	return h.happen(messaging.Event{
		Type: "message.sent", WorkspaceID: workspace, Environment: messaging.Test, InstanceID: instance, MessageID: m.ID, State: m.State, Message: &m,
	})
}

// followKeys has the door notice what other processes do to keys.
func (h *house) followKeys(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- h.known.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			t.Errorf("the directory's Run returned %v", err)
		}
	})
}

// listenTo makes a hub the one that streams come from.
func (h *house) listenTo(streams *counted, hub *stream.Hub) {
	h.mu.Lock()
	h.hub = hub
	h.mu.Unlock()
	streams.hub.Store(hub)
}

// counted counts the streams that are open.
type counted struct {
	hub  atomic.Pointer[stream.Hub]
	open atomic.Int64
	slow atomic.Int64
}

func (c *counted) Follow(ctx context.Context, s stream.Subscription, l stream.Listener) error {
	c.open.Add(1)
	defer c.open.Add(-1)
	err := c.hub.Load().Follow(ctx, s, l)
	if errors.Is(err, stream.ErrSlow) {
		c.slow.Add(1)
	}
	return err
}
