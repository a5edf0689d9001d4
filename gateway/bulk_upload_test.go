package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"portaria/gateway/gatewaytest"
	"portaria/outbox/bulk"
)

// Uploads are taken up to 25 MiB, and refused with a byte more, whatever of them
// is long.
func TestABulkIsAtMost25MiB(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	token := h.key(t, bulkScopes...)
	h.bulks.onRow = func(*bulk.Row) {} // none is kept
	const most = 25 << 20
	const head, foot = `{"message":{"text":"a"},"recipients":[`, `{"to":"5511912345678"}]}`
	list := func(length int) string {
		row := `{"to":"5511912345678","variables":{"a":"` + strings.Repeat("x", 10_000) + `"}},`
		n := (length - len(head) - len(foot)) / len(row)
		body := head + strings.Repeat(row, n)
		return body + strings.Repeat(" ", length-len(body)-len(foot)) + foot
	}
	long := strings.Repeat("a", 2<<20)
	file := strings.Repeat("AAAA", 1<<20)
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"25 MiB":               {list(most), http.StatusAccepted, ""},
		"a byte more":          {list(most + 1), http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE"},
		"2 MiB of text":        {`{"message":{"text":"` + long + `"},"recipients":[]}`, http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE"},
		"4 MiB of file":        {`{"message":{"document":{"base64":"` + file + `"}},` + list(6 << 20)[len(`{"message":{"text":"a"},`):], http.StatusAccepted, ""},
		"text beside a file":   {`{"message":{"document":{"base64":"AAAA"},"caption":"` + long + `"},"recipients":[]}`, http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE"},
		"two mebibytes a row":  {head + `{"to":"` + long + `"}]}`, http.StatusUnprocessableEntity, "VALIDATION_FAILED"},
		"an array of brackets": {head + strings.Repeat("[", 1<<20), http.StatusBadRequest, "INVALID_JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			h.Expect(t, post("/v1/instances/one/bulk", token, c.body), c.status, c.code)
		})
	}
	for name, c := range map[string]struct {
		size, status int
		code         string
	}{
		"file of 25 MiB": {most, http.StatusAccepted, ""}, "file a byte longer": {most + 1, http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE"},
	} {
		t.Run(name, func(t *testing.T) {
			const row = "5511912345678\n"
			csv := "to\n" + strings.Repeat(row, (c.size-3)/len(row))
			csv += strings.Repeat("\n", c.size-len(csv))
			r := gatewaytest.Request{Method: http.MethodPost, Path: "/v1/instances/one/bulk", Token: token}
			r.Body, r.Header = form(t, part{"file", "a.csv", "", csv}, part{"message", "", "", `{"text":"a"}`})
			h.Expect(t, r, c.status, c.code)
		})
	}
	h.nothingSpooled(t)
}

// A body that ends early, by hanging up or by lying about its length, is no bulk,
// and leaves nothing.
func TestACutUploadLeavesNothing(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	token := h.key(t, bulkScopes...)
	for name, c := range map[string]struct{ headers, body string }{
		"a list":  {"", `{"message":{"text":"a"},"recipients":[{"to":"5511912345678"}`},
		"a whole": {"", `{"message":{"text":"a"},"recipients":[{"to":"5511912345678"}]}`},
		"a form":  {"Content-Type: multipart/form-data; boundary=b\r\n", "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nto\n5511"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, h)
			fmt.Fprintf(conn, "POST /v1/instances/one/bulk HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%sContent-Length: %d\r\n\r\n%s",
				token, c.headers, len(c.body)+1000, c.body)
			tcp, ok := conn.(*net.TCPConn)
			if !ok {
				t.Fatal("no TCP")
			}
			if err := tcp.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if answer := answerOf(t, conn); answer.StatusCode != http.StatusBadRequest {
				t.Errorf("got %s", answer.Status)
			}
		})
	}
	if h.bulks.stored() != 0 {
		t.Error("a cut bulk was stored")
	}
	h.nothingSpooled(t)
}

