package wasim_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"portaria/wasim"
)

// reconnect ends the client's connection and makes a new one.
func (c *client) reconnect() {
	c.t.Helper()
	c.Disconnect()
	if err := c.Connect(); err != nil {
		c.t.Fatal(err)
	}
	await[*events.Connected](c)
}

// isGone reports whether the client has done with its last connection. When
// IsConnected says so it may still be closing it, and whatsmeow's Disconnect
// writes what that reads.
func (c *client) isGone() bool {
	if c.IsConnected() {
		return false
	}
	err := c.DangerousInternals().SendNode(c.t.Context(), waBinary.Node{Tag: "presence"}) //nolint:staticcheck // nothing else tells
	return errors.Is(err, whatsmeow.ErrNotConnected)
}

// TestRepeatedFrameIsAckedAndNotOpenedTwice: whatsmeow sends the same frame
// again when the connection ends before the answer. The contact must have the
// message once, or its ratchet would report an old counter.
func TestRepeatedFrameIsAckedAndNotOpenedTwice(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	c.mustText(friend, "before")
	dropped := make(chan struct{}, 1)
	s.SetFaults(wasim.FaultPlan{Message: func(_ string, _ uint16, _ string) wasim.MessageFault {
		select {
		case dropped <- struct{}{}:
			return wasim.MessageFault{DropAfter: true}
		default:
			return wasim.MessageFault{}
		}
	}})
	c.mustText(friend, "twice")
	c.mustText(friend, "after")
	got := wantTexts(t, s.Contact(friend).Received, "before", "twice", "after")
	if got[1].Copies != 1 || got[1].Retries != 0 {
		t.Errorf("%d copies and %d retries, want one copy and no retry", got[1].Copies, got[1].Retries)
	}
}

// TestContactThatCannotDecryptAsksAgain: the message must be read in the end,
// once, in a new session.
func TestContactThatCannotDecryptAsksAgain(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	contact := s.Contact(friend).AnswerWith(func(r wasim.Received) string {
		if r.Text() == "first" {
			return "so that the session is acknowledged"
		}
		return ""
	})
	c.mustText(friend, "first")
	await[*events.Message](c)
	contact.ForgetSessions()
	id := c.mustText(friend, "second")
	await(c, receiptFor(id, types.ReceiptTypeRead))
	c.mustText(friend, "third")
	got := wantTexts(t, contact.Received, "first", "second", "third")
	if got[1].Retries != 1 {
		t.Errorf("%d retries, want 1", got[1].Retries)
	}
}

// TestClientThatCannotDecryptGetsItAgain is the same in the other direction.
func TestClientThatCannotDecryptGetsItAgain(t *testing.T) {
	s := start(t, wasim.Options{})
	device := newDevice()
	c := newClient(t, s, device)
	c.pair(s.Phone(own))
	contact := s.Contact(friend)
	for _, words := range []string{"one", "two", "three"} {
		if words == "two" {
			c.mustText(friend, "so that the session is acknowledged")
			if _, err := contact.SendText(t.Context(), own, "in the old session"); err != nil {
				t.Fatal(err)
			}
			await[*events.Message](c)
			device.Sessions.(*memStore).forgetSessions()
		}
		id, err := contact.SendText(t.Context(), own, words)
		if err != nil {
			t.Fatal(err)
		}
		if got := await[*events.Message](c).Message.GetConversation(); got != words {
			t.Fatalf("the client got %q, want %q", got, words)
		}
		eventually(t, "the contact knows that "+words+" was delivered", func() bool {
			sent, ok := contact.Sent(id)
			return ok && sent.Delivered
		})
	}
}

