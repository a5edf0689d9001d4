package wasim_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"portaria/wasim"
)

// upload puts a file on the server, as a client does before it sends it.
func (c *client) upload(body []byte, kind whatsmeow.MediaType) whatsmeow.UploadResponse {
	c.t.Helper()
	up, err := c.Upload(context.Background(), body, kind)
	if err != nil {
		c.t.Fatal(err)
	}
	return up
}

// send sends any message to a number and returns its id.
func (c *client) send(to string, message *waE2E.Message) string {
	c.t.Helper()
	response, err := c.SendMessage(context.Background(), types.NewJID(to, types.DefaultUserServer), message)
	if err != nil {
		c.t.Fatal(err)
	}
	return response.ID
}

// wantMedia waits until a contact has a message and compares its file.
func wantMedia(t *testing.T, s *wasim.Server, contact *wasim.Contact, want []byte) *waE2E.Message {
	t.Helper()
	eventually(t, "the file arrives", func() bool { return len(contact.Received()) > 0 })
	message := contact.Received()[0].Message
	got, err := s.Media(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the contact has %d other bytes, want %d", len(got), len(want))
	}
	return message
}

// TestContactSeesTheFileThatAClientSends, for each kind, of sizes around the
// cipher's block, byte for byte.
func TestContactSeesTheFileThatAClientSends(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	image := func(body []byte) *waE2E.Message {
		up := c.upload(body, whatsmeow.MediaImage)
		return &waE2E.Message{ImageMessage: &waE2E.ImageMessage{
			URL: &up.URL, DirectPath: &up.DirectPath, MediaKey: up.MediaKey, FileEncSHA256: up.FileEncSHA256,
			FileSHA256: up.FileSHA256, FileLength: &up.FileLength, Caption: proto.String("a caption"),
		}}
	}
	video := func(body []byte) *waE2E.Message {
		up := c.upload(body, whatsmeow.MediaVideo)
		return &waE2E.Message{VideoMessage: &waE2E.VideoMessage{
			URL: &up.URL, DirectPath: &up.DirectPath, MediaKey: up.MediaKey, FileEncSHA256: up.FileEncSHA256,
			FileSHA256: up.FileSHA256, FileLength: &up.FileLength,
		}}
	}
	audio := func(body []byte) *waE2E.Message {
		up := c.upload(body, whatsmeow.MediaAudio)
		return &waE2E.Message{AudioMessage: &waE2E.AudioMessage{
			URL: &up.URL, DirectPath: &up.DirectPath, MediaKey: up.MediaKey, FileEncSHA256: up.FileEncSHA256,
			FileSHA256: up.FileSHA256, FileLength: &up.FileLength, PTT: proto.Bool(true),
		}}
	}
	document := func(body []byte) *waE2E.Message {
		up := c.upload(body, whatsmeow.MediaDocument)
		return &waE2E.Message{DocumentWithCaptionMessage: &waE2E.FutureProofMessage{Message: &waE2E.Message{
			DocumentMessage: &waE2E.DocumentMessage{
				URL: &up.URL, DirectPath: &up.DirectPath, MediaKey: up.MediaKey, FileEncSHA256: up.FileEncSHA256,
				FileSHA256: up.FileSHA256, FileLength: &up.FileLength, Caption: proto.String("a caption"),
			},
		}}}
	}
	sticker := func(body []byte) *waE2E.Message {
		up := c.upload(body, whatsmeow.MediaImage)
		return &waE2E.Message{StickerMessage: &waE2E.StickerMessage{
			URL: &up.URL, DirectPath: &up.DirectPath, MediaKey: up.MediaKey, FileEncSHA256: up.FileEncSHA256,
			FileSHA256: up.FileSHA256, FileLength: &up.FileLength,
		}}
	}
	for i, test := range []struct {
		name string
		make func([]byte) *waE2E.Message
		size int
	}{
		{"image", image, 1 << 20}, {"video", video, 15}, {"voice", audio, 16}, {"document", document, 17}, {"sticker", sticker, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := bytes.Repeat([]byte{byte(i + 1)}, test.size)
			contact := s.Contact("551197777000" + string(rune('0'+i)))
			c.send(contact.Number(), test.make(body))
			wantMedia(t, s, contact, body)
		})
	}
}

