package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/internal/fault"
)

var (
	errNobodyThere = fault.New(fault.Unavailable, "SERVER_UNREACHABLE",
		"The server does not answer: check PORTARIA_URL and the network.")
	errStrangeAnswer = fault.New(fault.Unavailable, "NOT_PORTARIA",
		"What answered is not Portaria: check PORTARIA_URL.")
)

// refusal is an error that the server answered.
type refusal struct {
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Details map[string]any `json:"details"`
}

// Error implements error.
func (r *refusal) Error() string { return r.Code + ": " + r.Message }

// fields returns the refused fields, if that is what was wrong.
func (r *refusal) fields() (fields []fault.Field) {
	list, _ := r.Details["fields"].([]any)
	for _, item := range list {
		field, _ := item.(map[string]any)
		name, _ := field["field"].(string)
		message, _ := field["message"].(string)
		fields = append(fields, fault.Field{Field: name, Message: message})
	}
	return fields
}

// apiClient speaks to the HTTP API with one key.
type apiClient struct {
	base  string
	token string
	http  http.Client
}

const (
	// answerGrace is how long an answer may take beyond what was asked for.
	answerGrace = 20 * time.Second
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 8 << 20
)

// newAPIClient returns a client whose requests may wait for patience.
func newAPIClient(base, token string, patience time.Duration) (*apiClient, error) {
	base, err := serverURL("--url", base)
	if err != nil {
		return nil, err
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, usageError("--api-key: a key is one word; what was given has spaces, line breaks or other signs in it")
	}
	return &apiClient{base: base, token: token, http: http.Client{
		Timeout: patience + answerGrace,
		// The API never redirects, and a key must not follow where strangers point.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// serverURL checks a server's address, to which paths are joined, and takes its
// last slashes away.
func serverURL(flag, base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil ||
		strings.ContainsAny(base, `?#'"\ `) {
		return "", usageError(flag + ": must be an address as http://127.0.0.1:8080")
	}
	return strings.TrimRight(base, "/"), nil
}

// post sends a body and returns the data of the answer. Errors: *refusal,
// errNobodyThere, errStrangeAnswer.
func (a *apiClient) post(ctx context.Context, path, idempotencyKey string, body []byte) (jsontext.Value, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, usageError("--url: " + err.Error())
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "portaria/"+version())
	if idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", idempotencyKey)
	}
	answer, err := a.http.Do(req)
	if err != nil {
		return nil, unreachable(a.base, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, unreachable(a.base, err)
	}
	return readAnswer(answer.StatusCode, text)
}

// unreachable puts what went wrong on the way into one sentence.
func unreachable(base string, err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return errNobodyThere.Saying(fmt.Sprintf("Nobody listens at %s: start the server with `portaria serve`, or set PORTARIA_URL.", base))
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the request's whole address
	}
	return errNobodyThere.Because(err)
}

// readAnswer opens the envelope.
func readAnswer(status int, text []byte) (jsontext.Value, error) {
	var envelope struct {
		Success bool           `json:"success"`
		Data    jsontext.Value `json:"data"`
		Error   *refusal       `json:"error"`
	}
	if err := json.Unmarshal(text, &envelope); err != nil || (!envelope.Success && envelope.Error == nil) {
		return nil, errStrangeAnswer.Because(fmt.Errorf("an answer with status %d", status))
	}
	if envelope.Error != nil {
		return nil, envelope.Error
	}
	return envelope.Data, nil
}
