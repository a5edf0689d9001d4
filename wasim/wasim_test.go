package wasim_test

import (
	"testing"

	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"portaria/wasim"
)

const (
	own    = "5511900000001"
	friend = "5511987654321"
)

// TestUnmodifiedClientTalks is what wasim is for, in one story: link, log in,
// send, be read, get an answer, and do it again after a reconnect.
func TestUnmodifiedClientTalks(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	contact := s.Contact(friend).Named("Ana").AnswerWith(func(r wasim.Received) string { return "re: " + r.Text() })

	say := func(words string) {
		t.Helper()
		id := c.mustText(friend, words)
		await(c, receiptFor(id, types.ReceiptTypeDelivered))
		await(c, receiptFor(id, types.ReceiptTypeRead))
		answer := await[*events.Message](c)
		if got, want := answer.Message.GetConversation(), "re: "+words; got != want {
			t.Errorf("the answer is %q, want %q", got, want)
		}
		if got, want := answer.Info.SenderAlt.User, friend; got != want {
			t.Errorf("the answer comes from %s, want %s", got, want)
		}
		if answer.Info.PushName != "Ana" {
			t.Errorf("the answer carries the name %q, want Ana", answer.Info.PushName)
		}
	}
	say("hello")
	say("hello again")
	c.Disconnect()
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	await[*events.Connected](c)
	say("still here")

	for _, r := range wantTexts(t, contact.Received, "hello", "hello again", "still here") {
		if r.From != own || r.Device != 1 || r.Retries != 0 || r.Copies != 0 {
			t.Errorf("%q came from %s:%d with %d retries and %d copies", r.Text(), r.From, r.Device, r.Retries, r.Copies)
		}
	}
}
