package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
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

	status int           // of the answer, where it is known
	after  time.Duration // how long the server asks to wait; 0: it does not say
	told   bool          // people have read what was wrong with each field
	said   []fault.Field // the refused fields as the command line calls them; nil: as the server does
}

// passes reports whether the same request may be answered otherwise later.
func (r *refusal) passes() bool {
	return r.status == http.StatusTooManyRequests || r.status >= http.StatusInternalServerError
}

// Error implements error.
func (r *refusal) Error() string { return r.Code + ": " + r.Message }

// fields returns the refused fields, if that is what was wrong and nobody has
// told of it.
func (r *refusal) fields() (fields []fault.Field) {
	if r.told {
		return nil
	}
	if r.said != nil {
		return r.said
	}
	list, _ := r.Details["fields"].([]any)
	for _, item := range list {
		field, _ := item.(map[string]any)
		name, _ := field["field"].(string)
		rule, _ := field["rule"].(string)
		message, _ := field["message"].(string)
		fields = append(fields, fault.Field{Field: name, Rule: rule, Message: message})
	}
	return fields
}

// apiFlags say which server a client of the API asks, and with which key.
type apiFlags struct {
	URL        string `name:"url" help:"Address of the server." default:"http://127.0.0.1:8080" env:"PORTARIA_URL" placeholder:"URL"`
	APIKey     string `name:"api-key" help:"The key; better given by its variable, which other users cannot see." env:"PORTARIA_API_KEY" placeholder:"TOKEN"`
	APIKeyFile string `name:"api-key-file" help:"File that holds the key." env:"PORTARIA_API_KEY_FILE" placeholder:"FILE"`
}

// client returns a client whose requests may wait for patience.
func (f *apiFlags) client(patience time.Duration) (*apiClient, error) {
	token, err := fromFile("PORTARIA_API_KEY", f.APIKey, f.APIKeyFile)
	if err != nil {
		return nil, err
	}
	if token = strings.TrimSpace(token); token == "" {
		return nil, usageError("--api-key: set PORTARIA_API_KEY, or PORTARIA_API_KEY_FILE to a file that holds the key")
	}
	return newAPIClient(f.URL, token, patience)
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
	req, err := a.request(ctx, http.MethodPost, path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", idempotencyKey)
	}
	return a.do(req)
}

// get returns the data of an object. Errors: those of post.
func (a *apiClient) get(ctx context.Context, path string) (jsontext.Value, error) {
	req, err := a.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return a.do(req)
}

// request makes a request with the key on it.
func (a *apiClient) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, body)
	if err != nil {
		return nil, usageError("--url: " + err.Error())
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("User-Agent", "portaria/"+version())
	return req, nil
}

// do returns the data of a request's answer. Errors: those of post.
func (a *apiClient) do(req *http.Request) (jsontext.Value, error) {
	answer, err := a.http.Do(req)
	if err != nil {
		return nil, unreachable(a.base, err)
	}
	defer answer.Body.Close()
	return readWhole(a.base, answer)
}

// readWhole reads an answer to its end.
func readWhole(base string, answer *http.Response) (jsontext.Value, error) {
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, unreachable(base, err)
	}
	data, err := readAnswer(answer.StatusCode, text)
	if refused, ok := errors.AsType[*refusal](err); ok {
		seconds, _ := strconv.ParseUint(answer.Header.Get("Retry-After"), 10, 16)
		if refused.after = time.Duration(seconds) * time.Second; refused.after > 0 {
			refused.Message += fmt.Sprintf(" The server asks to wait %s.", refused.after)
		}
	}
	return data, err
}

// unasked is the failure of a request that cannot have reached anybody.
type unasked struct{ error }

// Unwrap returns what is said of it.
func (u unasked) Unwrap() error { return u.error }

// unreachable puts what went wrong on the way into one sentence.
func unreachable(base string, err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return unasked{errNobodyThere.Saying(fmt.Sprintf("Nobody listens at %s: start the server with `portaria serve`, or set PORTARIA_URL.", base))}
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
		envelope.Error.status = status
		return nil, envelope.Error
	}
	return envelope.Data, nil
}
