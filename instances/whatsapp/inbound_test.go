package whatsapp_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"

	"portaria/messaging"
)

// Every kind of message that a contact sends is recorded, also those that
// nobody here can read yet.
func TestInboundContents(t *testing.T) {
	w := newWorld(t, quick)
	w.linked(ours)
	contact := w.sim.Contact(ana)
	for name, c := range map[string]struct {
		message *waE2E.Message
		want    messaging.Content
	}{
		"text": {
			&waE2E.Message{Conversation: proto.String("oi")},
			messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: "oi"}},
		},
		"an answer with a mention": {
			&waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: proto.String("sim"), ContextInfo: &waE2E.ContextInfo{
				StanzaID: proto.String("3EB0AA"), Participant: proto.String(ours + "@s.whatsapp.net"),
				QuotedMessage: &waE2E.Message{Conversation: proto.String("?")}, MentionedJID: []string{beto + "@s.whatsapp.net"},
			}}},
			messaging.Content{
				Kind: messaging.KindText, Text: &messaging.Text{Body: "sim"}, Mentions: []string{beto + "@s.whatsapp.net"},
				ReplyTo: &messaging.Reference{WAMessageID: "3EB0AA", Author: ours + "@s.whatsapp.net"},
			},
		},
		"a reaction": {
			&waE2E.Message{ReactionMessage: &waE2E.ReactionMessage{Text: proto.String("👍"), Key: &waCommon.MessageKey{
				ID: proto.String("3EB0BB"), FromMe: proto.Bool(false),
			}}},
			messaging.Content{Kind: messaging.KindReaction, Reaction: &messaging.Reaction{
				Message: messaging.Reference{WAMessageID: "3EB0BB", FromMe: true}, Emoji: "👍",
			}},
		},
		"a file that cannot be fetched": {
			&waE2E.Message{ImageMessage: &waE2E.ImageMessage{
				Mimetype: proto.String("image/jpeg"), Caption: proto.String("foto"), FileLength: proto.Uint64(7), FileSHA256: []byte{1, 2},
			}},
			messaging.Content{Kind: messaging.KindImage, Media: &messaging.Media{MIME: "image/jpeg", Caption: "foto", Size: 7, SHA256: "0102"}},
		},
		"a vote in a poll": {
			&waE2E.Message{PollUpdateMessage: &waE2E.PollUpdateMessage{
				PollCreationMessageKey: &waCommon.MessageKey{ID: proto.String("3EB0BB")}, Vote: &waE2E.PollEncValue{EncPayload: []byte{1}, EncIV: []byte{2}},
			}},
			messaging.Content{Kind: messaging.KindUnknown},
		},
		"something new": {
			&waE2E.Message{EventMessage: &waE2E.EventMessage{Name: proto.String("party")}},
			messaging.Content{Kind: messaging.KindUnknown},
		},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := contact.Send(t.Context(), ours, c.message)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, w.inbound(id).Content); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An edit and a deletion name the message that they are about; keys between
// devices are nobody's message.
func TestAmendmentsNameTheirMessage(t *testing.T) {
	w := newWorld(t, quick)
	w.linked(ours)
	contact := w.sim.Contact(ana)
	key := &waCommon.MessageKey{ID: proto.String("3EB0CC"), FromMe: proto.Bool(true)}
	for _, m := range []*waE2E.Message{
		{SenderKeyDistributionMessage: &waE2E.SenderKeyDistributionMessage{GroupID: proto.String("1@g.us")}},
		{ProtocolMessage: &waE2E.ProtocolMessage{
			Type: waE2E.ProtocolMessage_MESSAGE_EDIT.Enum(), Key: key, EditedMessage: &waE2E.Message{Conversation: proto.String("corrected")},
		}},
		{ProtocolMessage: &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_REVOKE.Enum(), Key: key}},
	} {
		if _, err := contact.Send(t.Context(), ours, m); err != nil {
			t.Fatal(err)
		}
	}
	w.eventually("the deletion", func() bool {
		return len(records[messaging.MessageRevoke](w.journal, func(r messaging.MessageRevoke) bool {
			return r.WAMessageID == "3EB0CC" && r.Author.WAID == ana+"@s.whatsapp.net"
		})) == 1
	})
	edits := records[messaging.MessageEdit](w.journal, func(e messaging.MessageEdit) bool { return e.WAMessageID == "3EB0CC" })
	if len(edits) != 1 || edits[0].Content.Text.Body != "corrected" || edits[0].Author.Input != "+"+ana {
		t.Errorf("%+v", edits)
	}
	if n := len(records[messaging.InboundMessage](w.journal, func(messaging.InboundMessage) bool { return true })); n != 0 {
		t.Errorf("%d messages were recorded", n)
	}
}

