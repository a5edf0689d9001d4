package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/messaging"
)

// sendCmd sends one message. It is a client: it knows nothing but the API.
type sendCmd struct {
	apiFlags

	To             string    `required:"" help:"A number in international form, or a WhatsApp id." placeholder:"RECIPIENT"`
	Text           string    `required:"" help:"What to say." placeholder:"TEXT"`
	Instance       string    `help:"Instance to send from, by id or name; not needed with a key locked to one." placeholder:"INSTANCE"`
	Wait           string    `enum:"sent,delivered," default:"" help:"Come back once the message is sent or delivered, or has failed." placeholder:"STATUS"`
	Timeout        duration  `default:"10s" help:"How long to wait with --wait, at most 30s." placeholder:"DURATION"`
	IdempotencyKey string    `help:"Repeating the command with the same one sends nothing twice." placeholder:"KEY"`
	SendAt         string    `help:"When to send, as 2026-01-31T12:00:00Z." placeholder:"TIME"`
	ExpiresIn      *duration `help:"How long the message may wait for the network, 1s to 30d (default: 24h)." placeholder:"DURATION"`
	Priority       string    `enum:"high,normal,low," default:"" help:"high, normal or low." placeholder:"PRIORITY"`
	Metadata       string    `help:"A JSON object of your own." placeholder:"JSON"`
}

// Help implements kong.HelpProvider.
func (sendCmd) Help() string {
	return `Ends with 0 once the message is accepted: from then on no crash loses it. With --wait it ends with 1 when the message
failed, expired or was canceled.

  export PORTARIA_API_KEY=sk_test_…
  portaria send --to +15005550006 --text 'Hello' --wait delivered
  portaria send --instance shop --to +5511912345678 --text 'Your order is ready' --idempotency-key order-1234 --json`
}

// outgoing is the body of the request.
type outgoing struct {
	To        string         `json:"to"`
	Text      string         `json:"text"`
	SendAt    string         `json:"send_at,omitzero"`
	ExpiresIn string         `json:"expires_in,omitzero"`
	Priority  string         `json:"priority,omitzero"`
	Metadata  jsontext.Value `json:"metadata,omitzero"`
}

// Run implements the command.
func (cmd *sendCmd) Run(ctx context.Context, c *Config, io streams) error {
	api, body, err := cmd.prepare()
	if err != nil {
		return err
	}
	path := "/v1/messages"
	if cmd.Instance != "" {
		path = "/v1/instances/" + url.PathEscape(cmd.Instance) + "/messages"
	}
	if cmd.Wait != "" {
		path += "?wait=" + cmd.Wait + "&timeout=" + messaging.FormatDuration(time.Duration(cmd.Timeout))
	}
	data, err := api.post(ctx, path, cmd.IdempotencyKey, body)
	if err != nil {
		return err
	}
	return cmd.report(c, io, data)
}

// prepare checks what can be checked without the server.
func (cmd *sendCmd) prepare() (*apiClient, []byte, error) {
	if cmd.Wait != "" && time.Duration(cmd.Timeout) > 30*time.Second {
		return nil, nil, usageError("--timeout: must be at most 30s")
	}
	api, err := cmd.client(time.Duration(cmd.Timeout))
	if err != nil {
		return nil, nil, err
	}
	body := outgoing{To: cmd.To, Text: cmd.Text, SendAt: cmd.SendAt, Priority: cmd.Priority}
	if cmd.ExpiresIn != nil {
		body.ExpiresIn = messaging.FormatDuration(time.Duration(*cmd.ExpiresIn))
	}
	if cmd.Metadata != "" {
		body.Metadata = jsontext.Value(cmd.Metadata)
		if body.Metadata.Compact() != nil || body.Metadata.Kind() != '{' {
			return nil, nil, usageError("--metadata: must be a JSON object")
		}
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, nil, usageError("--text: must be valid UTF-8")
	}
	return api, encoded, nil
}

// report prints the message as the server answered it.
func (cmd *sendCmd) report(c *Config, io streams, data jsontext.Value) error {
	var m struct {
		ID     string           `json:"id"`
		Status messaging.Status `json:"status"`
		To     struct {
			WAID string `json:"wa_id"`
		} `json:"to"`
		Error *messaging.SendError `json:"error"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return errStrangeAnswer.Because(err)
	}
	if c.JSON {
		if err := printJSON(io, data); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(io.out, "%s to %s: %s\n", m.ID, m.To.WAID, m.Status)
	}
	switch {
	case m.Status.Ended() && m.Error != nil:
		return toldError(fmt.Sprintf("the message is %s: %s (%s)", m.Status, m.Error.Message, m.Error.Code))
	case m.Status.Ended():
		return toldError(fmt.Sprintf("the message is %s", m.Status))
	case cmd.Wait != "" && !m.Status.Reached(messaging.Status(cmd.Wait)):
		fmt.Fprintf(io.err, "portaria: accepted, but not %s yet; it goes on by itself\n", cmd.Wait)
	}
	return nil
}