// fileOf returns the part of a message that a client downloads.
func fileOf(m *waE2E.Message) whatsmeow.DownloadableMessage {
	switch {
	case m.ImageMessage != nil:
		return m.ImageMessage
	case m.VideoMessage != nil:
		return m.VideoMessage
	case m.AudioMessage != nil:
		return m.AudioMessage
	case m.DocumentMessage != nil:
		return m.DocumentMessage
	default:
		return m.StickerMessage
	}
}

// TestClientSeesTheFileThatAContactSends, for each kind.
func TestClientSeesTheFileThatAContactSends(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	contact := s.Contact(friend)
	for _, test := range []struct{ kind, mime, caption, media string }{
		{"image", "image/jpeg", "look", "image"},
		{"video", "video/mp4", "look", "video"},
		{"audio", "audio/mpeg", "", "audio"},
		{"ptt", "audio/ogg; codecs=opus", "", "ptt"},
		{"document", "application/pdf", "read", "document"},
		{"document", "application/pdf", "", "document"},
		{"sticker", "image/webp", "", "sticker"},
	} {
		t.Run(test.kind+test.caption, func(t *testing.T) {
			body := bytes.Repeat([]byte(test.kind), 1000)
			id, err := contact.SendMedia(t.Context(), own, test.kind, test.mime, test.caption, body)
			if err != nil {
				t.Fatal(err)
			}
			got := await[*events.Message](c)
			if got.Info.ID != id || got.Info.Type != "media" || got.Info.MediaType != test.media {
				t.Errorf("message %s of type %s, %s; want %s, a %s", got.Info.ID, got.Info.Type, got.Info.MediaType, id, test.media)
			}
			data, err := c.Download(t.Context(), fileOf(got.Message))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(data, body) {
				t.Errorf("the client has %d other bytes", len(data))
			}
			captions := got.Message.GetImageMessage().GetCaption() + got.Message.GetVideoMessage().GetCaption() +
				got.Message.GetDocumentMessage().GetCaption()
			if captions != test.caption {
				t.Errorf("caption %q, want %q", captions, test.caption)
			}
		})
	}
	if _, err := contact.SendMedia(t.Context(), own, "hologram", "", "", nil); !errors.Is(err, wasim.ErrMediaKind) {
		t.Errorf("a kind that is none: %v", err)
	}
}

