package whatsapp_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"

	"portaria/instances"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/wasim"
)

// actor is the phone's channel as those see it who act on messages.
func (p *phone) actor() instances.MessageActor {
	p.w.t.Helper()
	actor, ok := p.channel.(instances.MessageActor)
	if !ok {
		p.w.t.Fatal("a live channel cannot act on messages")
	}
	return actor
}

// recorded is what the store would know of a message that was sent.
func recorded(m messaging.Outgoing) messaging.Message {
	return messaging.Message{
		ID: m.MessageID, WorkspaceID: m.WorkspaceID, Environment: m.Environment, InstanceID: m.InstanceID, Direction: messaging.Outbound,
		Peer: m.To, Content: m.Content, WAMessageID: m.WAMessageID, State: messaging.State{Status: messaging.StatusSent, SentAt: time.Now()},
	}
}

// arrives waits for the n-th message of a contact and returns it out of what says
// that it is an edit.
func (w *world) arrives(number string, n int) *waE2E.Message {
	w.t.Helper()
	var got []wasim.Received
	w.eventually("a message arrives", func() bool {
		got = w.sim.Contact(number).Received()
		return len(got) >= n
	})
	m := got[n-1].Message
	if inside := m.GetEditedMessage().GetMessage(); inside != nil {
		return inside
	}
	return m
}

