package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"portaria/instances"
	"portaria/messaging"
	"portaria/sandbox"
	"portaria/store"
)

// instancesCmd keeps instances.
type instancesCmd struct {
	Create     instancesCreateCmd     `cmd:"" help:"Make an instance."`
	List       instancesListCmd       `cmd:"" help:"List the instances, newest first."`
	Show       instancesShowCmd       `cmd:"" help:"Show an instance."`
	Pair       instancesPairCmd       `cmd:"" help:"Link a phone to an instance, by a QR in the terminal or by a code."`
	Connect    instancesConnectCmd    `cmd:"" help:"Connect an instance to which a phone is linked."`
	Disconnect instancesDisconnectCmd `cmd:"" help:"Disconnect an instance; its phone stays linked."`
	Restart    instancesRestartCmd    `cmd:"" help:"Make an instance's connection anew."`
	Logout     instancesLogoutCmd     `cmd:"" help:"Unlink an instance's phone."`
	Delete     instancesDeleteCmd     `cmd:"" help:"Delete an instance and cancel what waits for it."`
}

// instancesCreateCmd makes an instance.
type instancesCreateCmd struct {
	Name        string `required:"" help:"1 to 64 of a-z 0-9 - _, unique in its environment; never changed." placeholder:"NAME"`
	Environment string `required:"" enum:"test,live" help:"test or live." placeholder:"ENV"`
	Unpaired    bool   `help:"Begin without a phone, to rehearse pairing; test only."`
	Metadata    string `help:"A JSON object of your own." placeholder:"JSON"`
}

// Help implements kong.HelpProvider.
func (instancesCreateCmd) Help() string {
	return `A test instance is connected to the sandbox at once. A live one waits to be linked to a phone.

  portaria instances create --name support --environment test
  portaria instances create --name shop --environment live --metadata '{"client":"acme"}' --json`
}

// Run implements the command.
func (cmd *instancesCreateCmd) Run(ctx context.Context, c *Config, io streams) error {
	metadata := jsontext.Value(cmd.Metadata)
	if len(metadata) > 0 && (metadata.Compact() != nil || metadata.Kind() != '{') {
		return usageError("--metadata: must be a JSON object")
	}
	return c.withStore(ctx, io, func(s *store.Store) error {
		w, into, err := c.workspaceToFill(ctx, s)
		if err != nil {
			return err
		}
		m, closeManager, err := managerBeside(into, c.logger(io.err))
		if err != nil {
			return err
		}
		defer closeManager()
		tenancy := messaging.NewTenancy(w.ID, messaging.Environment(cmd.Environment), messaging.AllInstances())
		i, err := m.Create(ctx, tenancy, instances.Draft{Name: cmd.Name, Metadata: metadata, Unpaired: cmd.Unpaired})
		if err != nil {
			return asFlags(err)
		}
		return printInstance(c, io, "Created", i)
	})
}

// managerBeside returns a manager without channels, for a command beside a
// server: it writes, and the server sees the change within a quarter of a second.
func managerBeside(s filling, log *slog.Logger) (m *instances.Manager, done func(), err error) {
	clocks, err := sandbox.NewClocks(sandbox.ClocksOptions{Store: s, Logger: log})
	if err != nil {
		return nil, nil, err
	}
	m = instances.NewManager(instances.Options{Store: s, Logger: log, Now: func(t messaging.Tenancy, _ string) time.Time {
		if t.Environment() == messaging.Test {
			return clocks.For(t.Workspace()).Now()
		}
		return time.Now()
	}})
	return m, func() { _ = clocks.Close() }, nil // nothing was asked of the clocks that could fail to end
}

// instancesListCmd lists instances.
type instancesListCmd struct {
	Environment string `enum:"test,live," default:"" help:"Only test or live." placeholder:"ENV"`
}

// Run implements the command.
func (cmd *instancesListCmd) Run(ctx context.Context, c *Config, io streams) error {
	return c.withStore(ctx, io, func(s *store.Store) error {
		w, err := c.workspace(ctx, s)
		if err != nil {
			return err
		}
		all, err := s.AllInstances(ctx)
		if err != nil {
			return err
		}
		slices.Reverse(all)
		views, proxies := []instanceView{}, c.proxies()
		rows := [][]string{{"NAME", "ID", "ENVIRONMENT", "STATE", "PHONE"}}
		for _, i := range all {
			if i.WorkspaceID != w.ID || cmd.Environment != "" && string(i.Environment) != cmd.Environment {
				continue
			}
			views = append(views, viewInstance(i, proxies))
			rows = append(rows, []string{i.Name, i.ID, string(i.Environment), string(i.State), orDash(i.Phone)})
		}
		if c.JSON {
			return printJSON(io, views)
		}
		return table(io.out, rows)
	})
}

// instanceRef names one instance on the command line.
type instanceRef struct {
	Instance    string `arg:"" help:"The instance's id or name."`
	Environment string `enum:"test,live," default:"" help:"test or live; needed when both have an instance of that name." placeholder:"ENV"`
}