// What is no upload is refused before it is taken.
func TestOnlyJSONAndFormsAreUploads(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	token := h.key(t, bulkScopes...)
	for _, contentType := range []string{"text/csv", "application/x-ndjson", "application/x-www-form-urlencoded"} {
		r := post("/v1/instances/one/bulk", token, "to\n5511912345678\n")
		r.Header = map[string]string{"Content-Type": contentType}
		h.Expect(t, r, http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE")
	}
	r := post("/v1/instances/one/bulk", token, "x")
	r.Header = map[string]string{"Content-Type": "multipart/form-data"}
	h.Expect(t, r, http.StatusBadRequest, "BAD_REQUEST")
	r.Header = map[string]string{"Content-Encoding": "gzip"}
	h.Expect(t, r, http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE")
}

// One key cannot fill the disk with uploads that are on their way.
func TestUploadsAtOnceAreBounded(t *testing.T) {
	h := open(t)
	h.bulks.onRow = func(*bulk.Row) {} // none is kept
	h.instance(t, "one")
	token, other := h.key(t, bulkScopes...), h.key(t, bulkScopes...)
	const length, share, tries = 25 << 20, 10, 12 // 256 MiB are a key's
	refusals := make(chan *http.Response, tries)
	var held []net.Conn
	for range tries {
		conn := dial(t, h)
		held = append(held, conn)
		fmt.Fprintf(conn, "POST /v1/instances/one/bulk HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n{\"recipients\":[", token, length)
		go func() {
			if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
				refusals <- answer
			}
		}()
	}
	for range tries - share {
		refused := <-refusals
		body, err := io.ReadAll(refused.Body)
		refused.Body.Close()
		if err != nil || refused.StatusCode != http.StatusServiceUnavailable || refused.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %s, %v", refused.Status, body, err)
		}
	}
	const body = `{"message":{"text":"a"},"recipients":[{"to":"5511912345678"}]}`
	h.Expect(t, post("/v1/instances/one/bulk", other, body), http.StatusAccepted, "")
	for _, conn := range held {
		conn.Close()
	}
	full := post("/v1/instances/one/bulk", token, strings.Replace(body, "[", "["+strings.Repeat(`{"to":"5511912345678"},`, 1_000_000), 1))
	waitFor(t, "the share to come back", func() bool { return h.Do(t, full).Status == http.StatusAccepted })
}

// An upload of 25 MiB is never in memory: not its bytes, and not its rows.
func TestRowsAreNotHeldInMemory(t *testing.T) {
	h := open(t)
	h.instance(t, "one")
	token := h.key(t, bulkScopes...)
	const rows = 250_000
	var most, before uint64
	h.bulks.onRow = func(r *bulk.Row) {
		if r.Number%(rows/4) == 0 {
			most = max(most, heap())
		}
	}
	send := func(contentType string, body io.Reader) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL()+"/v1/instances/one/bulk", body)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Content-Type", contentType)
		most, before = 0, heap()
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusAccepted {
			t.Errorf("%s: %s", contentType, answer.Status)
		}
		if most == 0 || most > before+8<<20 {
			t.Errorf("%s: %d MiB were held", contentType, (most-before)>>20)
		}
	}
	send("application/json", written(func(w io.Writer) error {
		_, err := io.WriteString(w, `{"message":{"text":"a"},"recipients":[`)
		for n := 0; n < rows && err == nil; n++ {
			_, err = fmt.Fprintf(w, `{"to":"55119%08d","variables":{"name":"Customer number %d, who has a long name"}},`, n, n)
		}
		if err == nil {
			_, err = io.WriteString(w, `{"to":"1"}]}`)
		}
		return err
	}))
	var form *multipart.Writer
	began := make(chan struct{})
	body := written(func(w io.Writer) error {
		form = multipart.NewWriter(w)
		close(began)
		part, err := form.CreateFormFile("file", "a.csv")
		if err == nil {
			_, err = io.WriteString(part, "to,name\n")
		}
		for n := 0; n < rows && err == nil; n++ {
			_, err = fmt.Fprintf(part, "55119%08d,\"Customer number %d, who has a very, very long name and quotes\"\n", n, n)
		}
		if err == nil {
			err = form.WriteField("message", `{"text":"a"}`)
		}
		if err == nil {
			err = form.Close()
		}
		return err
	})
	<-began
	send(form.FormDataContentType(), body)
}

// heap is how much memory is in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// written is what f writes, while it is read.
func written(f func(io.Writer) error) io.Reader {
	r, w := io.Pipe()
	go func() { w.CloseWithError(f(w)) }()
	return r
}
