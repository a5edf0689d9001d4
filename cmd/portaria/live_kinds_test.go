package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portaria/wasim"
)

// The smallest files that are what they say.
const (
	jpegFile = "\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9"
	mp4File  = "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"
	opusFile = "OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04\x00\x00\x00\x00\x05\x06\x07\x08\x01\x13OpusHead\x01\x01"
	mp3File  = "ID3\x03\x00\x00\x00\x00\x00\x21"
	webpFile = "RIFF\x24\x00\x00\x00WEBPVP8 "
	pdfFile  = "%PDF-1.7\n"
)

// Every kind of file is uploaded, encrypted, decrypted by the contact byte for
// byte, and shown as what it is.
func TestEveryKindOfFileReachesItsContact(t *testing.T) {
	t.Parallel()
	for _, engine := range heavyEngines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := newLiveWorld(t, engine)
			w.instance("shop", "5511900000001")
			contact := w.wasim.Contact("5511987000001")
			for _, kind := range []struct {
				name, file, options string
				shown               func(wasim.Received) string // of what the contact's phone would show
				want                string
			}{
				{"image", jpegFile, `,"caption":"a view"`, func(r wasim.Received) string { return r.Message.GetImageMessage().GetCaption() }, "a view"},
				{"video", mp4File, `,"caption":"a film"`, func(r wasim.Received) string { return r.Message.GetVideoMessage().GetCaption() }, "a film"},
				{"audio", mp3File, "", func(r wasim.Received) string { return fmt.Sprint(r.Message.GetAudioMessage().GetPTT()) }, "false"},
				{"audio", opusFile, "voice", func(r wasim.Received) string { return fmt.Sprint(r.Message.GetAudioMessage().GetPTT()) }, "true"},
				{"document", pdfFile, "named", func(r wasim.Received) string { return r.Message.GetDocumentMessage().GetFileName() }, "bill.pdf"},
				{"sticker", webpFile, "", func(r wasim.Received) string { return r.Message.GetStickerMessage().GetMimetype() }, "image/webp"},
			} {
				m := w.send("shop", mediaBody(kind.name, kind.file, kind.options))
				w.waitForStatus(m.ID, "read")
				got := contact.Received()
				last := got[len(got)-1]
				if last.WAMessageID != m.WAMessageID || kind.shown(last) != kind.want {
					t.Errorf("%s: the contact got %s %q; want %s %q", kind.name, last.WAMessageID, kind.shown(last), m.WAMessageID, kind.want)
				}
				if file, err := w.wasim.Media(t.Context(), last.Message); err != nil || string(file) != kind.file {
					t.Errorf("%s: the contact's file is %q, %v", kind.name, file, err)
				}
			}
		})
	}
}

func mediaBody(kind, file, options string) string {
	inner := fmt.Sprintf(`"base64":%q`, base64.StdEncoding.EncodeToString([]byte(file)))
	switch options {
	case "voice":
		inner += `,"voice":true`
		options = ""
	case "named":
		inner += `,"filename":"bill.pdf"`
		options = ""
	}
	return fmt.Sprintf(`{"to":"+5511987000001","type":%q,%q:{%s}%s}`, kind, kind, inner, options)
}

// A place, cards and a poll go both ways, and are shown as they were sent.
func TestPlacesCardsAndPollsGoBothWays(t *testing.T) {
	t.Parallel()
	w := newLiveWorld(t, lightEngine)
	w.instance("shop", "5511900000001")
	contact := w.wasim.Contact("5511987000001")
	shown := func(r wasim.Received) string {
		m := r.Message
		return m.GetLocationMessage().GetName() + m.GetContactMessage().GetVcard() + m.GetPollCreationMessage().GetName()
	}
	for _, kind := range []struct{ name, body, want string }{
		{"location", `{"latitude":-23.5614,"longitude":-46.6559,"name":"MASP"}`, "MASP"},
		{
			"contacts", `[{"name":{"first_name":"Ana"},"phones":[{"phone":"+55 11 91234-5678","wa_id":"5511912345678"}]}]`,
			"BEGIN:VCARD\nVERSION:3.0\nN:;Ana;;;\nFN:Ana\nTEL;waid=5511912345678:+55 11 91234-5678\nEND:VCARD",
		},
		{"poll", `{"question":"When?","options":["Today","Tomorrow"]}`, "When?"},
	} {
		m := w.send("shop", fmt.Sprintf(`{"to":"+5511987000001",%q:%s}`, kind.name, kind.body))
		w.waitForStatus(m.ID, "read")
		got := contact.Received()
		if last := got[len(got)-1]; last.WAMessageID != m.WAMessageID || shown(last) != kind.want {
			t.Errorf("%s: the contact got %s %q; want %s %q", kind.name, last.WAMessageID, shown(last), m.WAMessageID, kind.want)
		}
	}

	ctx, number := t.Context(), "5511900000001"
	if _, err := contact.SendLocation(ctx, number, wasim.Place{Latitude: 1.5, Longitude: -2, Address: "there"}); err != nil {
		t.Fatal(err)
	}
	if _, err := contact.SendCards(ctx, number, "BEGIN:VCARD\nFN:Ana\nEND:VCARD", "BEGIN:VCARD\nFN:Beto\nTEL:1\nEND:VCARD"); err != nil {
		t.Fatal(err)
	}
	if _, err := contact.SendPoll(ctx, number, wasim.Poll{Question: "When?", Options: []string{"Today", "Tomorrow"}}); err != nil {
		t.Fatal(err)
	}
	var inbound []struct {
		Type      string         `json:"type"`
		Direction string         `json:"direction"`
		Content   map[string]any `json:"content"`
	}
	waitUntil(t, patience, func() bool {
		inbound = nil
		_, err := w.try(w.key, http.MethodGet, "/v1/messages?direction=inbound", "", "", &inbound)
		return err == nil && len(inbound) == 3
	})
	person := func(name string, phones ...any) any {
		return map[string]any{
			"name":   map[string]any{"formatted_name": name, "first_name": nil, "last_name": nil},
			"phones": append([]any{}, phones...), "emails": []any{}, "organization": nil,
		}
	}
	for i, want := range []map[string]any{
		{"question": "When?", "options": []any{"Today", "Tomorrow"}, "multiple": false},
		{"contacts": []any{person("Ana"), person("Beto", map[string]any{"phone": "1", "wa_id": nil, "type": nil})}},
		{"latitude": 1.5, "longitude": -2.0, "name": nil, "address": "there"},
	} {
		if diff := cmp.Diff(want, inbound[i].Content); diff != "" {
			t.Errorf("%s (-want +got):\n%s", inbound[i].Type, diff)
		}
	}
}

