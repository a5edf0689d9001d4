package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// sandboxClockCmd shows or sets the clock.
type sandboxClockCmd struct {
	apiFlags

	Mode string `arg:"" optional:"" enum:"real,instant,frozen," default:"" help:"real, instant or frozen; absent: only show it." placeholder:"MODE"`
}

// Help implements kong.HelpProvider.
func (sandboxClockCmd) Help() string {
	return `The workspace's test data lives by this clock: receipts, retries, send_at and expiry. Real runs as time does; instant does at
once what is due later; frozen stands still until portaria sandbox advance. It takes a key that opens all instances; to look, any.

  portaria sandbox clock
  portaria sandbox clock frozen`
}

// Run implements the command.
func (cmd *sandboxClockCmd) Run(ctx context.Context, c *Config, io streams) error {
	method, body := http.MethodGet, any(nil)
	if cmd.Mode != "" {
		method, body = http.MethodPut, map[string]string{"mode": cmd.Mode}
	}
	data, err := cmd.ask(ctx, method, "/v1/sandbox/clock", body)
	return printClock(c, io, data, err)
}

// sandboxAdvanceCmd moves the clock.
type sandboxAdvanceCmd struct {
	apiFlags

	By duration `arg:"" help:"How far, as 90s or 2h; at most 366 days." placeholder:"DURATION"`
}

// Help implements kong.HelpProvider.
func (sandboxAdvanceCmd) Help() string {
	return `All that becomes due on the way happens, in order, each at its time.

  portaria sandbox advance 90s`
}

// Run implements the command.
func (cmd *sandboxAdvanceCmd) Run(ctx context.Context, c *Config, io streams) error {
	body := map[string]float64{"seconds": time.Duration(cmd.By).Seconds()}
	data, err := cmd.ask(ctx, http.MethodPost, "/v1/sandbox/clock/advance", body)
	return printClock(c, io, data, err)
}

func printClock(c *Config, io streams, data jsontext.Value, err error) error {
	if err != nil || c.JSON {
		return printData(io, data, err)
	}
	var clock struct {
		Mode string `json:"mode"`
		Now  string `json:"now"`
	}
	if json.Unmarshal(data, &clock) != nil {
		return errStrangeAnswer
	}
	_, err = fmt.Fprintf(io.out, "%s, %s\n", printable(clock.Mode), printable(clock.Now))
	return err
}

// sandboxMessagesCmd lists carriages.
type sandboxMessagesCmd struct {
	apiFlags

	Instance string `help:"Only of this instance, by id or name." placeholder:"INSTANCE"`
	Limit    int    `default:"50" help:"How many of the newest, at most 200." placeholder:"N"`
}

// Help implements kong.HelpProvider.
func (sandboxMessagesCmd) Help() string {
	return `One row for each time that the network took a message: what contacts have got.

  portaria sandbox messages
  portaria sandbox messages --instance shop --limit 1 --json`
}

// Run implements the command.
func (cmd *sandboxMessagesCmd) Run(ctx context.Context, c *Config, io streams) error {
	if cmd.Limit < 1 || cmd.Limit > 200 {
		return usageError("--limit: must lie between 1 and 200")
	}
	query := url.Values{"limit": {strconv.Itoa(cmd.Limit)}}
	if cmd.Instance != "" {
		query.Set("instance", cmd.Instance)
	}
	data, err := cmd.ask(ctx, http.MethodGet, "/v1/sandbox/messages?"+query.Encode(), nil)
	if err != nil || c.JSON {
		return printData(io, data, err)
	}
	var carried []struct {
		MessageID  string      `json:"message_id"`
		InstanceID string      `json:"instance_id"`
		To         toldAddress `json:"to"`
		Type       string      `json:"type"`
		Content    toldContent `json:"content"`
		CarriedAt  string      `json:"carried_at"`
	}
	if json.Unmarshal(data, &carried) != nil {
		return errStrangeAnswer
	}
	rows := [][]string{{"CARRIED", "MESSAGE", "INSTANCE", "TO", "TYPE", "TEXT"}}
	for _, row := range carried {
		rows = append(rows, []string{
			printable(row.CarriedAt), printable(row.MessageID), printable(row.InstanceID), printable(row.To.WAID), printable(row.Type), shortened(row.Content.text()),
		})
	}
	return table(io.out, rows)
}

// sandboxResetCmd clears the sandbox.
type sandboxResetCmd struct{ apiFlags }

// Help implements kong.HelpProvider.
func (sandboxResetCmd) Help() string {
	return `Messages, events, bulks, files, runs and opt-outs of the workspace's test environment go; keys, instances and webhooks stay. Live
data is never touched. It takes a key that opens all instances.

  portaria sandbox reset`
}

// resetPatience is how long a reset may take.
const resetPatience = time.Minute

// Run implements the command.
func (cmd *sandboxResetCmd) Run(ctx context.Context, c *Config, io streams) error {
	api, err := cmd.client(resetPatience)
	if err != nil {
		return err
	}
	data, err := api.post(ctx, "/v1/sandbox/reset", "", []byte("{}"))
	if err != nil || c.JSON {
		return printData(io, data, err)
	}
	_, err = fmt.Fprintln(io.out, "The sandbox is empty.")
	return err
}
