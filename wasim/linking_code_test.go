package wasim_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types/events"

	"portaria/wasim"
)

// asking returns a client that shows a code for a number, and the code.
func asking(t testing.TB, s *wasim.Server, number string) (*client, string) {
	t.Helper()
	c := newClient(t, s, newDevice())
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	await[*events.QR](c)
	code, err := c.PairPhone(t.Context(), number, true, whatsmeow.PairClientChrome, "Chrome (Linux)")
	if err != nil {
		t.Fatal(err)
	}
	return c, code
}

// TestTypedCodeLinks: the client is linked as by a QR, and talks.
func TestTypedCodeLinks(t *testing.T) {
	t.Parallel()
	s := start(t, wasim.Options{})
	c, code := asking(t, s, own)
	if err := s.Phone(own).TypeCode(t.Context(), strings.ToLower(code)); err != nil {
		t.Fatal(err)
	}
	await[*events.PairSuccess](c)
	await[*events.Connected](c)
	c.mustText(friend, "linked by a code")
	wantTexts(t, s.Received, "linked by a code")
	if err := s.Phone(own).TypeCode(t.Context(), code); !errors.Is(err, wasim.ErrCodeUnknown) {
		t.Errorf("the code a second time: %v", err)
	}
}

// TestWrongCodeLinksNothing and can be mended: people mistype.
func TestWrongCodeLinksNothing(t *testing.T) {
	t.Parallel()
	s := start(t, wasim.Options{})
	c, code := asking(t, s, own)
	phone := s.Phone(own)
	for _, text := range []string{"", "ABCD-EFG", "ABCD-EFGHJ", "0OIU-0OIU"} {
		if err := phone.TypeCode(t.Context(), text); !errors.Is(err, wasim.ErrCode) {
			t.Errorf("typed %q: %v", text, err)
		}
	}
	if err := s.Phone(friend).TypeCode(t.Context(), code); !errors.Is(err, wasim.ErrCodeUnknown) {
		t.Errorf("typed on the phone of another number: %v", err)
	}
	other := byte('1')
	if code[0] == other {
		other = '2'
	}
	if err := phone.TypeCode(t.Context(), string(other)+code[1:]); !errors.Is(err, wasim.ErrCodeWrong) {
		t.Errorf("typed another code: %v", err)
	}
	if got := phone.Devices(); len(got) != 0 {
		t.Errorf("devices %v are linked", got)
	}
	if err := phone.TypeCode(t.Context(), code); err != nil {
		t.Errorf("typed it right at last: %v", err)
	}
	await[*events.Connected](c)
}

// TestLastAskedCodeIsTheOne: of two clients for one number, and of two codes
// of one client, the phone shows the last.
func TestLastAskedCodeIsTheOne(t *testing.T) {
	t.Parallel()
	s := start(t, wasim.Options{})
	asking(t, s, own)
	c, first := asking(t, s, own)
	second, err := c.PairPhone(t.Context(), "+"+own, false, whatsmeow.PairClientFirefox, "Firefox (Linux)")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Phone(own).TypeCode(t.Context(), first); !errors.Is(err, wasim.ErrCodeWrong) {
		t.Errorf("typed the first code: %v", err)
	}
	if err := s.Phone(own).TypeCode(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	await[*events.Connected](c)
}

// TestTypingEndsWithItsContextAndItsClient.
func TestTypingEndsWithItsContextAndItsClient(t *testing.T) {
	s := start(t, wasim.Options{})
	c, code := asking(t, s, own)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Phone(own).TypeCode(ctx, code); !errors.Is(err, context.Canceled) {
		t.Errorf("typed after its end: %v", err)
	}
	c.Disconnect()
	eventually(t, "the code goes with its client", func() bool {
		return errors.Is(s.Phone(own).TypeCode(t.Context(), code), wasim.ErrCodeUnknown)
	})
}
