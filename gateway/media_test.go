package gateway_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portaria/gateway/gatewaytest"
	"portaria/internal/fault"
	"portaria/messaging"
)

// The beginnings of files.
const (
	pngFile  = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
	webpFile = "RIFF\x24\x00\x00\x00WEBPVP8 "
	mp4File  = "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
	opusFile = "OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04\x00\x00\x00\x00\x05\x06\x07\x08\x01\x13OpusHead\x01\x01"
	pdfFile  = "%PDF-1.7\n"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// files counts what lies in the house's library.
func (h *house) files(t *testing.T) (n int) {
	t.Helper()
	_ = filepath.WalkDir(h.shelf.dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return nil
	})
	h.shelf.mu.Lock()
	defer h.shelf.mu.Unlock()
	if n != len(h.shelf.rows) {
		t.Errorf("%d files and %d rows", n, len(h.shelf.rows))
	}
	return n
}

// part is a part of a form.
type part struct{ name, filename, mime, body string }

// form makes the body of a form.
func form(t *testing.T, parts ...part) (body string, header map[string]string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		h := textproto.MIMEHeader{}
		disposition := fmt.Sprintf(`form-data; name=%q`, p.name)
		if p.filename != "" {
			disposition += fmt.Sprintf(`; filename=%q`, p.filename)
		}
		h.Set("Content-Disposition", disposition)
		if p.mime != "" {
			h.Set("Content-Type", p.mime)
		}
		to, err := w.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(to, p.body)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), map[string]string{"Content-Type": w.FormDataContentType()}
}

// content is what an answer says of a message's content.
func content(t *testing.T, answer gatewaytest.Response) (id string, c map[string]any) {
	t.Helper()
	var envelope struct {
		Data struct {
			ID      string
			Content map[string]any
		}
	}
	if err := json.Unmarshal(answer.Body, &envelope); err != nil {
		t.Fatal(err)
	}
	return envelope.Data.ID, envelope.Data.Content
}

// Each kind of file is accepted in each of the ways in which it may come, shown
// with what was found out about it, and can be read back byte for byte.
func TestEveryKindOfFileIsSentAndReadBack(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	path := "/v1/instances/" + h.instance(t, "one").Name + "/messages"
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, map[string]string{"/a.png": pngFile, "/a.pdf": pdfFile}[r.URL.Path])
	}))
	defer served.Close()
	for name, c := range map[string]struct {
		message, bytes string
		want           map[string]any
	}{
		"image": {
			`"image":{"base64":"` + b64(pngFile) + `","filename":"a.png"},"caption":"Olá"`, pngFile,
			map[string]any{"mime_type": "image/png", "filename": "a.png", "caption": "Olá"},
		},
		"image by URL": {
			`"type":"image","image":{"url":"` + served.URL + `/a.png","caption":"inside"}`, pngFile,
			map[string]any{"mime_type": "image/png", "filename": "a.png", "caption": "inside"},
		},
		"video":    {`"video":{"base64":"` + b64(mp4File) + `"},"view_once":true`, mp4File, map[string]any{"mime_type": "video/mp4", "view_once": true}},
		"voice":    {`"audio":{"base64":"` + b64(opusFile) + `","voice":true}`, opusFile, map[string]any{"mime_type": "audio/ogg; codecs=opus", "voice": true}},
		"sticker":  {`"sticker":{"base64":"data:image/webp;base64,` + b64(webpFile) + `"}`, webpFile, map[string]any{"mime_type": "image/webp"}},
		"document": {`"document":{"url":"` + served.URL + `/a.pdf"}`, pdfFile, map[string]any{"mime_type": "application/pdf", "filename": "a.pdf"}},
		"mentions": {
			`"document":{"base64":"` + base64.RawURLEncoding.EncodeToString([]byte(pdfFile)) + `"},"mentions":["+55 11 91234-5678","1234567890@lid"]`, pdfFile,
			map[string]any{"mime_type": "application/pdf", "mentions": []any{"5511912345678@s.whatsapp.net", "1234567890@lid"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			answer := h.Expect(t, gatewaytest.Request{
				Method: http.MethodPost, Path: path, Token: token, Body: `{"to":"5511912345678",` + c.message + `}`,
			}, http.StatusAccepted, "")
			id, shown := content(t, answer)
			again := h.Expect(t, gatewaytest.Request{Method: http.MethodGet, Path: "/v1/messages/" + id, Token: token}, http.StatusOK, "")
			if _, same := content(t, again); !cmp.Equal(shown, same) {
				t.Error(cmp.Diff(shown, same))
			}
			mediaID, _ := shown["media_id"].(string)
			for _, found := range []string{"media_id", "sha256"} {
				delete(shown, found)
			}
			want := map[string]any{"filename": nil, "caption": nil, "size": float64(len(c.bytes)), "voice": false}
			for name, value := range c.want {
				want[name] = value
			}
			if diff := cmp.Diff(want, shown); diff != "" {
				t.Error(diff)
			}
			file := h.Expect(t, gatewaytest.Request{Method: http.MethodGet, Path: "/v1/media/" + mediaID, Token: token}, http.StatusOK, "")
			if string(file.Body) != c.bytes || file.Header.Get("Content-Type") != c.want["mime_type"] {
				t.Errorf("%q as %s", file.Body, file.Header.Get("Content-Type"))
			}
		})
	}
}

