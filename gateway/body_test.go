package gateway_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"portaria/gateway/gatewaytest"
)

// dial opens a raw connection that the test closes.
func dial(t *testing.T, h *house) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answerOf reads one answer from a connection.
func answerOf(t *testing.T, conn net.Conn) *http.Response {
	t.Helper()
	return readAnswer(t, bufio.NewReader(conn))
}

func readAnswer(t *testing.T, reader *bufio.Reader) *http.Response {
	t.Helper()
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// flood writes up to total bytes and returns how many the other side took
// before it closed the connection.
func flood(conn net.Conn, total int) int {
	chunk, taken := bytes.Repeat([]byte("x"), 64<<10), 0
	for taken < total {
		n, err := conn.Write(chunk[:min(len(chunk), total-taken)])
		taken += n
		if err != nil {
			break
		}
	}
	return taken
}

const sixtyMiB = 60 << 20

// A caller without a key gets the refusal before the body was taken, and the
// connection ends: the server neither waits for the body nor stores it.
func TestBodyOfACallerWithoutKeyIsNotRead(t *testing.T) {
	h := open(t)
	for name, headers := range map[string]string{
		"declared":     fmt.Sprintf("Content-Length: %d\r\n", sixtyMiB),
		"chunked":      "Transfer-Encoding: chunked\r\n",
		"expecting":    fmt.Sprintf("Content-Length: %d\r\nExpect: 100-continue\r\n", sixtyMiB),
		"unknown key":  fmt.Sprintf("Content-Length: %d\r\nX-API-Key: sk_test_0\r\n", sixtyMiB),
		"multipart":    fmt.Sprintf("Content-Length: %d\r\nContent-Type: multipart/form-data; boundary=b\r\n", sixtyMiB),
		"compressed":   fmt.Sprintf("Content-Length: %d\r\nContent-Encoding: gzip\r\n", sixtyMiB),
		"unknown path": fmt.Sprintf("X-Path: x\r\nContent-Length: %d\r\n", sixtyMiB),
	} {
		t.Run(name, func(t *testing.T) {
			path, want := "/v1/messages", http.StatusUnauthorized
			if name == "unknown path" {
				path, want = "/v1/nowhere", http.StatusNotFound
			}
			conn := dial(t, h)
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\n%s\r\nx", path, headers)
			reader := bufio.NewReader(conn)
			answer := readAnswer(t, reader)
			if name == "expecting" { // fasthttp invites the body before anybody can look at the key
				if answer.StatusCode != http.StatusContinue {
					t.Fatalf("got %s", answer.Status)
				}
				answer = readAnswer(t, reader)
			}
			if answer.StatusCode != want || !answer.Close {
				t.Errorf("%s, close %v; want %d and the connection closed", answer.Status, answer.Close, want)
			}
			// What goes out now lands in the kernel's buffers at most.
			if taken := flood(conn, sixtyMiB); taken >= sixtyMiB {
				t.Errorf("the server took all of %d bytes", taken)
			}
		})
	}
}

// The memory of the process is what the promise is about.
func TestManyLargeBodiesWithoutKeyCostNoMemory(t *testing.T) {
	h := open(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 20 {
		conn := dial(t, h)
		fmt.Fprintf(conn, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\nx", sixtyMiB)
		if got := answerOf(t, conn).StatusCode; got != http.StatusUnauthorized {
			t.Fatalf("got %d", got)
		}
		flood(conn, 4<<20)
		conn.Close()
	}
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 16<<20 {
		t.Errorf("20 bodies of 60 MiB made the process allocate %d KiB", allocated>>10)
	}
}

// A compressed body is refused by its header, whoever sends it: 300 kB can
// stand for 300 MiB.
func TestCompressedBodiesAreNeverUnpacked(t *testing.T) {
	h := open(t)
	token := h.locked(t, []string{"*"}, h.instance(t, "a").ID)
	var bomb bytes.Buffer
	writer := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(writer, zeros{}, 64<<20); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd", "identity", ""} {
		conn := dial(t, h)
		fmt.Fprintf(conn, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n",
			token, encoding, bomb.Len())
		_, _ = conn.Write(bomb.Bytes())
		if got := answerOf(t, conn).StatusCode; got != http.StatusUnsupportedMediaType {
			t.Errorf("%q: %d, want 415", encoding, got)
		}
	}
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 8<<20 {
		t.Errorf("the process allocated %d KiB", allocated>>10)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestBodiesAreCutAtTheLimit(t *testing.T) {
	h := open(t)
	token := h.locked(t, []string{"*"}, h.instance(t, "a").ID)
	fits := `{"to":"5511912345678","text":"a"}` + strings.Repeat(" ", 1<<20-33)
	h.Expect(t, post("/v1/messages", token, fits), http.StatusAccepted, "")
	h.Expect(t, post("/v1/messages", token, fits+" "), http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE")

	conn := dial(t, h)
	fmt.Fprintf(conn, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", token)
	go func() {
		for range 3 {
			if _, err := fmt.Fprintf(conn, "80000\r\n%s\r\n", strings.Repeat(" ", 512<<10)); err != nil {
				return
			}
		}
	}()
	if got := answerOf(t, conn).StatusCode; got != http.StatusRequestEntityTooLarge {
		t.Errorf("chunked: %d, want 413", got)
	}
}

func TestChunkedBodiesAreRead(t *testing.T) {
	h := open(t)
	token := h.locked(t, []string{"*"}, h.instance(t, "a").ID)
	conn := dial(t, h)
	fmt.Fprintf(conn, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n", token)
	for piece := range strings.SplitSeq(hello, ",") {
		if strings.HasPrefix(piece, `"text`) {
			piece = "," + piece
		}
		fmt.Fprintf(conn, "%x\r\n%s\r\n", len(piece), piece)
	}
	fmt.Fprint(conn, "0\r\n\r\n")
	if answer := answerOf(t, conn); answer.StatusCode != http.StatusAccepted || answer.Close {
		t.Errorf("%s, close %v", answer.Status, answer.Close)
	}
}

func TestMediaTypes(t *testing.T) {
	h := open(t)
	token := h.locked(t, []string{"*"}, h.instance(t, "a").ID)
	for media, want := range map[string]int{
		"application/json": 202, "Application/JSON; charset=utf-8": 202, "": 202, "text/plain": 415, "application/xml": 415,
		"application/x-www-form-urlencoded": 415, "multipart/form-data; boundary=x": 400, "multipart/mixed; boundary=x": 415, "application/jsonp": 415,
	} {
		conn := dial(t, h)
		fmt.Fprintf(conn, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
			token, media, len(hello), hello)
		if got := answerOf(t, conn).StatusCode; got != want {
			t.Errorf("%q: %d, want %d", media, got, want)
		}
	}
	form := post("/v1/messages", token, hello)
	form.Header = map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	if body := h.Expect(t, form, 415, "UNSUPPORTED_MEDIA_TYPE").Body; !strings.Contains(string(body), "-H 'Content-Type: application/json'") {
		t.Errorf("who pastes curl -d is not told what to add: %s", body)
	}
}

// A route without body leaves one alone: the answer is right, and what was not
// read can never be taken for the next request.
func TestUnreadBodyIsNotTheNextRequest(t *testing.T) {
	h := open(t)
	token := h.key(t, "*")
	conn := dial(t, h)
	smuggled := "GET /v1/instances HTTP/1.1\r\nHost: x\r\n\r\n"
	fmt.Fprintf(conn, "GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", token, len(smuggled), smuggled)
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || !answer.Close {
		t.Errorf("%s, close %v", answer.Status, answer.Close)
	}
	if second, err := reader.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("a second answer begins with %q (%v)", second, err)
	}
}

func TestKeptConnectionServesManyRequests(t *testing.T) {
	h := open(t)
	token := h.locked(t, []string{"*"}, h.instance(t, "a").ID)
	conn := dial(t, h)
	reader := bufio.NewReader(conn)
	for i := range 5 {
		fmt.Fprintf(conn, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", token, len(hello), hello)
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != http.StatusAccepted {
			t.Errorf("request %d: %s", i, answer.Status)
		}
	}
}

// Requests that are not HTTP get the envelope too.
func TestBrokenRequestsWearTheEnvelope(t *testing.T) {
	h := open(t)
	validator := validatorOf(t, h)
	for name, text := range map[string]string{
		"no HTTP":            "hello\r\n\r\n",
		"two lengths":        "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		"length and chunked": "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"bad length":         "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"space in a name":    "GET /v1/me HTTP/1.1\r\nHost : x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, h)
			fmt.Fprint(conn, text)
			answer := answerOf(t, conn)
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != http.StatusBadRequest && answer.StatusCode != http.StatusUnauthorized {
				t.Errorf("got %s", answer.Status)
			}
			if err := validator.Check(gatewaytest.Answer{
				Method: "GET", Path: "/nowhere", Status: answer.StatusCode, Header: answer.Header.Get, Body: body,
			}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A caller that stops in the middle of its body gets an answer, not a hung
// connection.
func TestTruncatedBodyIsRefused(t *testing.T) {
	h := open(t)
	token := h.locked(t, []string{"*"}, h.instance(t, "a").ID)
	conn := dial(t, h)
	fmt.Fprintf(conn, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n%s", token, hello)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer := answerOf(t, conn)
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusBadRequest || !answer.Close || !strings.Contains(string(body), "BAD_REQUEST") {
		t.Errorf("%s, close %v, %s (%v)", answer.Status, answer.Close, body, err)
	}
	if got := h.accepted(); got != 0 {
		t.Errorf("%d messages were accepted", got)
	}
}
