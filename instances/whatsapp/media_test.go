package whatsapp_test

import (
	"bytes"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow/proto/waE2E"

	"portaria/messaging"
	"portaria/wasim"
)

// Every kind of file arrives byte for byte, with what was said about it. One
// file is uploaded once for all its messages.
func TestFilesArriveAsTheyAre(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	text := bytes.Repeat([]byte("portaria "), 5000)
	contact := w.sim.Contact(ana)
	for i, c := range []struct {
		content messaging.Content
		read    func(*waE2E.Message) []any
		want    []any
	}{
		{
			messaging.Content{Kind: messaging.KindImage, Media: &messaging.Media{MIME: "image/png", Caption: "foto"}},
			func(m *waE2E.Message) []any {
				return []any{m.GetImageMessage().GetMimetype(), m.GetImageMessage().GetCaption()}
			},
			[]any{"image/png", "foto"},
		},
		{
			messaging.Content{Kind: messaging.KindVideo, Media: &messaging.Media{MIME: "video/mp4"}, ViewOnce: true},
			func(m *waE2E.Message) []any {
				v := m.GetViewOnceMessage().GetMessage().GetVideoMessage()
				return []any{v.GetMimetype(), v.GetViewOnce()}
			},
			[]any{"video/mp4", true},
		},
		{
			messaging.Content{Kind: messaging.KindAudio, Media: &messaging.Media{MIME: "audio/ogg", Voice: true}},
			func(m *waE2E.Message) []any {
				return []any{m.GetAudioMessage().GetMimetype(), m.GetAudioMessage().GetPTT()}
			},
			[]any{"audio/ogg; codecs=opus", true},
		},
		{
			messaging.Content{Kind: messaging.KindDocument, Media: &messaging.Media{MIME: "application/pdf", Filename: "a.pdf", Caption: "read"}},
			func(m *waE2E.Message) []any {
				d := m.GetDocumentWithCaptionMessage().GetMessage().GetDocumentMessage()
				return []any{d.GetFileName(), d.GetCaption()}
			},
			[]any{"a.pdf", "read"},
		},
		{
			messaging.Content{
				Kind: messaging.KindSticker, Media: &messaging.Media{MIME: "image/webp"},
				ReplyTo: &messaging.Reference{WAMessageID: "3EB0AA", FromMe: true},
			},
			func(m *waE2E.Message) []any {
				info := m.GetStickerMessage().GetContextInfo()
				return []any{info.GetStanzaID(), info.GetParticipant()}
			},
			[]any{"3EB0AA", ours + "@s.whatsapp.net"},
		},
	} {
		t.Run(string(c.content.Kind), func(t *testing.T) {
			c.content.Media.ID = w.shelf.put(c.content.Media.MIME, "", text).ID
			opens := w.shelf.opened()
			p.deliver(p.message(ana, c.content), p.message(beto, c.content))
			if n := w.shelf.opened() - opens; n != 1 {
				t.Errorf("the file was read %d times", n)
			}
			w.eventually("it arrives", func() bool { return len(contact.Received()) == i+1 })
			m := contact.Received()[i].Message
			if got, err := w.sim.Media(t.Context(), m); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%d bytes arrived, %v", len(got), err)
			}
			if diff := cmp.Diff(c.want, c.read(m)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A campaign sends one file to many, for days: it is uploaded once, and anew when
// WhatsApp may soon not have it any more.
func TestAFileIsUploadedOnceForManyMessages(t *testing.T) {
	const many = 50
	w := newWorld(t, quick)
	p := w.linked(ours)
	var uploads atomic.Int64
	w.sim.SetFaults(wasim.FaultPlan{Media: func(method, _ string) int {
		if method == http.MethodPost {
			uploads.Add(1)
		}
		return 0
	}})
	file := bytes.Repeat([]byte("oferta "), 1000)
	id := w.shelf.put("image/png", "", file).ID
	received := w.sim.Contact(ana).Received
	campaign := func() {
		t.Helper()
		before := len(received())
		var batch []messaging.Outgoing
		for range many {
			batch = append(batch, p.message(ana, messaging.Content{Kind: messaging.KindImage, Media: &messaging.Media{ID: id, MIME: "image/png"}}))
		}
		p.deliver(batch...)
		w.eventually("all arrive", func() bool { return len(received()) == before+many })
		last := received()[before+many-1].Message
		if got, err := w.sim.Media(t.Context(), last); err != nil || !bytes.Equal(got, file) {
			t.Errorf("%d bytes arrived, %v", len(got), err)
		}
	}
	campaign()
	w.ahead.Store(int64(23 * time.Hour))
	campaign()
	if n := uploads.Load(); n != 1 {
		t.Errorf("%d uploads within a day", n)
	}
	w.ahead.Store(int64(25 * time.Hour))
	campaign()
	if n := uploads.Load(); n != 2 {
		t.Errorf("%d uploads after a day", n)
	}
}

// A file that is gone fails its message for good.
func TestAMissingFileFailsTheMessage(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	m := p.message(ana, messaging.Content{Kind: messaging.KindImage, Media: &messaging.Media{ID: "med_gone", MIME: "image/png"}})
	if o := p.send(m)[0]; o.Verdict != messaging.Refused || o.Error.Code != "MEDIA_UPLOAD_FAILED" {
		t.Errorf("%+v", o)
	}
}

// A contact's file is fetched, kept, and named by the message.
func TestInboundFilesAreKept(t *testing.T) {
	w := newWorld(t, quick)
	w.linked(ours)
	text := bytes.Repeat([]byte("foto "), 4000)
	id, err := w.sim.Contact(ana).SendMedia(t.Context(), ours, "image", "image/jpeg", "olha", text)
	if err != nil {
		t.Fatal(err)
	}
	m := w.inbound(id).Content
	if m.Kind != messaging.KindImage || m.Media.Caption != "olha" || m.Media.MIME != "image/jpeg" || m.Media.Size != int64(len(text)) {
		t.Errorf("%+v", m.Media)
	}
	if !bytes.Equal(w.shelf.file(m.Media.ID), text) {
		t.Errorf("kept %d bytes", len(w.shelf.file(m.Media.ID)))
	}
}

// A file is fetched and kept once, however often its message comes: also when
// the message was not recorded the first time.
func TestAFileThatComesAgainIsKeptOnce(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	w.journal.setBroken(true)
	text := []byte("foto")
	id, err := w.sim.Contact(ana).SendMedia(t.Context(), ours, "image", "image/jpeg", "olha", text)
	if err != nil {
		t.Fatal(err)
	}
	w.eventually("the file is kept", func() bool { return w.shelf.kept() == 1 })
	p.close()
	w.journal.setBroken(false)
	p.ask(messaging.AskNothing)
	if m := w.inbound(id).Content.Media; !bytes.Equal(w.shelf.file(m.ID), text) {
		t.Errorf("%+v", m)
	}
	if n := w.shelf.kept(); n != 1 {
		t.Errorf("%d files are kept", n)
	}
}

// A message that is recorded, and whose acknowledgement WhatsApp did not get,
// comes again; its file is not fetched again.
func TestAFileOfARecordedMessageIsNotFetchedAgain(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	p.close()
	id, err := w.sim.Contact(ana).SendMedia(t.Context(), ours, "image", "image/jpeg", "olha", []byte("foto"))
	if err != nil {
		t.Fatal(err)
	}
	w.journal.follow(&p.facts)
	recorded := messaging.InboundMessage{Message: messaging.Message{InstanceID: p.facts.ID, WAMessageID: id}}
	if err := w.journal.Report(t.Context(), recorded); err != nil {
		t.Fatal(err)
	}
	p.ask(messaging.AskNothing)
	w.eventually("it is acknowledged", func() bool {
		sent, ok := w.sim.Contact(ana).Sent(id)
		return ok && sent.Delivered
	})
	if n := w.shelf.kept(); n != 0 {
		t.Errorf("%d files are kept", n)
	}
}