// A stored file may be anything; a browser that is lured to it must neither show
// nor run it.
func TestAStoredFileIsServedHarmlessly(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	body, header := form(t, part{"file", "evil\" ação.html", "text/html", "<script>alert(1)</script>"})
	answer := h.Expect(t, gatewaytest.Request{Method: http.MethodPost, Path: "/v1/media", Token: token, Body: body, Header: header}, http.StatusCreated, "")
	id, _ := content(t, answer)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		file := h.send(t, method, "/v1/media/"+id, token)
		want := map[string]string{
			"Content-Disposition":     `attachment; filename*=utf-8''evil%22%20a%C3%A7%C3%A3o.html`,
			"X-Content-Type-Options":  "nosniff",
			"Content-Security-Policy": "default-src 'none'; sandbox",
			"Cache-Control":           "no-store",
			"Content-Length":          "25",
		}
		for name, value := range want {
			if got := file.Header.Get(name); got != value {
				t.Errorf("%s %s: %q, want %q", method, name, got, value)
			}
		}
	}
}

// send asks without the document: HEAD is not in it.
func (h *house) send(t *testing.T, method, path, token string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, h.URL()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	return answer
}

// A form holds the same message, and its parts may come in any order.
func TestAMessageMayComeAsAForm(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	path := "/v1/instances/" + h.instance(t, "one").Name + "/messages"
	message := part{"message", "", "application/json", `{"to":"5511912345678","type":"image","caption":"Olá"}`}
	file := part{"file", "a.png", "image/png", pngFile}
	for name, parts := range map[string][]part{"message first": {message, file}, "file first": {file, message}} {
		body, header := form(t, parts...)
		answer := h.Expect(t, gatewaytest.Request{Method: http.MethodPost, Path: path, Token: token, Body: body, Header: header}, http.StatusAccepted, "")
		_, shown := content(t, answer)
		if shown["caption"] != "Olá" || shown["filename"] != "a.png" || shown["mime_type"] != "image/png" {
			t.Errorf("%s: %v", name, shown)
		}
	}
	body, header := form(t, part{"message", "", "", `{"to":"5511912345678","text":"no file"}`})
	h.Expect(t, gatewaytest.Request{Method: http.MethodPost, Path: path, Token: token, Body: body, Header: header}, http.StatusAccepted, "")
	if n := h.files(t); n != 2 {
		t.Errorf("%d files", n)
	}
}

