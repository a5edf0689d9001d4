package gateway_test

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"portaria/gateway/gatewaytest"
)

// A JSON body may be long because of its file, and for no other reason: anything
// else of that size costs many times as much when it is decoded.
func TestOnlyAFileMakesABodyLong(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	path := "/v1/instances/" + h.instance(t, "one").Name + "/messages"
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"a file of 15 MiB":    {`"document":{"base64":"` + strings.Repeat("AAAA", 5<<20) + `"}`, http.StatusAccepted, ""},
		"a file of 20 MiB":    {`"document":{"base64":"` + strings.Repeat("AAAA", 7<<20) + `"}`, http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE"},
		"2 MiB of text":       {`"text":"` + strings.Repeat("a", 2<<20) + `"`, http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE"},
		"2 MiB of mentions":   {`"document":{"base64":"AAAA"},"mentions":[` + strings.Repeat(`"",`, 1<<20) + `""]`, http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE"},
		"2 MiB behind a file": {`"document":{"base64":"` + strings.Repeat("AAAA", 1<<20) + `"},"caption":"` + strings.Repeat("a", 2<<20) + `"`, http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE"},
	} {
		t.Run(name, func(t *testing.T) {
			h.Expect(t, gatewaytest.Request{Method: http.MethodPost, Path: path, Token: token, Body: `{"to":"5511912345678",` + c.body + `}`}, c.status, c.code)
		})
	}
}

// Uploads go to the disk as they come: many at once must not need the memory of
// them all.
func TestAnUploadIsNeverHeldInMemory(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	const size = 64 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		part, err := form.CreateFormFile("file", "noise.bin")
		if err == nil {
			_, err = io.CopyN(part, rand.Reader, size)
		}
		if err == nil {
			err = form.Close()
		}
		w.CloseWithError(err)
	}()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL()+"/v1/media", r)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", form.FormDataContentType())
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer answer.Body.Close()
	var made struct{ Data struct{ Size int64 } }
	if err := json.NewDecoder(answer.Body).Decode(&made); err != nil || answer.StatusCode != http.StatusCreated || made.Data.Size != size {
		t.Fatalf("%d %+v %v", answer.StatusCode, made, err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > size/4 {
		t.Errorf("%d MiB were allocated for a file of %d", used>>20, size>>20)
	}
}

// What is announced too large is refused before any of it is read; what turns
// out to be too large or ends early leaves nothing behind.
func TestABrokenUploadLeavesNothing(t *testing.T) {
	h := open(t)
	token := h.key(t, "whatsapp:send")
	head := "POST /v1/media HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\nContent-Type: multipart/form-data; boundary=xx\r\n"
	begin := "--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"
	for name, c := range map[string]struct {
		raw  string
		want string
	}{
		"announced too large": {head + "Content-Length: 200000000\r\n\r\n" + begin, "PAYLOAD_TOO_LARGE"},
		"no last boundary":    {head + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(begin)+4) + begin + "abcd", "BAD_REQUEST"},
		"no boundary at all":  {head + "Content-Length: 4\r\n\r\nabcd", "BAD_REQUEST"},
		"packed":              {head + "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd", "UNSUPPORTED_MEDIA_TYPE"},
		"boundary not said":   {strings.Replace(head, "; boundary=xx", "", 1) + "Content-Length: 4\r\n\r\nabcd", "BAD_REQUEST"},
	} {
		t.Run(name, func(t *testing.T) {
			c2, err := net.Dial("tcp", h.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c2.Close()
			if _, err := io.WriteString(c2, c.raw); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(bufio.NewReader(c2), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil || !strings.Contains(string(body), `"`+c.want+`"`) {
				t.Errorf("%s, want %s (%v)", body, c.want, err)
			}
			if n := h.files(t); n != 0 {
				t.Errorf("%d files are left", n)
			}
		})
	}
}
