package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/store"
)

// keysCmd keeps keys. No route of the API can do what it does.
type keysCmd struct {
	Create keysCreateCmd `cmd:"" help:"Make a key and print its token, once."`
	List   keysListCmd   `cmd:"" help:"List the keys, newest first."`
	Show   keysShowCmd   `cmd:"" help:"Show a key."`
	Revoke keysRevokeCmd `cmd:"" help:"End a key at once."`
	Rotate keysRotateCmd `cmd:"" help:"Replace a key by a successor with the same rights."`
	Check  keysCheckCmd  `cmd:"" help:"Read a token from standard input and say which key it is."`
}

// duration is a flag as API.md writes durations: a number and a unit.
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := messaging.ParseDuration(string(text))
	if err != nil {
		return errors.New("must be a whole number and a unit (ms, s, m, h, d), as in 10s or 90d")
	}
	*d = duration(parsed)
	return nil
}

// withKeys opens the database and runs f with its keys.
func (c *Config) withKeys(ctx context.Context, io streams, f func(s *store.Store, keys *auth.Keys) error) error {
	return c.withStore(ctx, io, func(s *store.Store) error {
		keys, err := c.keysOf(s)
		if err != nil {
			return err
		}
		return f(s, keys)
	})
}

// keysOf returns the service of the keys in a store.
func (c *Config) keysOf(s auth.KeyStore) (*auth.Keys, error) {
	return auth.NewKeys(auth.KeysOptions{Store: s, BcryptCost: c.BcryptCost})
}

// keysListCmd lists keys.
type keysListCmd struct {
	Environment string `enum:"test,live," default:"" help:"Only test or live." placeholder:"ENV"`
}

// Run implements the command.
func (cmd *keysListCmd) Run(ctx context.Context, c *Config, io streams) error {
	return c.withKeys(ctx, io, func(s *store.Store, keys *auth.Keys) error {
		w, err := c.workspace(ctx, s)
		if err != nil {
			return err
		}
		all, err := keys.List(ctx, w.ID)
		if err != nil {
			return err
		}
		views := []keyView{}
		rows := [][]string{{"ID", "NAME", "ENVIRONMENT", "STATE", "OPENS", "SCOPES", "LAST USED"}}
		for _, k := range all {
			if cmd.Environment != "" && string(k.Environment) != cmd.Environment {
				continue
			}
			v := viewKey(k)
			views = append(views, v)
			rows = append(rows, []string{
				k.ID, k.Name, string(k.Environment), string(k.State), opens(k), strings.Join(k.Scopes, " "), v.LastUsedAt.String(),
			})
		}
		if c.JSON {
			return printJSON(io, views)
		}
		return table(io.out, rows)
	})
}

// opens says which instances a key opens.
func opens(k auth.Key) string {
	if k.AllInstances {
		return "all instances"
	}
	names := make([]string, len(k.Instances))
	for i, allowed := range k.Instances {
		names[i] = allowed.Name
	}
	return orDash(strings.Join(names, ","))
}

// keyRef names one key on the command line.
type keyRef struct {
	Key string `arg:"" help:"The key's id, key_…"`
}

// id refuses a token in the place of an id: the arguments of a process can be
// read by others.
func (r keyRef) id() (string, error) {
	if !strings.HasPrefix(r.Key, string(messaging.KeyPrefix)) {
		return "", usageError("<key>: must be a key's id, key_… (see `portaria keys list`), and never its token")
	}
	return r.Key, nil
}

// run opens the database and runs f with the key's id and its workspace's.
func (r keyRef) run(ctx context.Context, c *Config, io streams, f func(keys *auth.Keys, workspace, id string) error) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	return c.withKeys(ctx, io, func(s *store.Store, keys *auth.Keys) error {
		w, err := c.workspace(ctx, s)
		if err != nil {
			return err
		}
		err = f(keys, w.ID, id)
		if errors.Is(err, fault.ErrNotFound) {
			return fault.ErrNotFound.Saying(fmt.Sprintf("There is no key %q in the workspace %q: see `portaria keys list`.", id, c.Workspace))
		}
		return err
	})
}

// keysShowCmd shows a key.
type keysShowCmd struct{ keyRef }

// Run implements the command.
func (cmd *keysShowCmd) Run(ctx context.Context, c *Config, io streams) error {
	return cmd.run(ctx, c, io, func(keys *auth.Keys, workspace, id string) error {
		key, err := keys.Show(ctx, workspace, id)
		if err != nil {
			return err
		}
		return printKey(c, io, key)
	})
}