// What is refused says which field is to blame, and leaves no file behind,
// however far the request got.
func TestRefusedFilesSayWhyAndLeaveNothing(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	path := "/v1/instances/" + h.instance(t, "one").Name + "/messages"
	png := b64(pngFile)
	stray := messaging.NewID(messaging.MediaPrefix, h.clock.Now)
	for name, c := range map[string]struct {
		message string
		parts   []part
		want    string // "field:rule …", or a code
	}{
		"no source":              {message: `"image":{}`, want: "image:required"},
		"two sources":            {message: `"image":{"base64":"` + png + `","url":"http://example.com"}`, want: "image:requires"},
		"two contents":           {message: `"image":{"base64":"` + png + `"},"text":"a"`, want: "image:requires"},
		"type disagrees":         {message: `"type":"video","image":{"base64":"` + png + `"}`, want: "image:requires"},
		"type without content":   {message: `"type":"image"`, want: "image:required"},
		"no base64":              {message: `"image":{"base64":"*"}`, want: "image.base64:format"},
		"empty base64":           {message: `"image":{"base64":""}`, want: "image:required"},
		"base64 of a wrong type": {message: `"image":{"base64":5}`, want: "image.base64:type"},
		"not an image":           {message: `"image":{"base64":"` + b64(pdfFile) + `"}`, want: "image:media_type"},
		"another type declared":  {message: `"image":{"base64":"` + png + `","mime_type":"image/jpeg"}`, want: "image.mime_type:media_type"},
		"no type declared":       {message: `"image":{"base64":"` + png + `","mime_type":"picture"}`, want: "image.mime_type:format"},
		"a large sticker":        {message: `"sticker":{"base64":"` + b64(webpFile+strings.Repeat("a", 1<<20)) + `"}`, want: "sticker:max_bytes"},
		"mp3 as voice":           {message: `"audio":{"base64":"` + b64("ID3\x03\x00\x00\x00\x00\x00\x21") + `","voice":true}`, want: "audio.voice:media_type"},
		"voice of an image":      {message: `"image":{"base64":"` + png + `","voice":true}`, want: "image.voice:requires"},
		"caption of a sticker":   {message: `"sticker":{"base64":"` + b64(webpFile) + `"},"caption":"a"`, want: "caption:requires"},
		"two captions":           {message: `"image":{"base64":"` + png + `","caption":"a"},"caption":"b"`, want: "caption:repeated"},
		"caption of text":        {message: `"text":"a","caption":"b"`, want: "caption:requires"},
		"view once of text":      {message: `"text":"a","view_once":true`, want: "view_once:requires"},
		"a strange mention":      {message: `"text":"a","mentions":["5511912345678","120363000000000000@g.us"]`, want: "mentions[1]:format"},
		"mentions of all sorts":  {message: `"text":"a","mentions":[5]`, want: "mentions:type"},
		"too many mentions":      {message: `"text":"a","mentions":[` + strings.Repeat(`"a",`, 2000) + `"a"]`, want: "mentions:max"},
		"reply to nothing":       {message: `"text":"a","reply_to":"` + messaging.NewID(messaging.MessagePrefix, h.clock.Now) + `"`, want: "reply_to:not_found"},
		"reply to no id":         {message: `"text":"a","reply_to":"msg_x"`, want: "reply_to:format"},
		"reply to strange id":    {message: `"image":{"base64":"` + png + `"},"reply_to":"3EB0FFFF"`, want: "reply_to:not_found"},
		"reaction to nothing":    {message: `"reaction":{"message_id":"3EB0FFFF","emoji":"👍"}`, want: "reaction.message_id:not_found"},
		"reaction without id":    {message: `"reaction":{"emoji":"👍"}`, want: "reaction.message_id:required"},
		"an absent file":         {message: `"image":{"media_id":"` + stray + `"}`, want: "image.media_id:not_found"},
		"no id of a file":        {message: `"image":{"media_id":"../x"}`, want: "image.media_id:format"},
		"unknown member":         {message: `"image":{"base64":"` + png + `","link":"x"}`, want: "image.link:unknown"},
		"a private URL":          {message: `"image":{"url":"http://10.0.0.1/a.png"}`, want: "URL_NOT_ALLOWED"},
		"no URL":                 {message: `"image":{"url":"file:///etc/passwd"}`, want: "URL_NOT_ALLOWED"},
		"a URL without server":   {message: `"image":{"url":"http://127.0.0.1:1/a.png"}`, want: "MEDIA_UNREACHABLE"},
		"half a location":        {message: `"location":{"latitude":1}`, want: "location.longitude:required"},
		"caption of a location":  {message: `"location":{"latitude":1,"longitude":1},"caption":"b"`, want: "caption:requires"},

		"form: file and source":   {message: `"image":{"base64":"` + png + `"}`, parts: []part{{"file", "a.png", "", pngFile}}, want: "image:requires"},
		"form: file and text":     {message: `"text":"a"`, parts: []part{{"file", "a.png", "", pngFile}}, want: "file:requires"},
		"form: file and poll":     {message: `"poll":{"question":"?","options":["a","b"]}`, parts: []part{{"file", "a.png", "", pngFile}}, want: "file:requires"},
		"form: file alone":        {message: ``, parts: []part{{"file", "a.png", "", pngFile}}, want: "type:required"},
		"form: two files":         {message: `"type":"image"`, parts: []part{{"file", "", "", pngFile}, {"file", "", "", pngFile}}, want: "file:repeated"},
		"form: a stranger":        {message: `"type":"image"`, parts: []part{{"photo", "", "", pngFile}}, want: "photo:unknown"},
		"form: an empty file":     {message: `"type":"image"`, parts: []part{{"file", "", "", ""}}, want: "file:required"},
		"form: no image":          {message: `"type":"image"`, parts: []part{{"file", "", "", pdfFile}}, want: "image:media_type"},
		"form: a declared type":   {message: `"type":"image"`, parts: []part{{"file", "", "image/jpeg", pngFile}}, want: "image.mime_type:media_type"},
		"form: a large sticker":   {message: `"type":"sticker"`, parts: []part{{"file", "", "", webpFile + strings.Repeat("a", 1<<20)}}, want: "sticker:max_bytes"},
		"form: refused recipient": {message: `"type":"image"`, parts: []part{{"file", "", "", pngFile}}, want: "INVALID_RECIPIENT"},
	} {
		t.Run(name, func(t *testing.T) {
			to := "5511912345678"
			if c.want == "INVALID_RECIPIENT" {
				to = "12"
			}
			r := gatewaytest.Request{Method: http.MethodPost, Path: path, Token: token}
			r.Body = strings.Replace(`{"to":"`+to+`",`+c.message+`}`, ",}", "}", 1)
			if c.parts != nil {
				r.Body, r.Header = form(t, append([]part{{"message", "", "", r.Body}}, c.parts...)...)
			}
			answer := h.Do(t, r)
			if got := answer.Code(); got == "VALIDATION_FAILED" {
				if got = fieldRules(t, answer); !strings.Contains(" "+got+" ", " "+c.want+" ") {
					t.Errorf("got %s, want %s", got, c.want)
				}
			} else if got != c.want {
				t.Errorf("got %s, want %s\n%s", got, c.want, answer.Body)
			}
			if n := h.files(t); n != 0 {
				t.Errorf("%d files are left", n)
			}
		})
	}
	if n := h.accepted(); n != 0 {
		t.Errorf("%d messages were accepted", n)
	}
}

