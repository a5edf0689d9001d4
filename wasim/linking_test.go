package wasim_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.mau.fi/whatsmeow/types/events"

	"portaria/wasim"
)

// TestOnlyTheCodeOnTheScreenLinks: a text that is no code, a code that nobody
// shows, and the same code a second time.
func TestOnlyTheCodeOnTheScreenLinks(t *testing.T) {
	s := start(t, wasim.Options{})
	phone := s.Phone("+" + own)
	if err := phone.ScanQR(t.Context(), "https://example.com"); !errors.Is(err, wasim.ErrQR) {
		t.Errorf("no code: %v", err)
	}
	c := newClient(t, s, newDevice())
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	codes := await[*events.QR](c).Codes
	if len(codes) != 6 {
		t.Errorf("%d codes to show, want 6", len(codes))
	}
	forged := strings.Replace(codes[0], "#2@", "#2@x", 1)
	if err := phone.ScanQR(t.Context(), forged); !errors.Is(err, wasim.ErrQRUnknown) {
		t.Errorf("a code that nobody shows: %v", err)
	}
	if err := phone.ScanQR(t.Context(), codes[3]); err != nil {
		t.Errorf("a later code: %v", err)
	}
	if err := phone.ScanQR(t.Context(), codes[3]); !errors.Is(err, wasim.ErrQRUnknown) {
		t.Errorf("the code a second time: %v", err)
	}
	await[*events.Connected](c)
}

// TestCodeWithAnotherSecretIsRefusedByTheClient: the secret in the code proves
// that the phone has seen the client's screen.
func TestCodeWithAnotherSecretIsRefusedByTheClient(t *testing.T) {
	s := start(t, wasim.Options{})
	c := newClient(t, s, newDevice())
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(await[*events.QR](c).Codes[0], ",")
	parts[3] = parts[1] // some other 32 bytes
	if err := s.Phone(own).ScanQR(t.Context(), strings.Join(parts, ",")); !errors.Is(err, wasim.ErrLinkRefused) {
		t.Errorf("scanned with another secret: %v", err)
	}
	await[*events.PairError](c)
	if got := s.Phone(own).Devices(); len(got) != 0 {
		t.Errorf("devices %v are linked", got)
	}
}

// TestScanEndsWithItsContext, even when the client does not answer.
func TestScanEndsWithItsContext(t *testing.T) {
	s := start(t, wasim.Options{})
	c := newClient(t, s, newDevice())
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	code := await[*events.QR](c).Codes[0]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Phone(own).ScanQR(ctx, code); !errors.Is(err, context.Canceled) && err != nil {
		t.Errorf("scan after its end: %v", err)
	}
}

// TestClosedServerStaysClosed: no restart brings back what was closed, and a
// second Close is harmless.
func TestClosedServerStaysClosed(t *testing.T) {
	s := start(t, wasim.Options{})
	paired(t, s, own)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Restart(); !errors.Is(err, wasim.ErrClosed) {
		t.Errorf("restart after close: %v", err)
	}
}