// keysRevokeCmd ends a key.
type keysRevokeCmd struct{ keyRef }

// Help implements kong.HelpProvider.
func (keysRevokeCmd) Help() string {
	return `A running server refuses the key within a second. To revoke it again changes nothing.

  portaria keys revoke key_4fT0aXk2Lq9Z`
}

// Run implements the command.
func (cmd *keysRevokeCmd) Run(ctx context.Context, c *Config, io streams) error {
	return cmd.run(ctx, c, io, func(keys *auth.Keys, workspace, id string) error {
		key, err := keys.Revoke(ctx, workspace, id)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(io, viewKey(key))
		}
		_, err = fmt.Fprintf(io.out, "Revoked %s key %q (%s).\n", key.Environment, key.Name, key.ID)
		return err
	})
}

// keysRotateCmd replaces a key.
type keysRotateCmd struct {
	keyRef
	Grace duration `default:"24h" help:"How long the old key still works; 0s: not at all." placeholder:"DURATION"`
}

// Help implements kong.HelpProvider.
func (keysRotateCmd) Help() string {
	return `The successor has the same scopes, instances and limits, and shares the old key's buckets and idempotency keys.

  portaria keys rotate key_4fT0aXk2Lq9Z
  portaria keys rotate key_4fT0aXk2Lq9Z --grace 7d --json`
}

// Run implements the command.
func (cmd *keysRotateCmd) Run(ctx context.Context, c *Config, io streams) error {
	return cmd.run(ctx, c, io, func(keys *auth.Keys, workspace, id string) error {
		key, token, err := keys.Rotate(ctx, workspace, id, time.Duration(cmd.Grace))
		if err != nil {
			return asFlags(err)
		}
		old, err := keys.Show(ctx, workspace, id)
		if err != nil {
			return err
		}
		v, replaced := viewKey(key), viewKey(old)
		v.Token, v.Replaces = token.Reveal(), &replaced
		if c.JSON {
			return printJSON(io, v)
		}
		until := "is revoked"
		if old.State == auth.KeyActive {
			until = "works until " + replaced.ExpiresAt.String()
		}
		fmt.Fprintf(io.out, "Created %s key %q (%s); the old one, %s, %s.\n", key.Environment, key.Name, key.ID, old.ID, until)
		return printToken(io.out, token)
	})
}

// keysCheckCmd says which key a token is.
type keysCheckCmd struct{}

// Help implements kong.HelpProvider.
func (keysCheckCmd) Help() string {
	return `The token is never an argument, for those can be read by other users of the machine. Ends with 1 when the token is
no key's, and when its key is revoked or has expired.

  portaria keys check < token.txt
  printenv PORTARIA_API_KEY | portaria keys check --json`
}

// maxTokenInput is more than any token with white space around it.
const maxTokenInput = 4096

// Run implements the command.
func (keysCheckCmd) Run(ctx context.Context, c *Config, std streams) error {
	text, err := io.ReadAll(io.LimitReader(std.in, maxTokenInput))
	if err != nil {
		return fmt.Errorf("read the token: %w", err)
	}
	return c.withKeys(ctx, std, func(_ *store.Store, keys *auth.Keys) error {
		key, err := keys.Check(ctx, string(text))
		if err != nil {
			return err
		}
		if err := printKey(c, std, key); err != nil {
			return err
		}
		if key.State != auth.KeyActive {
			return toldError(fmt.Sprintf("This key is %s.", key.State))
		}
		return nil
	})
}

// printKey prints one key without its secret.
func printKey(c *Config, io streams, k auth.Key) error {
	v := viewKey(k)
	if c.JSON {
		return printJSON(io, v)
	}
	messages := "no limit of its own"
	if k.MessagesPerMinute > 0 {
		messages = fmt.Sprintf("%d a minute", k.MessagesPerMinute)
	}
	return table(io.out, [][]string{
		{"id", k.ID},
		{"name", k.Name},
		{"token", k.Display},
		{"environment", string(k.Environment)},
		{"state", string(k.State)},
		{"scopes", strings.Join(k.Scopes, " ")},
		{"opens", opens(k)},
		{"requests", fmt.Sprintf("%d a minute, %d at once", k.RatePerMinute, k.RateBurst)},
		{"messages", messages},
		{"created", v.CreatedAt.String()},
		{"expires", v.ExpiresAt.String()},
		{"revoked", v.RevokedAt.String()},
		{"last used", v.LastUsedAt.String()},
		{"successor", orDash(k.SuccessorID)},
	})
}