// TestFileThatIsNotWhatTheMessageSaysIsFound: a gateway that mixes up a hash,
// a key or a length must not pass for one that works.
func TestFileThatIsNotWhatTheMessageSaysIsFound(t *testing.T) {
	s := start(t, wasim.Options{})
	good, err := s.Attach("image", "image/png", "", []byte("what is in the file"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Media(t.Context(), good); err != nil {
		t.Fatalf("the right message: %v", err)
	}
	for name, test := range map[string]struct {
		spoil func(*waE2E.ImageMessage)
		want  error
	}{
		"key":    {func(m *waE2E.ImageMessage) { m.MediaKey[0] ^= 1 }, wasim.ErrMediaBroken},
		"hash":   {func(m *waE2E.ImageMessage) { m.FileSHA256[0] ^= 1 }, wasim.ErrMediaBroken},
		"name":   {func(m *waE2E.ImageMessage) { m.FileEncSHA256[0] ^= 1 }, wasim.ErrMediaBroken},
		"length": {func(m *waE2E.ImageMessage) { *m.FileLength++ }, wasim.ErrMediaBroken},
		"path":   {func(m *waE2E.ImageMessage) { m.DirectPath = proto.String("/v/image/x?") }, wasim.ErrMediaBroken},
		"gone": {func(m *waE2E.ImageMessage) {
			m.DirectPath = proto.String("/v/image/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA?x")
			m.FileEncSHA256 = make([]byte, 32)
		}, wasim.ErrMediaGone},
	} {
		t.Run(name, func(t *testing.T) {
			bad := proto.CloneOf(good)
			test.spoil(bad.ImageMessage)
			if _, err := s.Media(t.Context(), bad); !errors.Is(err, test.want) {
				t.Errorf("answered %v, want %v", err, test.want)
			}
		})
	}
	if _, err := s.Media(t.Context(), &waE2E.Message{Conversation: proto.String("no file")}); !errors.Is(err, wasim.ErrNoMedia) {
		t.Errorf("a text: %v", err)
	}
}

// TestUploadIsChecked: who uploads shows what media_conn gave out, and what is
// uploaded must be what its name says.
func TestUploadIsChecked(t *testing.T) {
	s := start(t, wasim.Options{})
	const empty = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU" // SHA-256 of nothing
	for name, test := range map[string]struct {
		method, path string
		body         string
		want         int
	}{
		"right":              {"POST", "/mms/image/" + empty + "=?auth=" + wasim.MediaAuth(), "", 200},
		"without padding":    {"POST", "/mms/image/" + empty + "?auth=" + wasim.MediaAuth(), "", 200},
		"other content":      {"POST", "/mms/image/" + empty + "=?auth=" + wasim.MediaAuth(), "x", 400},
		"without permission": {"POST", "/mms/image/" + empty + "=", "", 401},
		"no such kind":       {"POST", "/mms/hologram/" + empty + "=?auth=" + wasim.MediaAuth(), "", 404},
		"no name":            {"POST", "/mms/image/short?auth=" + wasim.MediaAuth(), "", 404},
		"unknown file":       {"GET", "/v/image/" + "AAAA" + empty[4:] + "?ccb=11-4&hash=x", "", 404},
		"deletion":           {"DELETE", "/mms/image/" + "AAAA" + empty[4:] + "?auth=" + wasim.MediaAuth(), "", 204},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), test.method, "https://mmg.whatsapp.net"+test.path, bytes.NewReader([]byte(test.body)))
			if err != nil {
				t.Fatal(err)
			}
			response, err := s.HTTPClient().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != test.want {
				t.Errorf("status %d, want %d", response.StatusCode, test.want)
			}
		})
	}
}

// TestMediaFaultIsSeenByTheClient: uploads fail at once, downloads are tried
// again and succeed when the fault is over.
func TestMediaFaultIsSeenByTheClient(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	asked := make(chan string, 10)
	s.SetFaults(wasim.FaultPlan{Media: func(method, kind string) int {
		asked <- method + " " + kind
		return map[string]int{"POST": 507, "GET": 404}[method]
	}})
	if _, err := c.Upload(t.Context(), []byte("x"), whatsmeow.MediaImage); err == nil {
		t.Error("the upload succeeded")
	}
	if _, err := s.Contact(friend).SendMedia(t.Context(), own, "image", "image/png", "", []byte("x")); err != nil {
		t.Fatal(err)
	}
	message := await[*events.Message](c).Message
	if _, err := c.Download(t.Context(), message.ImageMessage); !errors.Is(err, whatsmeow.ErrMediaDownloadFailedWith404) {
		t.Errorf("the download ended with %v", err)
	}
	if diff := cmp.Diff([]string{"POST image", "GET image"}, []string{<-asked, <-asked}); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	s.SetFaults(wasim.FaultPlan{})
	if _, err := c.Download(t.Context(), message.ImageMessage); err != nil {
		t.Errorf("after the fault: %v", err)
	}
}

// TestVoiceMessageIsPlayed by contacts that play, after it was read; other
// messages are not.
func TestVoiceMessageIsPlayed(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	s.Contact(friend).Plays(true)
	text := c.mustText(friend, "not to be played")
	up := c.upload([]byte("opus"), whatsmeow.MediaAudio)
	id := c.send(friend, &waE2E.Message{AudioMessage: &waE2E.AudioMessage{
		URL: &up.URL, DirectPath: &up.DirectPath, MediaKey: up.MediaKey, FileEncSHA256: up.FileEncSHA256,
		FileSHA256: up.FileSHA256, FileLength: &up.FileLength, PTT: proto.Bool(true),
	}})
	await(c, receiptFor(id, types.ReceiptTypeRead))
	await(c, receiptFor(id, types.ReceiptTypePlayed))
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		if r, ok := e.(*events.Receipt); ok && receiptFor(text, types.ReceiptTypePlayed)(r) {
			t.Error("a text was played")
		}
	}
}