// fieldRules lists the refused fields of an answer.
func fieldRules(t *testing.T, answer gatewaytest.Response) string {
	t.Helper()
	var envelope struct {
		Error struct {
			Details struct{ Fields []fault.Field }
		}
	}
	if err := json.Unmarshal(answer.Body, &envelope); err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range envelope.Error.Details.Fields {
		list = append(list, f.Field+":"+f.Rule)
	}
	return strings.Join(list, " ")
}

// A file is as private as the messages that it is in.
func TestAFileIsSeenByWhoSeesItsMessages(t *testing.T) {
	h := open(t)
	one, two := h.instance(t, "one"), h.instance(t, "two")
	sender := h.key(t, "whatsapp:send")
	upload := func(token string) string {
		body, header := form(t, part{"file", "a.png", "", pngFile})
		id, _ := content(t, h.Expect(t, gatewaytest.Request{Method: http.MethodPost, Path: "/v1/media", Token: token, Body: body, Header: header}, http.StatusCreated, ""))
		return id
	}
	_, sent := content(t, h.Expect(t, gatewaytest.Request{
		Method: http.MethodPost, Path: "/v1/instances/one/messages", Token: sender, Body: `{"to":"5511912345678","image":{"base64":"` + b64(pngFile) + `"}}`,
	}, http.StatusAccepted, ""))
	ofOne, uploaded := sent["media_id"].(string), upload(sender)
	locked := h.locked(t, []string{"whatsapp:send"}, one.ID)
	lockedUpload := upload(locked)
	for name, c := range map[string]struct {
		token string
		sees  map[string]bool
	}{
		"who sent it":            {sender, map[string]bool{ofOne: true, uploaded: true, lockedUpload: false}},
		"another sender":         {h.key(t, "whatsapp:send"), map[string]bool{ofOne: false, uploaded: false, lockedUpload: false}},
		"reader of all":          {h.key(t, "messages:read"), map[string]bool{ofOne: true, uploaded: true, lockedUpload: true}},
		"reader of one":          {h.locked(t, []string{"messages:read"}, one.ID), map[string]bool{ofOne: true, uploaded: false, lockedUpload: false}},
		"reader of two":          {h.locked(t, []string{"messages:read"}, two.ID), map[string]bool{ofOne: false, uploaded: false, lockedUpload: false}},
		"locked sender":          {locked, map[string]bool{ofOne: false, uploaded: false, lockedUpload: true}},
		"reader and sender, one": {h.locked(t, []string{"messages:read", "whatsapp:send"}, one.ID), map[string]bool{ofOne: true, uploaded: false, lockedUpload: false}},
	} {
		for id, sees := range c.sees {
			status, code := http.StatusOK, ""
			if !sees {
				status, code = http.StatusNotFound, "NOT_FOUND"
			}
			h.Expect(t, gatewaytest.Request{Method: http.MethodGet, Path: "/v1/media/" + id, Token: c.token}, status, code)
			if t.Failed() {
				t.Fatal(name)
			}
		}
	}
	// What cannot be seen cannot be sent either.
	body := func(id string) string { return `{"to":"5511912345678","document":{"media_id":"` + id + `"}}` }
	for id, status := range map[string]int{ofOne: http.StatusUnprocessableEntity, lockedUpload: http.StatusAccepted} {
		answer := h.Do(t, gatewaytest.Request{Method: http.MethodPost, Path: "/v1/instances/one/messages", Token: locked, Body: body(id)})
		if answer.Status != status {
			t.Errorf("%d, want %d: %s", answer.Status, status, answer.Body)
		}
	}
}