// An answer quotes, a mention points, and what a contact sends back is
// recorded with its file.
func TestRepliesMentionsAndInboundKindsAreUnderstood(t *testing.T) {
	t.Parallel()
	w := newLiveWorld(t, lightEngine)
	w.instance("shop", "5511900000001")
	contact := w.wasim.Contact("5511987000001")
	first := w.send("shop", `{"to":"+5511987000001","text":"first"}`)
	w.waitForStatus(first.ID, "read")
	reply := w.send("shop", fmt.Sprintf(`{"to":"+5511987000001","text":"and @5511987000001","reply_to":%q,"mentions":["+5511987000001"]}`, first.ID))
	w.waitForStatus(reply.ID, "read")
	quote := contact.Received()[1].Message.GetExtendedTextMessage().GetContextInfo()
	if quote.GetStanzaID() != first.WAMessageID || len(quote.GetMentionedJID()) != 1 {
		t.Errorf("the reply quotes %q and mentions %q", quote.GetStanzaID(), quote.GetMentionedJID())
	}

	ctx := t.Context()
	if _, err := contact.SendMedia(ctx, "5511900000001", "image", "image/jpeg", "see", []byte(jpegFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := contact.SendReaction(ctx, "5511900000001", first.WAMessageID, "👍"); err != nil {
		t.Fatal(err)
	}
	if _, err := contact.SendReply(ctx, "5511900000001", first.WAMessageID, "thanks"); err != nil {
		t.Fatal(err)
	}
	text, err := contact.SendText(ctx, "5511900000001", "helo")
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, patience, func() bool { return len(w.messages("inbound")) >= 4 })
	if _, err := contact.Edit(ctx, "5511900000001", text, "hello"); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, patience, func() bool { return len(w.events("message.edited")) == 1 })
	if _, err := contact.Revoke(ctx, "5511900000001", text); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, patience, func() bool { return len(w.events("message.revoked")) == 1 })

	var kinds []string
	inbound := w.messages("inbound")
	for _, m := range inbound {
		kinds = append(kinds, m.Type)
	}
	if got := strings.Join(kinds, " "); got != "image reaction text text" {
		t.Fatalf("inbound kinds are %q", got)
	}
	if inbound[0].Content.Caption != "see" || w.file(inbound[0].Content.MediaID) != jpegFile {
		t.Errorf("the inbound image is %+v", inbound[0])
	}
	if got := inbound[3].Content.Body; got != "hello" {
		t.Errorf("the edited message reads %q", got)
	}
	if got := len(w.events("message.reaction")); got != 1 {
		t.Errorf("%d reaction events", got)
	}
}

// events lists the events of a type.
func (w *liveWorld) events(typ string) (found []struct{ Type string }) {
	w.t.Helper()
	status, err := w.try(w.key, http.MethodGet, "/v1/events?limit=200&type="+typ, "", "", &found)
	if err != nil || status != http.StatusOK {
		w.t.Fatalf("events: %d, %v", status, err)
	}
	return found
}

// file reads a stored file back.
func (w *liveWorld) file(id string) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.address+"/v1/media/"+id, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.key)
	r, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r.Body); err != nil || r.StatusCode != http.StatusOK {
		w.t.Errorf("GET media = %d, %v", r.StatusCode, err)
	}
	return b.String()
}

// Linking needs no camera: the owner types a code on the phone.
func TestAPhoneIsLinkedByACode(t *testing.T) {
	for _, engine := range heavyEngines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := newLiveWorld(t, engine)
			w.do(w.key, http.MethodPost, "/v1/instances", fmt.Sprintf(`{"name":"shop","settings":%s}`, unpaced), http.StatusCreated, nil)
			var shown struct{ Code string }
			w.do(w.key, http.MethodPost, "/v1/instances/shop/pairing-code", `{"phone":"+55 11 90000-0001"}`, http.StatusOK, &shown)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := w.wasim.Phone("5511900000001").TypeCode(ctx, shown.Code); err != nil {
				t.Fatalf("type %q: %v", shown.Code, err)
			}
			if i := w.waitForState("shop", "connected"); i.Phone != "5511900000001" {
				t.Errorf("linked %+v", i)
			}
			m := w.send("shop", `{"to":"+5511987000001","text":"linked by code"}`)
			w.waitForStatus(m.ID, "read")
		})
	}
}
