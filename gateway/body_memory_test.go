package gateway_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"portaria/gateway/gatewaytest"
)

// One key cannot fill the memory with long bodies: those that come while too
// many are on their way are told to come back, while other keys are served.
func TestLongBodiesAtOnceAreBounded(t *testing.T) {
	h := open(t)
	token, other := h.key(t, "whatsapp:send"), h.key(t, "whatsapp:send")
	const length, share, tries = 24 << 20, 5, 8
	refusals := make(chan *http.Response, tries)
	var held []net.Conn
	for range tries {
		conn := dial(t, h)
		held = append(held, conn)
		fmt.Fprintf(conn, "POST /v1/media HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n{\"base64\":\"", token, length)
		flood(conn, 2<<20)
		go func() {
			if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
				refusals <- answer
			}
		}()
	}
	for range tries - share {
		refused := <-refusals
		body, err := io.ReadAll(refused.Body)
		if err != nil {
			t.Fatal(err)
		}
		refused.Body.Close()
		if refused.StatusCode != http.StatusServiceUnavailable || refused.Header.Get("Retry-After") == "" || !strings.Contains(string(body), `"UNAVAILABLE"`) {
			t.Errorf("%s, Retry-After %q: %s", refused.Status, refused.Header.Get("Retry-After"), body)
		}
	}
	file := base64.StdEncoding.EncodeToString(make([]byte, 3<<20))
	long := gatewaytest.Request{Method: http.MethodPost, Path: "/v1/media", Token: other, Body: `{"base64":"` + file + `"}`}
	h.Expect(t, long, http.StatusCreated, "")
	for _, conn := range held {
		conn.Close()
	}
	long.Token = token
	waitFor(t, "the share to come back", func() bool { return h.Do(t, long).Status == http.StatusCreated })
}