// An edit says which message it changes and what that says now, and a deletion
// which one is gone.
func TestEditsAndDeletionsArrive(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	text := p.text(ana, "helo")
	text.Content.ReplyTo = &messaging.Reference{WAMessageID: "3EB0AA", FromMe: true}
	picture := w.shelf.put("image/jpeg", "", []byte("a picture"))
	paper := w.shelf.put("application/pdf", "bill.pdf", []byte("a bill"))
	image := p.message(ana, messaging.Content{Kind: messaging.KindImage, Media: &messaging.Media{ID: picture.ID, MIME: picture.MIME}})
	bill := p.message(ana, messaging.Content{Kind: messaging.KindDocument, Media: &messaging.Media{
		ID: paper.ID, MIME: paper.MIME, Filename: paper.Filename, Caption: "January",
	}})
	p.deliver(text, image, bill)
	w.arrives(ana, 3)

	for i, c := range []struct {
		of     messaging.Outgoing
		change func(*messaging.Message)
		shown  func(*waE2E.Message) string
		want   string
	}{
		{
			text, func(m *messaging.Message) { m.Content.Text = &messaging.Text{Body: "hello"} },
			func(m *waE2E.Message) string {
				return m.GetExtendedTextMessage().GetText() + " to " + m.GetExtendedTextMessage().GetContextInfo().GetStanzaID()
			}, "hello to 3EB0AA",
		},
		{
			image, func(m *messaging.Message) { m.Content.Media.Caption = "a view" },
			func(m *waE2E.Message) string { return m.GetImageMessage().GetCaption() }, "a view",
		},
		{
			bill, func(m *messaging.Message) { m.Content.Media.Caption = "February" },
			func(m *waE2E.Message) string {
				return m.GetDocumentWithCaptionMessage().GetMessage().GetDocumentMessage().GetCaption()
			}, "February",
		},
	} {
		m := recorded(c.of)
		m.Content = m.Content.Clone()
		c.change(&m)
		if err := p.actor().Edit(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		edit := w.arrives(ana, 4+i).GetProtocolMessage()
		if edit.GetType() != waE2E.ProtocolMessage_MESSAGE_EDIT || edit.GetKey().GetID() != c.of.WAMessageID || !edit.GetKey().GetFromMe() ||
			c.shown(edit.GetEditedMessage()) != c.want {
			t.Errorf("the edit to %q is %v", c.want, edit)
		}
	}
	if w.shelf.opened() != 2 {
		t.Errorf("files were read %d times: WhatsApp has them already", w.shelf.opened())
	}
	if err := p.actor().Revoke(t.Context(), recorded(text)); err != nil {
		t.Fatal(err)
	}
	gone := w.arrives(ana, 7).GetProtocolMessage()
	if gone.GetType() != waE2E.ProtocolMessage_REVOKE || gone.GetKey().GetID() != text.WAMessageID || !gone.GetKey().GetFromMe() {
		t.Errorf("the deletion is %v", gone)
	}
}

// A contact sees that somebody writes, and that nobody does any more.
func TestTypingIsShown(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	group := w.sim.NewGroup("friends", ours, ana, beto)
	want := []wasim.Typing{{From: ours, To: ana, State: "typing"}, {From: ours, To: ana, State: "recording"}, {From: ours, To: ana, State: "paused"}}
	for _, shown := range want {
		to := messaging.Address{Input: "+" + ana, WAID: ana + "@" + messaging.UserServer}
		if err := p.actor().Type(t.Context(), to, messaging.Typing(shown.State)); err != nil {
			t.Fatal(err)
		}
	}
	want = append(want, wasim.Typing{From: ours, To: group.ID(), State: "typing"})
	if err := p.actor().Type(t.Context(), messaging.Address{Input: group.ID(), WAID: group.ID()}, messaging.TypingText); err != nil {
		t.Fatal(err)
	}
	var got []wasim.Typing
	w.eventually("typing is shown", func() bool { got = w.sim.Typing(); return len(got) == len(want) })
	for i := range got {
		got[i].At = time.Time{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	const nobody = "12025550199"
	w.sim.Contact(nobody).Exists(false)
	err := p.actor().Type(t.Context(), messaging.Address{Input: nobody, WAID: nobody + "@" + messaging.UserServer}, messaging.TypingText)
	if !errors.Is(err, messaging.ErrActRefused) {
		t.Errorf("typing to nobody: %v", err)
	}
}

// Each author is told what was read, in the chat where it was written.
func TestReadReceiptsReachTheirAuthors(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	group := w.sim.NewGroup("friends", ours, ana, beto)
	var messages []messaging.Message
	sent := make(map[string]*wasim.Contact)
	for _, send := range []func() (string, error){
		func() (string, error) { return w.sim.Contact(ana).SendText(t.Context(), ours, "one") },
		func() (string, error) { return w.sim.Contact(ana).SendText(t.Context(), ours, "two") },
		func() (string, error) { return group.SendText(t.Context(), w.sim.Contact(ana), "three") },
		func() (string, error) { return group.SendText(t.Context(), w.sim.Contact(beto), "four") },
	} {
		id, err := send()
		if err != nil {
			t.Fatal(err)
		}
		in := w.inbound(id)
		messages = append(messages, in)
		sent[id] = w.sim.Contact(in.Peer.Phone())
		if s, _ := sent[id].Sent(id); s.Read {
			t.Fatalf("%s was read before anybody said so", id)
		}
	}
	if err := p.actor().MarkRead(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
	for id, by := range sent {
		w.eventually("read of "+id, func() bool { s, ok := by.Sent(id); return ok && s.Read })
	}
}

// What WhatsApp refuses for good is told apart from what may be asked for again,
// and an act keeps no message of the lane from its turn.
func TestActsThatFailSayWhetherToTryAgain(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	m := p.text(ana, "hello")
	p.deliver(m)
	w.status(m, messaging.StatusRead)
	for code, temporary := range map[int]bool{405: false, 429: true, 503: true} {
		if _, err := w.sim.Inject(wasim.Fault{Name: wasim.FaultAckError, Code: code, Contact: ana}); err != nil {
			t.Fatal(err)
		}
		err := p.actor().Revoke(t.Context(), recorded(m))
		f := fault.As(err)
		if f == nil || f.Kind().Temporary() != temporary || temporary == errors.Is(err, messaging.ErrActRefused) {
			t.Errorf("refused with %d: %v", code, err)
		}
	}
	again := p.text(ana, "still here")
	p.deliver(again)
	w.status(again, messaging.StatusRead)
	lost := recorded(p.message(ana, messaging.Content{Kind: messaging.KindImage, Media: &messaging.Media{ID: "med_gone", MIME: "image/jpeg"}}))
	if err := p.actor().Edit(t.Context(), lost); !errors.Is(err, messaging.ErrActRefused) {
		t.Errorf("edit of a file that is gone: %v", err)
	}
	actor := p.actor()
	p.close()
	for name, err := range map[string]error{
		"edit": actor.Edit(t.Context(), recorded(m)), "revoke": actor.Revoke(t.Context(), recorded(m)),
		"typing": actor.Type(t.Context(), m.To, messaging.TypingText), "read": actor.MarkRead(t.Context(), []messaging.Message{recorded(m)}),
	} {
		if f := fault.As(err); f == nil || !f.Kind().Temporary() {
			t.Errorf("%s without a connection: %v", name, err)
		}
	}
}

// A contact edits the caption of a document as the apps do, in a wrapper.
func TestAnEditedCaptionOfADocumentIsRead(t *testing.T) {
	w := newWorld(t, quick)
	w.linked(ours)
	contact, caption, mime := w.sim.Contact(ana), "February", "application/pdf"
	id, err := contact.SendMedia(t.Context(), ours, "document", mime, "January", []byte("%PDF-1.7"))
	if err != nil {
		t.Fatal(err)
	}
	w.inbound(id)
	edit := waE2E.ProtocolMessage_MESSAGE_EDIT
	key := &waCommon.MessageKey{ID: &id, FromMe: new(true)}
	if _, err := contact.Send(t.Context(), ours, &waE2E.Message{EditedMessage: &waE2E.FutureProofMessage{Message: &waE2E.Message{
		ProtocolMessage: &waE2E.ProtocolMessage{Key: key, Type: &edit, EditedMessage: &waE2E.Message{
			DocumentWithCaptionMessage: &waE2E.FutureProofMessage{Message: &waE2E.Message{
				DocumentMessage: &waE2E.DocumentMessage{Caption: &caption, Mimetype: &mime},
			}},
		}},
	}}}); err != nil {
		t.Fatal(err)
	}
	var edits []messaging.MessageEdit
	w.eventually("the edit", func() bool {
		edits = records[messaging.MessageEdit](w.journal, func(e messaging.MessageEdit) bool { return e.WAMessageID == id })
		return len(edits) > 0
	})
	if c := edits[0].Content; c.Kind != messaging.KindDocument || c.Media.Caption != caption {
		t.Errorf("the edit brings %+v", c)
	}
}
