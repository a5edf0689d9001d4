package wasim_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"portaria/internal/fault"
	"portaria/wasim"
)

// TestNumberThatIsNotOnWhatsApp is told apart by a look-up and by a send.
func TestNumberThatIsNotOnWhatsApp(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	const nobody = "5511900000099"
	s.Contact(nobody).Exists(false)
	found, err := c.IsOnWhatsApp(t.Context(), []string{"+" + friend, "+" + nobody})
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]bool{}
	for _, f := range found {
		in[f.Query] = f.IsIn
	}
	if diff := cmp.Diff(map[string]bool{"+" + friend: true, "+" + nobody: false}, in); diff != "" {
		t.Errorf("on WhatsApp (-want +got):\n%s", diff)
	}
	if _, err := c.text(nobody, "hello?", ""); err == nil || !strings.Contains(err.Error(), "no LID found") {
		t.Errorf("sending to nobody answered %v", err)
	}
}

// TestContactBehavesAsTold: what is told to the sender, and what the contact
// gets to see.
func TestContactBehavesAsTold(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	contact := s.Contact(friend).Reads(false)
	id := c.mustText(friend, "unread")
	await(c, receiptFor(id, types.ReceiptTypeDelivered))

	contact.Delivers(false)
	held := c.mustText(friend, "while off")
	wantTexts(t, contact.Received, "unread")
	contact.Reads(true).Delivers(true)
	await(c, receiptFor(held, types.ReceiptTypeDelivered))
	await(c, receiptFor(held, types.ReceiptTypeRead))

	contact.Blocked(true)
	c.mustText(friend, "never")
	contact.Blocked(false)
	c.mustText(friend, "again")
	wantTexts(t, contact.Received, "unread", "while off", "again")
	read := func(r *events.Receipt) bool { return receiptFor(id, types.ReceiptTypeRead)(r) }
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		if r, ok := e.(*events.Receipt); ok && read(r) {
			t.Error("a message was read by a contact that does not read")
		}
	}
}

// TestOneTimeKeysAreGivenOnce: a client deletes a key at its first use, so two
// contacts with the same key could not both be read.
func TestOneTimeKeysAreGivenOnce(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	phone := s.Phone(own)
	before := phone.PreKeysLeft(1)
	const contacts = 10
	for i := range contacts {
		if _, err := s.Contact(fmt.Sprintf("55119777700%02d", i)).SendText(t.Context(), own, "hi"); err != nil {
			t.Fatal(err)
		}
		await[*events.Message](c)
	}
	if got := before - phone.PreKeysLeft(1); got != contacts {
		t.Errorf("%d keys were given to %d contacts", got, contacts)
	}
}

// TestClientIsAskedForMoreKeys when they run out, and new contacts can write on.
func TestClientIsAskedForMoreKeys(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	phone := s.Phone(own)
	const few = 5 // the server asks when there are less
	contacts := phone.PreKeysLeft(1) - few + 1
	for i := range contacts {
		if _, err := s.Contact(fmt.Sprintf("55119777700%02d", i)).SendText(t.Context(), own, "hi"); err != nil {
			t.Fatal(err)
		}
		await[*events.Message](c)
	}
	eventually(t, "the client uploads more keys", func() bool { return phone.PreKeysLeft(1) > few })
}

// TestSendingNeedsALinkedClient: the faults have stable codes.
func TestSendingNeedsALinkedClient(t *testing.T) {
	s := start(t, wasim.Options{})
	contact := s.Contact(friend)
	for to, want := range map[string]*fault.Fault{own: wasim.ErrNotLinked, "nobody": wasim.ErrNumber, "": wasim.ErrNumber} {
		if _, err := contact.SendText(t.Context(), to, "hello"); !errors.Is(err, want) {
			t.Errorf("sending to %q answered %v, want %v", to, err, want)
		}
	}
}
