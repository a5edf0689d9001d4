package gatewaytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Client asks a server and holds every answer against the server's own OpenAPI
// document, and every event in one against the schema of its type. It may be
// used by several goroutines.
type Client struct {
	url  string
	http *http.Client
	said *said
}

// said is what servers say of themselves. All of one test binary say the same,
// so it is read once: to make the document takes longer than most tests.
type said struct {
	mu        sync.Mutex
	validator *Validator // guarded by mu; nil: not read yet
	events    *EventValidator
}

var saidByAll said //nolint:gochecknoglobals // it belongs to the test binary, as the document does

// NewClient returns a client of the server at url.
func NewClient(t *testing.T, url string) *Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	c := &Client{url: url, http: &http.Client{Transport: transport, Timeout: time.Minute}, said: &saidByAll}
	c.said.mu.Lock()
	defer c.said.mu.Unlock()
	if c.said.validator != nil {
		return c
	}
	answer := c.send(t, Request{Method: http.MethodGet, Path: "/openapi.json"})
	var err error
	if c.said.validator, err = NewValidator(answer.Body); err != nil {
		t.Fatal(err)
	}
	c.said.events = NewEventValidator()
	return c
}

// CheckEvent holds an event against the schema of its type.
func (c *Client) CheckEvent(t *testing.T, event []byte) error {
	t.Helper()
	return c.said.events.Check(event, func(path string) ([]byte, error) {
		schema := c.send(t, Request{Method: http.MethodGet, Path: path})
		if schema.Status != http.StatusOK {
			return nil, fmt.Errorf("%s: %d %s", path, schema.Status, schema.Body)
		}
		return schema.Body, nil
	})
}

// Request is a request as tests write it.
type Request struct {
	Method string
	Path   string
	Token  string // goes into Authorization
	Body   string // sent as JSON
	Header map[string]string
}

// Response is an answer that has been read.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Code returns the code of an error, or "".
func (r Response) Code() string {
	var envelope struct {
		Error struct{ Code string }
		Code  string // of a problem
	}
	if json.Unmarshal(r.Body, &envelope) != nil {
		return ""
	}
	return envelope.Error.Code + envelope.Code
}

// Do asks, and fails the test when the document does not allow the answer.
func (c *Client) Do(t *testing.T, r Request) Response {
	t.Helper()
	answer := c.send(t, r)
	if err := c.said.check(r, answer); err != nil {
		t.Errorf("%s %s: the answer is not as documented: %v", r.Method, r.Path, err)
	}
	if err := c.checkEvents(t, r, answer); err != nil {
		t.Errorf("%s %s: an event is not as its schema says: %v", r.Method, r.Path, err)
	}
	return answer
}

// check holds an answer against the document.
func (s *said) check(r Request, answer Response) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.validator.Check(Answer{
		Method: r.Method, Path: r.Path, Status: answer.Status, Header: answer.Header.Get, Body: answer.Body,
	})
}

// checkEvents holds the events of an answer against their schemas.
func (c *Client) checkEvents(t *testing.T, r Request, answer Response) error {
	t.Helper()
	path, _, _ := strings.Cut(r.Path, "?")
	if answer.Status != http.StatusOK || !strings.HasSuffix(path, "/events") {
		return nil
	}
	var list struct{ Data []json.RawMessage }
	if err := json.Unmarshal(answer.Body, &list); err != nil {
		return err
	}
	for _, event := range list.Data {
		if err := c.CheckEvent(t, event); err != nil {
			return err
		}
	}
	return nil
}

// Expect asks, and fails the test when status or error code are others.
func (c *Client) Expect(t *testing.T, r Request, status int, code string) Response {
	t.Helper()
	answer := c.Do(t, r)
	if answer.Status != status || answer.Code() != code {
		t.Errorf("%s %s: %d %s, want %d %s\n%s", r.Method, r.Path, answer.Status, answer.Code(), status, code, answer.Body)
	}
	return answer
}

func (c *Client) send(t *testing.T, r Request) Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), r.Method, c.url+r.Path, strings.NewReader(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	if r.Body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if r.Token != "" {
		request.Header.Set("Authorization", "Bearer "+r.Token)
	}
	for name, value := range r.Header {
		request.Header.Set(name, value)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.Path, err)
	}
	defer answer.Body.Close()
	body, err := readBody(answer)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.Path, err)
	}
	return Response{Status: answer.StatusCode, Header: answer.Header, Body: body}
}

// readBody reads an answer; of a stream, which may have no end, its beginning.
func readBody(answer *http.Response) ([]byte, error) {
	if answer.Header.Get("Content-Type") != "text/event-stream" {
		return io.ReadAll(answer.Body)
	}
	beginning := make([]byte, 1<<10)
	n, err := answer.Body.Read(beginning)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return beginning[:n], err
}
