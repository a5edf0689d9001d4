package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// sandboxPatience is how long a control may take beyond what every answer may.
const sandboxPatience = 10 * time.Second

// jsonRequest makes a request with a body.
func (a *apiClient) jsonRequest(ctx context.Context, method, path string, body any) (*http.Request, error) {
	text, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		return nil, usageError("the arguments must be valid UTF-8")
	}
	req, err := a.request(ctx, method, path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}

// ask makes one request of the sandbox and returns the data of the answer.
func (f *apiFlags) ask(ctx context.Context, method, path string, body any) (jsontext.Value, error) {
	api, err := f.client(sandboxPatience)
	if err != nil {
		return nil, err
	}
	if body == nil {
		return api.get(ctx, path)
	}
	req, err := api.jsonRequest(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	return api.do(req)
}

// sandboxInstance says which test instance something happens to.
type sandboxInstance struct {
	apiFlags

	Instance string `arg:"" help:"The test instance, by id or name." placeholder:"INSTANCE"`
}

// path is that of a control of the instance.
func (s *sandboxInstance) path(control string) string {
	return "/v1/sandbox/instances/" + url.PathEscape(s.Instance) + "/" + control
}

// control does something to the instance and prints it as it stands then.
func (s *sandboxInstance) control(ctx context.Context, c *Config, io streams, name string, body any) error {
	data, err := s.ask(ctx, http.MethodPost, s.path(name), body)
	if err != nil || c.JSON {
		return printData(io, data, err)
	}
	var i struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		State  string `json:"state"`
		Reason string `json:"state_reason"`
		Until  string `json:"state_until"`
		Phone  string `json:"phone"`
	}
	if json.Unmarshal(data, &i) != nil {
		return errStrangeAnswer
	}
	line := fmt.Sprintf("%s (%s): %s", i.Name, i.ID, i.State)
	if i.Reason != "" {
		line += ", " + i.Reason
	}
	if i.Until != "" {
		line += ", until " + i.Until
	}
	if i.Phone != "" {
		line += ", phone +" + i.Phone
	}
	_, err = fmt.Fprintln(io.out, printable(line))
	return err
}

// printData prints the data of an answer as it came.
func printData(io streams, data jsontext.Value, err error) error {
	if err != nil {
		return err
	}
	return printJSON(io, data)
}

// lasting is the body of what happens for a time, or until something ends it.
type lasting struct {
	Seconds float64 `json:"seconds,omitzero"`
}

func lastingFor(d *duration) (lasting, error) {
	if d == nil {
		return lasting{}, nil
	}
	if *d <= 0 {
		return lasting{}, usageError("--for: must be longer than nothing; leave it out for no end")
	}
	return lasting{time.Duration(*d).Seconds()}, nil
}

// sandboxScanCmd is the phone.
type sandboxScanCmd struct {
	sandboxInstance

	Code string `help:"What is scanned or typed: the pairing code, the text of the QR or its link (default: what the instance shows)." placeholder:"CODE"`
}

// Help implements kong.HelpProvider.
func (sandboxScanCmd) Help() string {
	return `The instance must be pairing: portaria instances pair, or POST …/connect. A pairing code is typed on the phone that it was
asked for; else the phone has a number of the sandbox.

  portaria sandbox scan shop
  portaria sandbox scan shop --code ABCD-EFGH --json`
}

// Run implements the command.
func (cmd *sandboxScanCmd) Run(ctx context.Context, c *Config, io streams) error {
	return cmd.control(ctx, c, io, "scan", struct {
		Code string `json:"code,omitzero"`
	}{cmd.Code})
}

// sandboxDropCmd cuts a connection.
type sandboxDropCmd struct {
	sandboxInstance

	For *duration `help:"After this time of the sandbox clock the connection comes back by itself (default: with reconnect)." placeholder:"DURATION"`
}

// Help implements kong.HelpProvider.
func (sandboxDropCmd) Help() string {
	return `What is sent meanwhile waits, and goes out when the connection is back.

  portaria sandbox drop shop
  portaria sandbox drop shop --for 30s`
}

// Run implements the command.
func (cmd *sandboxDropCmd) Run(ctx context.Context, c *Config, io streams) error {
	body, err := lastingFor(cmd.For)
	if err != nil {
		return err
	}
	return cmd.control(ctx, c, io, "drop", body)
}

// sandboxReconnectCmd brings a connection back.
type sandboxReconnectCmd struct{ sandboxInstance }

// Help implements kong.HelpProvider.
func (sandboxReconnectCmd) Help() string {
	return `Ends a drop, and lifts a ban.

  portaria sandbox reconnect shop`
}

// Run implements the command.
func (cmd *sandboxReconnectCmd) Run(ctx context.Context, c *Config, io streams) error {
	return cmd.control(ctx, c, io, "reconnect", struct{}{})
}

// sandboxLogoutCmd is the owner of the phone who removes the device.
type sandboxLogoutCmd struct{ sandboxInstance }

// Help implements kong.HelpProvider.
func (sandboxLogoutCmd) Help() string {
	return `As on the phone, under Linked devices. The instance has to be paired again.

  portaria sandbox logout shop`
}

// Run implements the command.
func (cmd *sandboxLogoutCmd) Run(ctx context.Context, c *Config, io streams) error {
	return cmd.control(ctx, c, io, "logout", struct{}{})
}

// sandboxBanCmd bans a number.
type sandboxBanCmd struct {
	sandboxInstance

	For *duration `help:"The ban ends after this time of the sandbox clock (default: never)." placeholder:"DURATION"`
}

// Help implements kong.HelpProvider.
func (sandboxBanCmd) Help() string {
	return `For a time the instance is restricted, and comes back by itself; else it is banned until portaria sandbox reconnect.

  portaria sandbox ban shop
  portaria sandbox ban shop --for 24h`
}

// Run implements the command.
func (cmd *sandboxBanCmd) Run(ctx context.Context, c *Config, io streams) error {
	body, err := lastingFor(cmd.For)
	if err != nil {
		return err
	}
	return cmd.control(ctx, c, io, "ban", body)
}
