package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"portaria/auth"
	"portaria/events/stream"
	"portaria/internal/fault"
)

// broken is a connection whose reader has gone.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// listener returns one that writes into a buffer.
func listener(recheck error) (*eventListener, *bytes.Buffer) {
	var written bytes.Buffer
	return &eventListener{
		ctx: context.Background(), out: &events{w: bufio.NewWriter(&written), wrote: time.Now()}, last: "evt_1",
		recheck: func(context.Context) error { return recheck },
	}, &written
}

func TestASilentStreamShowsThatItLives(t *testing.T) {
	l, written := listener(nil)
	if err := l.Still(); err != nil || written.Len() != 0 {
		t.Errorf("at once: %v, %q", err, written)
	}
	l.out.wrote = time.Now().Add(-heartbeat)
	if err := l.Still(); err != nil || written.String() != ": still here\n\n" {
		t.Errorf("after %v: %v, %q", heartbeat, err, written)
	}
}

// What is told waits for the flush, so that a burst is one write.
func TestToldEventsGetOutTogether(t *testing.T) {
	l, written := listener(nil)
	for _, id := range []string{"evt_2", "evt_3"} {
		if err := l.Tell(&stream.Item{ID: id, Type: "message.sent", Data: []byte(`{}`)}); err != nil || written.Len() != 0 {
			t.Fatalf("%v, %q", err, written)
		}
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "id: evt_2\nevent: message.sent\ndata: {}\n\nid: evt_3\nevent: message.sent\ndata: {}\n\n"
	if written.String() != want || l.last != "evt_3" {
		t.Errorf("got %q, last %s", written, l.last)
	}
}

// Only a key that is surely bad ends a stream: that of a busy moment may be good.
func TestStreamsEndOnlyForABadKey(t *testing.T) {
	for _, c := range []struct{ recheck, want error }{
		{nil, nil},
		{auth.ErrBusy, nil},
		{fault.ErrUnavailable, nil},
		{auth.ErrUnauthorized, auth.ErrUnauthorized},
		{auth.ErrKeyExpired, auth.ErrKeyExpired},
	} {
		for name, act := range map[string]func(l *eventListener) error{
			"still": (*eventListener).Still,
			"tell":  func(l *eventListener) error { return l.Tell(&stream.Item{}) },
		} {
			l, _ := listener(c.recheck)
			if err := act(l); !errors.Is(err, c.want) {
				t.Errorf("%s with %v: %v", name, c.recheck, err)
			}
			l.checked = time.Now()
			if err := act(l); err != nil {
				t.Errorf("%s asked again at once: %v", name, err)
			}
		}
	}
}

func TestTheEndOfAStreamIsNamed(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errReaderGone, ""},
		{stream.ErrSlow, "TOO_SLOW"},
		{stream.ErrStopped, "SHUTTING_DOWN"},
		{context.Canceled, "SHUTTING_DOWN"},
		{auth.ErrUnauthorized, "UNAUTHORIZED"},
		{auth.ErrKeyExpired, "KEY_EXPIRED"},
		{fault.ErrUnavailable.Because(errors.New("no line")), "UNAVAILABLE"},
		{errors.New("no line"), "UNAVAILABLE"},
	} {
		got := ""
		if end := streamEnd(c.err); end != nil {
			got = end.Code()
		}
		if got != c.want {
			t.Errorf("%v is told as %q, want %q", c.err, got, c.want)
		}
	}
}

// Whoever has gone is noticed by each kind of writing.
func TestAReaderWhoHasGoneEndsItsStream(t *testing.T) {
	for name, act := range map[string]func(l *eventListener) error{
		"tell":  func(l *eventListener) error { return l.Tell(&stream.Item{Data: make([]byte, 10_000)}) },
		"gap":   func(l *eventListener) error { return l.Gap("evt_1", "") },
		"still": (*eventListener).Still,
		"flush": func(l *eventListener) error { return errors.Join(l.Tell(&stream.Item{}), l.Flush()) },
	} {
		l, _ := listener(nil)
		l.out = &events{w: bufio.NewWriter(broken{})}
		if err := act(l); !errors.Is(err, errReaderGone) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