// What a contact sent is acknowledged only when it is recorded: what was not
// comes again with the next connection, readable as before.
func TestWhatWasNotRecordedComesAgain(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	w.journal.setBroken(true)
	id, err := w.sim.Contact(ana).SendText(t.Context(), ours, "do not lose me")
	if err != nil {
		t.Fatal(err)
	}
	pauseFor(100 * time.Millisecond)
	if sent, ok := w.sim.Contact(ana).Sent(id); !ok || sent.Delivered {
		t.Errorf("acknowledged before it was recorded: %+v, %v", sent, ok)
	}
	p.close()
	w.journal.setBroken(false)
	p.ask(messaging.AskNothing)
	if got := w.inbound(id); got.Content.Text.Body != "do not lose me" {
		t.Errorf("%+v", got)
	}
	w.eventually("it is acknowledged", func() bool {
		sent, ok := w.sim.Contact(ana).Sent(id)
		return ok && sent.Delivered
	})
}

// One contact's nonsense does not keep back what all others write: ids and texts
// are recorded without what no database takes.
func TestNonsenseIsRecordedAsFarAsItCanBe(t *testing.T) {
	w := newWorld(t, quick)
	w.linked(ours)
	if _, err := w.sim.Contact(ana).Revoke(t.Context(), ours, "AB\x00CD\xff"); err != nil {
		t.Fatal(err)
	}
	id, err := w.sim.Contact(ana).SendText(t.Context(), ours, "a\x00b")
	if err != nil {
		t.Fatal(err)
	}
	if got := w.inbound(id).Content.Text.Body; got != "a\uFFFDb" {
		t.Errorf("text %q", got)
	}
	revoked := records[messaging.MessageRevoke](w.journal, func(messaging.MessageRevoke) bool { return true })
	if len(revoked) != 1 || revoked[0].WAMessageID != "AB\uFFFDCD\uFFFD" {
		t.Errorf("%+v", revoked)
	}
}

// What the journal will never take is given up, and what was written after it
// is read.
func TestWhatCannotBeRecordedKeepsNothingBack(t *testing.T) {
	w := newWorld(t, quick)
	w.linked(ours)
	w.journal.refuse(func(r messaging.Record) bool { _, is := r.(messaging.MessageRevoke); return is })
	revoke, err := w.sim.Contact(ana).Revoke(t.Context(), ours, "3EB0AA")
	if err != nil {
		t.Fatal(err)
	}
	id, err := w.sim.Contact(beto).SendText(t.Context(), ours, "from somebody else")
	if err != nil {
		t.Fatal(err)
	}
	w.inbound(id)
	w.eventually("the deletion is acknowledged", func() bool {
		sent, ok := w.sim.Contact(ana).Sent(revoke)
		return ok && sent.Delivered
	})
}

// Of receipts that are reported together, one that is refused takes no other
// with it.
func TestARefusedReceiptTakesNoOtherWithIt(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	one, two := p.text(ana, "one"), p.text(ana, "two")
	w.sim.Contact(ana).Delivers(false)
	p.deliver(one, two)
	w.journal.refuse(func(r messaging.Record) bool {
		c, is := r.(messaging.StatusChange)
		return is && c.MessageID == one.MessageID
	})
	w.sim.Contact(ana).Delivers(true)
	w.status(two, messaging.StatusDelivered)
}

// A receipt for a message of an earlier process finds it.
func TestReceiptsFindOlderMessages(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	contact := w.sim.Contact(ana).Delivers(false)
	m := p.text(ana, "later")
	p.deliver(m)
	p.ask(messaging.AskNothing)
	p.await(messaging.InstanceConnected)
	contact.Delivers(true)
	w.status(m, messaging.StatusRead)
}
