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

// wasimCmd rehearses without a phone: a simulated WhatsApp, and what it is told.
type wasimCmd struct {
	Serve    wasimServeCmd    `cmd:"" help:"Start the simulated WhatsApp."`
	Scan     wasimScanCmd     `cmd:"" help:"Link a client to a simulated phone, by QR or by code."`
	Inbound  wasimInboundCmd  `cmd:"" help:"Let a contact send a message."`
	Messages wasimMessagesCmd `cmd:"" help:"List what contacts have received and decrypted."`
	Fault    wasimFaultCmd    `cmd:"" help:"Let something go wrong, or list what can."`
}

// wasimControl is where the control port is. Every command but serve asks it.
type wasimControl struct {
	Control string `help:"Control port of the simulator." default:"127.0.0.1:7480" env:"PORTARIA_WASIM_CONTROL" placeholder:"HOST:PORT"`
}

// wasimPatience is how long an answer may take: the simulator waits for clients
// that it links, which may have to store hundreds of keys.
const wasimPatience = 40 * time.Second

var errNoWasim = fault.New(fault.Unavailable, "WASIM_UNREACHABLE",
	"The simulator does not answer: check PORTARIA_WASIM_CONTROL.")

// ask asks the control port and reads the data of its answer into out, unless
// that is nil. Errors: *refusal, errNoWasim, errStrangeAnswer.
func (w wasimControl) ask(ctx context.Context, method, path string, body, out any) error {
	base, err := serverURL("--control", "http://"+strings.TrimPrefix(w.Control, "http://"))
	if err != nil {
		return usageError("--control: must be an address as 127.0.0.1:7480")
	}
	data, err := askJSON(ctx, method, base+path, "", body)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errNoWasim.Saying(fmt.Sprintf("Nobody listens at %s: start the simulator with `portaria wasim serve`, or set PORTARIA_WASIM_CONTROL.", w.Control))
	case err != nil:
		return asWasimError(err)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return errStrangeAnswer.Because(err)
	}
	return nil
}

// asWasimError tells an answer that was a refusal from one that never came.
func asWasimError(err error) error {
	if _, ok := errors.AsType[*refusal](err); ok {
		return err
	}
	if errors.Is(err, errStrangeAnswer) {
		return errStrangeAnswer.Saying("What answered is not the simulator: check PORTARIA_WASIM_CONTROL.")
	}
	return errNoWasim.Because(err)
}

// askJSON asks for something with a body in JSON, unless that is nil, and
// returns the data of the answer. Errors: *refusal, errStrangeAnswer, and what
// went wrong on the way.
func askJSON(ctx context.Context, method, address, token string, body any) (jsontext.Value, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, usageError("the arguments must be valid UTF-8")
		}
		content = bytes.NewReader(text)
	}
	ctx, cancel := context.WithTimeout(ctx, wasimPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	// Nothing here redirects, and a key must not follow where strangers point.
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // without the request's whole address
		}
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxWasimAnswer))
	if err != nil {
		return nil, err
	}
	return readAnswer(answer.StatusCode, text)
}

// maxWasimAnswer bounds what is read of an answer: tens of thousands of messages.
const maxWasimAnswer = 64 << 20
