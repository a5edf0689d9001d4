package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"portaria/wasim"
)

// wasimFaultCmd lets something go wrong.
type wasimFaultCmd struct {
	wasimControl

	Name    string    `arg:"" optional:"" help:"Which fault; absent: list them." placeholder:"NAME"`
	Number  string    `help:"Only the clients of this number." placeholder:"NUMBER"`
	Contact string    `help:"Only messages to this contact, or to this group's address." placeholder:"NUMBER"`
	Code    int       `help:"Which error, 400 to 599." placeholder:"CODE"`
	Ban     int       `help:"With login-failure and code 402: what the ban is for (default: 101)." placeholder:"CODE"`
	Expire  *duration `help:"With login-failure and code 402: how long the ban lasts (default: 1h)." placeholder:"DURATION"`
	Count   int       `xor:"often" help:"How often (default: once, or as often as it comes with --for)." placeholder:"N"`
	Always  bool      `xor:"often" help:"As often as it comes, until cleared."`
	Delay   *duration `help:"How much later." placeholder:"DURATION"`
	For     *duration `help:"How long (default: without end)." placeholder:"DURATION"`
	Clear   bool      `help:"End every fault instead."`
}

// Help implements kong.HelpProvider.
func (wasimFaultCmd) Help() string {
	return `Without a name: every fault with what it does, and those that wait. Connections are struck at once; what is about logins,
messages and questions waits for them.

  portaria wasim fault
  portaria wasim fault drop
  portaria wasim fault ack-error --code 463 --contact 5511912345678 --count 3
  portaria wasim fault login-failure --code 503 --for 30s
  portaria wasim fault outage --for 10s
  portaria wasim fault --clear`
}

// wasimFault is a fault as the control port takes and lists it.
type wasimFault struct {
	Name    string `json:"name"`
	Number  string `json:"number,omitzero"`
	Contact string `json:"contact,omitzero"`
	Code    int    `json:"code,omitzero"`
	Ban     int    `json:"ban,omitzero"`
	Expire  string `json:"expire,omitzero"`
	Count   int    `json:"count,omitzero"`
	Delay   string `json:"delay,omitzero"`
	For     string `json:"for,omitzero"`
}

// wasimFaults is every fault there is, and those that wait.
type wasimFaults struct {
	Kinds []struct {
		Name    string   `json:"name"`
		When    string   `json:"when"`
		Options []string `json:"options"`
		Needs   int      `json:"needs"`
		Help    string   `json:"help"`
		Client  string   `json:"client"`
	} `json:"kinds"`
	Waiting []wasimFault `json:"waiting"`
}

// Run implements the command.
func (cmd *wasimFaultCmd) Run(ctx context.Context, c *Config, io streams) error {
	switch {
	case cmd.Clear && cmd.Name != "":
		return usageError("--clear: not with a fault; it ends all")
	case cmd.Clear:
		return cmd.clear(ctx, c, io)
	case cmd.Count < 0:
		return usageError("--count: must be at least 1; see --always")
	case cmd.Name == "":
		return cmd.list(ctx, c, io)
	default:
		return cmd.inject(ctx, c, io)
	}
}

func (cmd *wasimFaultCmd) inject(ctx context.Context, c *Config, io streams) error {
	var done struct {
		Met     int          `json:"met"`
		Waiting []wasimFault `json:"waiting"`
	}
	order := wasimFault{
		Name: cmd.Name, Number: cmd.Number, Contact: cmd.Contact, Code: cmd.Code, Ban: cmd.Ban, Count: cmd.Count,
		Expire: goDuration(cmd.Expire), Delay: goDuration(cmd.Delay), For: goDuration(cmd.For),
	}
	if cmd.Always {
		order.Count = wasim.UntilCleared
	}
	if err := cmd.ask(ctx, http.MethodPost, "/faults", order, &done); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io, done)
	}
	fmt.Fprintf(io.out, "%s: met %d connection(s) at once; %d fault(s) wait\n", cmd.Name, done.Met, len(done.Waiting))
	return nil
}

func (cmd *wasimFaultCmd) clear(ctx context.Context, c *Config, io streams) error {
	if err := cmd.ask(ctx, http.MethodDelete, "/faults", nil, nil); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io, map[string]bool{"cleared": true})
	}
	fmt.Fprintln(io.out, "No fault is left.")
	return nil
}

func (cmd *wasimFaultCmd) list(ctx context.Context, c *Config, io streams) error {
	var faults wasimFaults
	if err := cmd.ask(ctx, http.MethodGet, "/faults", nil, &faults); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io, faults)
	}
	for _, k := range faults.Kinds {
		fmt.Fprintf(io.out, "%s, %s%s\n  server: %s\n  client: %s\n", k.Name, k.When, flagsOf(k.Options, k.Needs), k.Help, k.Client)
	}
	for _, f := range faults.Waiting {
		fmt.Fprintf(io.out, "waits: %s\n", f)
	}
	return nil
}

// flagsOf shows the flags of a fault, those that may be left out in brackets.
func flagsOf(options []string, needs int) string {
	var out strings.Builder
	for i, name := range options {
		if i < needs {
			out.WriteString(" --" + name)
		} else {
			out.WriteString(" [--" + name + "]")
		}
	}
	return out.String()
}

// String shows a fault as the flags that order it.
func (f wasimFault) String() string {
	out := f.Name
	if f.Count == wasim.UntilCleared {
		out, f.Count = out+" --always", 0
	}
	for _, part := range []struct{ flag, value string }{
		{"number", f.Number},
		{"contact", f.Contact},
		{"code", number(f.Code)},
		{"ban", number(f.Ban)},
		{"expire", f.Expire},
		{"count", number(f.Count)},
		{"delay", f.Delay},
		{"for", f.For},
	} {
		if part.value != "" {
			out += " --" + part.flag + " " + part.value
		}
	}
	return out
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// goDuration is how the control port reads a duration.
func goDuration(d *duration) string {
	if d == nil {
		return ""
	}
	return time.Duration(*d).String()
}
