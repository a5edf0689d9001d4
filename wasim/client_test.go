package wasim_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	waLog "go.mau.fi/whatsmeow/util/log"
	"google.golang.org/protobuf/proto"

	"portaria/wasim"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// start runs a server for one test.
func start(t testing.TB, opts wasim.Options) *wasim.Server {
	t.Helper()
	if testing.Verbose() && opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s, err := wasim.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// client is an unmodified whatsmeow client and the events it has told.
type client struct {
	*whatsmeow.Client
	t      testing.TB
	number string

	mu     sync.Mutex
	events []any
	more   chan struct{} // closed and made anew when an event comes
}

// newClient makes a client on a device of the store; nothing is dialed yet.
func newClient(t testing.TB, s *wasim.Server, device *store.Device) *client {
	t.Helper()
	var log waLog.Logger
	if testing.Verbose() {
		log = waLog.Stdout("client", "WARN", false)
	}
	c := &client{Client: whatsmeow.NewClient(device, log), t: t, more: make(chan struct{})}
	c.SetWebsocketHTTPClient(s.HTTPClient())
	c.SetPreLoginHTTPClient(s.HTTPClient())
	c.SetMediaHTTPClient(s.HTTPClient())
	c.AddEventHandler(c.note)
	// A Disconnect that meets whatsmeow in the middle of a try to reconnect is forgotten, and the client tries for ever.
	var ended atomic.Bool
	c.AutoReconnectHook = func(error) bool { return !ended.Load() }
	t.Cleanup(func() {
		ended.Store(true)
		c.Disconnect()
	})
	return c
}

// paired returns a client that is linked to the phone of a number and logged in.
func paired(t testing.TB, s *wasim.Server, number string) *client {
	t.Helper()
	c := newClient(t, s, newDevice())
	c.number = number
	c.pair(s.Phone(number))
	return c
}

// pair shows a QR code, lets the phone scan it and waits for the login.
func (c *client) pair(phone *wasim.Phone) {
	c.t.Helper()
	if err := c.Connect(); err != nil {
		c.t.Fatal(err)
	}
	qr := await[*events.QR](c)
	if err := phone.ScanQR(c.t.Context(), qr.Codes[0]); err != nil {
		c.t.Fatal(err)
	}
	await[*events.Connected](c)
}

func (c *client) note(event any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, event)
	close(c.more)
	c.more = make(chan struct{})
}

// await returns the oldest event of a kind that is like this and was not
// returned before.
func await[E any](c *client, like ...func(E) bool) E {
	c.t.Helper()
	late := time.After(patience)
	for {
		c.mu.Lock()
		more := c.more
		for i, event := range c.events {
			e, ok := event.(E)
			for _, is := range like {
				ok = ok && is(e)
			}
			if ok {
				c.events = append(c.events[:i:i], c.events[i+1:]...)
				c.mu.Unlock()
				return e
			}
		}
		c.mu.Unlock()
		select {
		case <-more:
		case <-late:
			var none E
			c.t.Fatalf("no %T came; others: %s", none, c.told())
		}
	}
}

func (c *client) told() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := ""
	for _, e := range c.events {
		text += fmt.Sprintf("%T ", e)
	}
	return text
}

// text sends a text under an id, or under a new one when id is empty.
func (c *client) text(to, text, id string) (whatsmeow.SendResponse, error) {
	return c.SendMessage(context.Background(), types.NewJID(to, types.DefaultUserServer),
		&waE2E.Message{Conversation: proto.String(text)}, whatsmeow.SendRequestExtra{ID: id})
}

func (c *client) mustText(to, text string) string {
	c.t.Helper()
	response, err := c.text(to, text, "")
	if err != nil {
		c.t.Fatal(err)
	}
	c.settle(to)
	return response.ID
}

// settle waits until whatsmeow has done what it does in the background after
// its first message to somebody. A connection that is cut meanwhile, with
// another message under way, shows a data race between two of its waits for the
// next one.
func (c *client) settle(to string) {
	c.t.Helper()
	number, err := strconv.ParseInt(to, 10, 64)
	if err != nil {
		return // a group: there is nothing to do
	}
	who := types.NewJID(strconv.FormatInt(number+1e14, 10), types.HiddenUserServer)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); <-tick.C {
		if !c.DangerousInternals().GetTCTokenSenderTS(who).IsZero() { //nolint:staticcheck // nothing else tells
			return
		}
	}
}

// receiptFor matches a receipt of a kind for a message.
func receiptFor(id string, kind types.ReceiptType) func(*events.Receipt) bool {
	return func(r *events.Receipt) bool {
		return r.Type == kind && len(r.MessageIDs) > 0 && r.MessageIDs[0] == id
	}
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
		<-tick.C
	}
}

// textWithin sends a text and gives up with the context.
func (c *client) textWithin(ctx context.Context, to, text string) error {
	_, err := c.SendMessage(ctx, types.NewJID(to, types.DefaultUserServer), &waE2E.Message{Conversation: proto.String(text)})
	return err
}

// wantTexts waits until the words of what was received are these, and returns
// what was received. A message is answered before it is opened, so a send that
// has returned need not be there yet.
func wantTexts(t testing.TB, received func() []wasim.Received, want ...string) []wasim.Received {
	t.Helper()
	words := func() (list []string) {
		for _, r := range received() {
			list = append(list, r.Text())
		}
		return list
	}
	deadline := time.Now().Add(patience)
	for len(words()) < len(want) && time.Now().Before(deadline) {
		<-time.After(time.Millisecond)
	}
	if diff := cmp.Diff(want, words()); diff != "" {
		t.Fatalf("received (-want +got):\n%s", diff)
	}
	return received()
}