// A repeated form is the same request though its boundary is another one; its
// file is not stored again. Another file under the same key is another request.
func TestARepeatedFormIsOneMessage(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	h.instance(t, "one")
	send := func(file, code string, status int) gatewaytest.Response {
		body, header := form(t, part{"message", "", "", `{"to":"5511912345678","type":"image"}`}, part{"file", "a.png", "", file})
		header["Idempotency-Key"] = "once"
		return h.Expect(t, gatewaytest.Request{Method: http.MethodPost, Path: "/v1/instances/one/messages", Token: token, Body: body, Header: header}, status, code)
	}
	first := send(pngFile, "", http.StatusAccepted)
	again := send(pngFile, "", http.StatusAccepted)
	if string(first.Body) != string(again.Body) || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("first %s\nagain %s", first.Body, again.Body)
	}
	send(pngFile+"other", "IDEMPOTENCY_KEY_REUSED", http.StatusUnprocessableEntity)
	if n, m := h.files(t), h.accepted(); n != 1 || m != 1 {
		t.Errorf("%d files, %d messages", n, m)
	}
}

// reply_to and reactions point at messages of the same instance, by our id or
// by WhatsApp's.
func TestAReplyPointsAtAMessageOfTheInstance(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	one := h.instance(t, "one")
	h.instance(t, "two")
	received := messaging.Message{
		ID: messaging.NewID(messaging.MessagePrefix, h.clock.Now), WorkspaceID: workspace, Environment: messaging.Test, InstanceID: one.ID,
		Direction: messaging.Inbound, Peer: messaging.Address{Input: "+5511912345678", WAID: "5511912345678@s.whatsapp.net"},
		Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: "?"}}, WAMessageID: "3EB0C0FFEE",
		State: messaging.State{Status: messaging.StatusReceived},
	}
	h.mu.Lock()
	h.messages = append(h.messages, received)
	h.mu.Unlock()
	send := func(instance, rest string, status int) map[string]any {
		_, c := content(t, h.Do(t, gatewaytest.Request{
			Method: http.MethodPost, Path: "/v1/instances/" + instance + "/messages", Token: token, Body: `{"to":"5511912345678",` + rest + `}`,
		}))
		if (c != nil) != (status == http.StatusAccepted) {
			t.Errorf("%s from %s: %v", rest, instance, c)
		}
		return c
	}
	want := map[string]any{"message_id": received.ID, "wa_message_id": "3EB0C0FFEE", "author": "5511912345678@s.whatsapp.net", "from_me": false}
	for _, ref := range []string{received.ID, received.WAMessageID} {
		if got := send("one", `"text":"!","reply_to":"`+ref+`"`, http.StatusAccepted)["reply_to"]; !cmp.Equal(any(want), got) {
			t.Errorf("reply to %s: %v", ref, got)
		}
		if got := send("one", `"reaction":{"message_id":"`+ref+`","emoji":"👍"}`, http.StatusAccepted)["message"]; !cmp.Equal(any(want), got) {
			t.Errorf("reaction to %s: %v", ref, got)
		}
		send("two", `"text":"!","reply_to":"`+ref+`"`, http.StatusUnprocessableEntity)
	}
}