// find looks the instance up, in both environments when none is said.
func (r instanceRef) find(ctx context.Context, s *store.Store, workspace string) (messaging.Instance, error) {
	return findInstance(ctx, s, workspace, r.Environment, r.Instance)
}

// findInstance finds an instance by id or name. An empty environment stands
// for both, unless the name is in both.
func findInstance(ctx context.Context, s *store.Store, workspace, environment, ref string) (messaging.Instance, error) {
	var found []messaging.Instance
	for _, e := range []messaging.Environment{messaging.Test, messaging.Live} {
		if environment != "" && environment != string(e) {
			continue
		}
		i, err := s.FindInstance(ctx, workspace, e, ref)
		if errors.Is(err, instances.ErrNotFound) {
			continue
		}
		if err != nil {
			return i, err
		}
		found = append(found, i)
	}
	switch len(found) {
	case 0:
		return messaging.Instance{}, instances.ErrNotFound.Saying(
			fmt.Sprintf("There is no %sinstance %q: see `portaria instances list`.", withSpace(environment), redact(ref)))
	case 1:
		return found[0], nil
	default:
		return messaging.Instance{}, usageError(fmt.Sprintf("--environment: say test or live, for both have an instance %q", ref))
	}
}

func withSpace(word string) string {
	if word == "" {
		return ""
	}
	return word + " "
}

// with finds the instance in the workspace of the settings and gives it to f,
// with the tenancy of an operator.
func (r instanceRef) with(
	ctx context.Context, c *Config, io streams, f func(s *store.Store, t messaging.Tenancy, i messaging.Instance) error,
) error {
	return c.withStore(ctx, io, func(s *store.Store) error {
		w, err := c.workspace(ctx, s)
		if err != nil {
			return err
		}
		i, err := r.find(ctx, s, w.ID)
		if err != nil {
			return err
		}
		return f(s, messaging.NewTenancy(w.ID, i.Environment, messaging.AllInstances()), i)
	})
}

// withManager is with for commands that change the instance beside a server.
func (r instanceRef) withManager(
	ctx context.Context, c *Config, io streams,
	f func(s *store.Store, m *instances.Manager, t messaging.Tenancy, i messaging.Instance) error,
) error {
	return r.with(ctx, c, io, func(s *store.Store, t messaging.Tenancy, i messaging.Instance) error {
		m, closeManager, err := managerBeside(filling{Store: s}, c.logger(io.err))
		if err != nil {
			return err
		}
		defer closeManager()
		return f(s, m, t, i)
	})
}

// instancesShowCmd shows an instance.
type instancesShowCmd struct{ instanceRef }

// Help implements kong.HelpProvider.
func (instancesShowCmd) Help() string {
	return `
  portaria instances show support
  portaria instances show support --environment live --json`
}

// Run implements the command.
func (cmd *instancesShowCmd) Run(ctx context.Context, c *Config, io streams) error {
	return cmd.with(ctx, c, io, func(_ *store.Store, _ messaging.Tenancy, i messaging.Instance) error {
		return printInstance(c, io, "", i)
	})
}

// instancesDeleteCmd deletes an instance.
type instancesDeleteCmd struct{ instanceRef }

// Help implements kong.HelpProvider.
func (instancesDeleteCmd) Help() string {
	return `Its messages stay readable. What waits to be sent is canceled by the server: at once when it runs, else when
it starts. Keys lose it from their lists, and a new instance under the old name is not in them.

  portaria instances delete support --environment test`
}

// Run implements the command.
func (cmd *instancesDeleteCmd) Run(ctx context.Context, c *Config, io streams) error {
	return cmd.withManager(ctx, c, io, func(_ *store.Store, m *instances.Manager, t messaging.Tenancy, i messaging.Instance) error {
		i, err := m.Delete(ctx, t, i.ID)
		if err != nil {
			return err
		}
		return printInstance(c, io, "Deleted", i)
	})
}

// printInstance prints one instance; done says what was done with it.
func printInstance(c *Config, io streams, done string, i messaging.Instance) error {
	v := viewInstance(i, c.proxies())
	if c.JSON {
		return printJSON(io, v)
	}
	if done != "" {
		_, err := fmt.Fprintf(io.out, "%s %s instance %s (%s), %s.\n", done, i.Environment, i.Name, i.ID, i.State)
		return err
	}
	return table(io.out, [][]string{
		{"id", i.ID},
		{"name", i.Name},
		{"environment", string(i.Environment)},
		{"driver", string(i.Driver)},
		{"desired", string(i.Desired)},
		{"state", string(i.State)},
		{"reason", orDash(i.StateReason)},
		{"since", v.StateSince.String()},
		{"phone", orDash(i.Phone)},
		{"metadata", string(i.Metadata)},
		{"settings", string(v.Settings)},
		{"created", v.CreatedAt.String()},
	})
}
