package gatewaytest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Client asks a server and holds every answer against the server's own OpenAPI
// document. It may be used by several goroutines.
type Client struct {
	url  string
	http *http.Client

	mu        sync.Mutex
	validator *Validator
}

// NewClient reads the document of the server at url.
func NewClient(t *testing.T, url string) *Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	c := &Client{url: url, http: &http.Client{Transport: transport, Timeout: time.Minute}}
	answer := c.send(t, Request{Method: http.MethodGet, Path: "/openapi.json"})
	validator, err := NewValidator(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	c.validator = validator
	return c
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
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.validator.Check(Answer{
		Method: r.Method, Path: r.Path, Status: answer.Status, Header: answer.Header.Get, Body: answer.Body,
	}); err != nil {
		t.Errorf("%s %s: the answer is not as documented: %v", r.Method, r.Path, err)
	}
	return answer
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
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.Path, err)
	}
	return Response{Status: answer.StatusCode, Header: answer.Header, Body: body}
}