// Calls, and what became of messages, are shown as the document says.
func TestCallsAndAmendmentsAreShown(t *testing.T) {
	h := open(t)
	token := h.key(t, "events:read", "messages:read")
	one := h.instance(t, "one")
	from := messaging.Address{Input: "+5511912345678", WAID: "5511912345678@s.whatsapp.net"}
	at := h.clock.Now.UTC()
	m := messaging.Message{
		ID: messaging.NewID(messaging.MessagePrefix, at), WorkspaceID: workspace, Environment: messaging.Test, InstanceID: one.ID,
		Direction: messaging.Inbound, Peer: from, Content: messaging.Content{Kind: messaging.KindUnknown}, WAMessageID: "3EB0",
		CreatedAt: at, EditedAt: at, RevokedAt: at, State: messaging.State{Status: messaging.StatusReceived},
	}
	h.mu.Lock()
	h.messages = append(h.messages, m)
	for _, e := range []messaging.Event{
		{Type: messaging.EventMessageRevoked, MessageID: m.ID, Message: &m, State: m.State},
		{Type: messaging.EventCallReceived, Call: &messaging.Call{ID: "C1", From: from, Video: true, At: at}},
	} {
		e.WorkspaceID, e.Environment, e.InstanceID = workspace, messaging.Test, one.ID
		h.record(e)
	}
	h.mu.Unlock()
	shown := string(h.Expect(t, gatewaytest.Request{Method: http.MethodGet, Path: "/v1/events", Token: token}, http.StatusOK, "").Body)
	for _, part := range []string{
		`"data":{"call":{"id":"C1","from":{"input":"+5511912345678","wa_id":"5511912345678@s.whatsapp.net"},"video":true,"group":false,"rejected":false,"at":"`,
		`"type":"unknown","content":{"unknown":true}`, `"revoked_at":"`, `"edited_at":"`,
	} {
		if !strings.Contains(shown, part) {
			t.Errorf("%s is missing in %s", part, shown)
		}
	}
	h.Expect(t, gatewaytest.Request{Method: http.MethodGet, Path: "/v1/messages/" + m.ID, Token: token}, http.StatusOK, "")
}