// TestOfflineClientGetsEverythingInOrder: what arrives while a client is away
// is kept, and gone from the queue when the client has taken it.
func TestOfflineClientGetsEverythingInOrder(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	contact := s.Contact(friend)
	c.Disconnect()
	eventually(t, "the server sees the client leave", func() bool { return !s.Phone(own).Connected() })
	var want []string
	for i := range 30 {
		want = append(want, fmt.Sprintf("message %d", i))
		if _, err := contact.SendText(t.Context(), own, want[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	if got := await[*events.OfflineSyncPreview](c, func(e *events.OfflineSyncPreview) bool { return e.Total > 0 }); got.Messages != len(want) {
		t.Errorf("%d messages announced, want %d", got.Messages, len(want))
	}
	var got []string
	for range want {
		got = append(got, await[*events.Message](c).Message.GetConversation())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("inbound (-want +got):\n%s", diff)
	}
	eventually(t, "the queue is empty", func() bool { return s.Phone(own).Pending(1) == 0 })
}

// TestUnacknowledgedMessageComesAgain: a client that dies before it has dealt
// with a message must get it at its next login.
func TestUnacknowledgedMessageComesAgain(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	c.SynchronousAck = true
	c.EnableDecryptedEventBuffer = false
	refuse := c.AddEventHandlerWithSuccessStatus(func(event any) bool {
		_, isMessage := event.(*events.Message)
		return !isMessage
	})
	if _, err := s.Contact(friend).SendText(t.Context(), own, "hold on"); err != nil {
		t.Fatal(err)
	}
	await[*events.Message](c)
	c.RemoveEventHandler(refuse)
	if got := s.Phone(own).Pending(1); got != 1 {
		t.Fatalf("%d stanzas pending, want the one that was not acknowledged", got)
	}
	c.reconnect()
	preview := await[*events.OfflineSyncPreview](c, func(e *events.OfflineSyncPreview) bool { return e.Total > 0 })
	if preview.Messages != 1 {
		t.Errorf("%d messages announced, want 1", preview.Messages)
	}
}

// TestRestartKeepsEverything: the simulator stops and starts in the middle of
// a conversation, and nobody links anything again.
func TestRestartKeepsEverything(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	c.mustText(friend, "before")
	address := s.Addr()
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if s.Addr() != address {
		t.Errorf("listens on %s after the restart, want %s", s.Addr(), address)
	}
	await[*events.Connected](c)
	c.mustText(friend, "after")
	wantTexts(t, s.Received, "before", "after")
}

// TestFaultsOfMessages: each fault has the effect on the client that the real
// one has, and a refused message reaches nobody.
func TestFaultsOfMessages(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	plan := func(f wasim.MessageFault) {
		s.SetFaults(wasim.FaultPlan{Message: func(string, uint16, string) wasim.MessageFault { return f }})
	}
	plan(wasim.MessageFault{AckError: 463})
	if _, err := c.text(friend, "refused", ""); err == nil || !strings.Contains(err.Error(), "server returned error 463") {
		t.Errorf("the refused send answered %v", err)
	}
	plan(wasim.MessageFault{NoAck: true})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() { // nothing more comes once it has been read
		defer cancel()
		whenQuiet(ctx, func() bool { return len(s.Received()) == 1 })
	}()
	if err := c.textWithin(ctx, friend, "unanswered"); !errors.Is(err, context.Canceled) {
		t.Errorf("the send without an answer ended with %v", err)
	}
	plan(wasim.MessageFault{AckDelay: 200 * time.Millisecond})
	began := time.Now()
	c.mustText(friend, "late")
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("the late answer took %s", took)
	}
	plan(wasim.MessageFault{Lose: true})
	c.mustText(friend, "lost")
	plan(wasim.MessageFault{})
	c.mustText(friend, "well")
	wantTexts(t, s.Received, "unanswered", "late", "well")
}

// TestLoginFaults: a refused login is told to the program as the real one is.
func TestLoginFaults(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	c.Disconnect()
	s.SetFaults(wasim.FaultPlan{Login: func(number string, device uint16) *wasim.LoginFault {
		if number != own || device != 1 {
			t.Errorf("asked about %s:%d", number, device)
		}
		return &wasim.LoginFault{Reason: 402, Code: 101, Expire: time.Hour}
	}})
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	if ban := await[*events.TemporaryBan](c); ban.Expire != time.Hour || ban.Code != 101 {
		t.Errorf("the ban is %+v", ban)
	}
	s.SetFaults(wasim.FaultPlan{})
	c.reconnect()
}

// TestUnlinkedDeviceIsLoggedOut: after a logout the same keys open nothing.
func TestUnlinkedDeviceIsLoggedOut(t *testing.T) {
	s := start(t, wasim.Options{})
	device := newDevice()
	c := newClient(t, s, device)
	c.pair(s.Phone(own))
	thief := *device // a copy of everything, made before the logout
	if err := c.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.Phone(own).Devices(); len(got) != 0 {
		t.Errorf("devices %v are still linked", got)
	}
	again := newClient(t, s, &thief)
	if err := again.Connect(); err != nil {
		t.Fatal(err)
	}
	if got := await[*events.LoggedOut](again); got.Reason != events.ConnectFailureLoggedOut {
		t.Errorf("logged out because of %s", got.Reason)
	}
}

// TestStrangerCannotLogInAsADevice: a login is bound to the key of the device.
func TestStrangerCannotLogInAsADevice(t *testing.T) {
	s := start(t, wasim.Options{})
	device := newDevice()
	c := newClient(t, s, device)
	c.pair(s.Phone(own))
	stranger := newDevice()
	stranger.ID, stranger.LID, stranger.Account = device.ID, device.LID, device.Account
	d := newClient(t, s, stranger)
	if err := d.Connect(); err != nil {
		t.Fatal(err)
	}
	await[*events.LoggedOut](d)
	c.mustText(friend, "undisturbed")
}

// TestLaterLoginReplacesTheFirst: the same device in two processes.
func TestLaterLoginReplacesTheFirst(t *testing.T) {
	s := start(t, wasim.Options{})
	device := newDevice()
	first := newClient(t, s, device)
	first.pair(s.Phone(own))
	second := newClient(t, s, device)
	if err := second.Connect(); err != nil {
		t.Fatal(err)
	}
	await[*events.StreamReplaced](first)
	await[*events.Connected](second)
}

// TestEveryCompanionSeesTheConversation: the second client gets the next
// device number, what the contact says, and a copy of what the first client
// says.
func TestEveryCompanionSeesTheConversation(t *testing.T) {
	s := start(t, wasim.Options{})
	first, second := paired(t, s, own), paired(t, s, own)
	if diff := cmp.Diff([]uint16{1, 2}, s.Phone(own).Devices()); diff != "" {
		t.Fatalf("devices (-want +got):\n%s", diff)
	}
	s.Contact(friend).AnswerWith(func(wasim.Received) string { return "to both" })
	first.mustText(friend, "from the first")
	fromMe := func(e *events.Message) bool { return e.Info.IsFromMe }
	if got := await(second, fromMe); got.Message.GetConversation() != "from the first" || got.Info.Chat.User == own {
		t.Errorf("the second client sees %q in %s", got.Message.GetConversation(), got.Info.Chat)
	}
	for _, c := range []*client{first, second} {
		notFromMe := func(e *events.Message) bool { return !e.Info.IsFromMe }
		if got := await(c, notFromMe).Message.GetConversation(); got != "to both" {
			t.Errorf("a client got %q", got)
		}
	}
}

// TestTwoClientsTalkToEachOther: a contact may be a real client too.
func TestTwoClientsTalkToEachOther(t *testing.T) {
	s := start(t, wasim.Options{})
	ana, bia := paired(t, s, own), paired(t, s, friend)
	id := ana.mustText(friend, "hi")
	message := await[*events.Message](bia)
	if message.Message.GetConversation() != "hi" || message.Info.SenderAlt.User != own {
		t.Fatalf("the other client got %q from %s", message.Message.GetConversation(), message.Info.SenderAlt)
	}
	if err := bia.MarkRead(t.Context(), []types.MessageID{id}, time.Now(), message.Info.Chat, message.Info.Sender); err != nil {
		t.Fatal(err)
	}
	isBia := func(r *events.Receipt) bool { return r.Sender.Device == 1 && r.Type == types.ReceiptTypeRead }
	await(ana, isBia)
	bia.mustText(own, "hello")
	if got := await[*events.Message](ana).Message.GetConversation(); got != "hello" {
		t.Errorf("the first client got %q", got)
	}
	wantTexts(t, s.Contact(friend).Received, "hi")
}

// TestReceivedIsInTheOrderOfArrival over all contacts.
func TestReceivedIsInTheOrderOfArrival(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	var want []string
	for i := range 12 {
		want = append(want, fmt.Sprint(i))
		c.mustText(fmt.Sprintf("551199999000%d", i%3), want[i])
	}
	got := wantTexts(t, s.Received, want...)
	if !slices.IsSortedFunc(got, func(x, y wasim.Received) int { return int(x.Order) - int(y.Order) }) {
		t.Error("the places in the order of arrival are not in order")
	}
}
