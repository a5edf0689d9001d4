package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"portaria/auth"
	"portaria/messaging"
	"portaria/store"
)

// keysCreateCmd makes a key.
type keysCreateCmd struct {
	Name              string    `required:"" help:"What the key is for, in words." placeholder:"NAME"`
	Environment       string    `required:"" enum:"test,live" help:"test or live." placeholder:"ENV"`
	Scope             []string  `required:"" help:"What the key may do, as whatsapp:send; repeatable." placeholder:"SCOPE"`
	Instance          []string  `help:"An instance that the key opens, by id or name; repeatable." placeholder:"INSTANCE"`
	AllInstances      bool      `help:"The key opens all instances of its environment, present and future."`
	RatePerMinute     *int64    `help:"Requests a minute, up to 10,000,000 (default: 600)." placeholder:"N"`
	RateBurst         *int64    `help:"Requests at once, up to 1,000,000 (default: a sixth of the rate)." placeholder:"N"`
	MessagesPerMinute *int64    `help:"Recipients a minute (default: no limit of its own)." placeholder:"N"`
	Expires           *duration `help:"How long the key lives, as 90d (default: until it is revoked)." placeholder:"DURATION"`
}

// Help implements kong.HelpProvider.
func (keysCreateCmd) Help() string {
	return `The token is shown once and cannot be shown again. Scopes: ` + scopeList() + `,
resource:* and *.

  portaria keys create --name ci --environment test --scope '*' --all-instances
  portaria keys create --name alerts --environment live --scope whatsapp:send --instance shop --expires 90d
  portaria keys create --name crm --environment live --scope whatsapp:send --scope messages:read --instance shop --json`
}

func scopeList() string {
	names := make([]string, len(auth.AllScopes))
	for i, s := range auth.AllScopes {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// draft turns the flags into a key to be made; instances come from the store.
func (cmd *keysCreateCmd) draft() (auth.NewKey, error) {
	draft := auth.NewKey{
		Environment: messaging.Environment(cmd.Environment), Name: cmd.Name, Scopes: cmd.Scope, AllInstances: cmd.AllInstances,
	}
	switch {
	case cmd.AllInstances && len(cmd.Instance) > 0:
		return draft, usageError("--instance and --all-instances exclude each other: give one")
	case !cmd.AllInstances && len(cmd.Instance) == 0:
		return draft, usageError("--instance: say which instances the key opens (repeatable), or --all-instances")
	case cmd.Expires != nil && *cmd.Expires == 0:
		return draft, usageError("--expires: must be longer than nothing")
	}
	// In the draft a zero stands for the default; on the command line it is a mistake.
	for _, n := range []struct {
		flag string
		from *int64
		to   *int64
	}{
		{"--rate-per-minute", cmd.RatePerMinute, &draft.RatePerMinute},
		{"--rate-burst", cmd.RateBurst, &draft.RateBurst},
		{"--messages-per-minute", cmd.MessagesPerMinute, &draft.MessagesPerMinute},
	} {
		if n.from == nil {
			continue
		}
		if *n.to = *n.from; *n.from < 1 {
			return draft, usageError(n.flag + ": must be at least 1")
		}
	}
	if cmd.Expires != nil {
		draft.ExpiresIn = time.Duration(*cmd.Expires)
	}
	return draft, nil
}

// Run implements the command.
func (cmd *keysCreateCmd) Run(ctx context.Context, c *Config, io streams) error {
	draft, err := cmd.draft()
	if err != nil {
		return err
	}
	return c.withStore(ctx, io, func(s *store.Store) error {
		w, into, err := c.workspaceToFill(ctx, s)
		if err != nil {
			return err
		}
		keys, err := c.keysOf(into)
		if err != nil {
			return err
		}
		draft.Workspace = w.ID
		for _, ref := range cmd.Instance {
			i, err := findInstance(ctx, s, w.ID, cmd.Environment, ref)
			if err != nil {
				return err
			}
			draft.Instances = append(draft.Instances, i.ID)
		}
		key, token, err := keys.Create(ctx, draft)
		if err != nil {
			return asFlags(err)
		}
		v := viewKey(key)
		v.Token = token.Reveal()
		if c.JSON {
			return printJSON(io, v)
		}
		fmt.Fprintf(io.out, "Created %s key %q (%s).\n", key.Environment, key.Name, key.ID)
		return printToken(io.out, token)
	})
}

// printToken shows a new token, the only time.
func printToken(out io.Writer, token auth.Token) error {
	_, err := fmt.Fprintf(out, "\nIts token is shown once; store it now:\n\n%s\n", token.Reveal())
	return err
}
