package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// bodySize is the size of every message body, for R as for the product.
const bodySize = 196

// ioTimeout bounds every read and write of the load.
const ioTimeout = 30 * time.Second

// target is what a load is sent to.
type target struct {
	address string
	paths   []string // taken in turn
	tokens  []string // taken in turn; none for R
	post    bool     // a message is posted; else the path is asked for
	want    int      // the status of every answer

	recipients int // the messages go to so many in turn; zero: to another one each
}

// client returns a client that keeps conns connections open.
func (t *target) client(conns int) *fasthttp.HostClient {
	return &fasthttp.HostClient{
		Addr: t.address, MaxConns: conns, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout,
		NoDefaultUserAgentHeader: true, DisableHeaderNamesNormalizing: true, DisablePathNormalizing: true,
	}
}

// worker is one caller: it sends its next request when the last was answered.
type worker struct {
	target   *target
	client   *fasthttp.HostClient
	request  *fasthttp.Request
	response *fasthttp.Response
	body     []byte
	urls     []string
	bearers  []string
	turn     int // of its next request, among all workers' requests
	step     int
	answered int
}

// worker returns the n-th of several callers. Together they take the paths in
// turn, and no two of their messages have the same recipient.
func (t *target) worker(client *fasthttp.HostClient, n, of int) *worker {
	w := &worker{target: t, client: client, turn: n, step: of}
	w.request, w.response = fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	for _, path := range t.paths {
		w.urls = append(w.urls, "http://"+t.address+path)
	}
	for _, token := range t.tokens {
		w.bearers = append(w.bearers, "Bearer "+token)
	}
	if t.post {
		w.request.Header.SetMethod(http.MethodPost)
		w.request.Header.SetContentType("application/json")
		w.body = messageBody()
		w.request.SetBodyRaw(w.body)
	}
	return w
}

// shoot sends one request and waits for its answer.
func (w *worker) shoot() error {
	w.request.SetRequestURI(w.urls[w.turn%len(w.urls)])
	if w.target.post {
		recipient := w.turn
		if n := w.target.recipients; n > 0 {
			recipient %= n
		}
		setRecipient(w.body, recipient)
	}
	if len(w.bearers) > 0 {
		w.request.Header.Set(fasthttp.HeaderAuthorization, w.bearers[w.turn%len(w.bearers)])
	}
	w.turn += w.step
	if err := w.client.Do(w.request, w.response); err != nil {
		return err
	}
	if got := w.response.StatusCode(); got != w.target.want {
		return fmt.Errorf("%w: %d instead of %d: %.300s", errStatus, got, w.target.want, w.response.Body())
	}
	w.answered++
	return nil
}

// firstRecipient is a mobile number of São Paulo, of which eight digits vary.
const firstRecipient = "+5511900000000"

// messageBody returns a message of bodySize bytes.
func messageBody() []byte { return []byte(bodyHead + messageText() + bodyTail) }

// What stands around a message's text.
const (
	bodyHead = `{"to":"` + firstRecipient + `","text":"`
	bodyTail = `"}`
)

// messageText is what every message says.
func messageText() string {
	text := "Your order is on its way and arrives today. "
	text = strings.Repeat(text, bodySize/len(text)+1)
	return text[:bodySize-len(bodyHead)-len(bodyTail)]
}

// setRecipient writes the n-th number into a body.
func setRecipient(body []byte, n int) {
	digits := body[bytes.IndexByte(body, '+')+len(firstRecipient)-8:][:8]
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = byte('0' + n%10)
		n /= 10
	}
}
