package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"portaria/messaging"
	"portaria/store"
)

// workspacesCmd keeps workspaces.
type workspacesCmd struct {
	Create workspacesCreateCmd `cmd:"" help:"Make a workspace."`
	List   workspacesListCmd   `cmd:"" help:"List the workspaces, oldest first."`
}

// workspacesCreateCmd makes a workspace.
type workspacesCreateCmd struct {
	Name string `required:"" help:"1 to 64 of a-z 0-9 - _, unique; begins with a letter or digit." placeholder:"NAME"`
}

// Help implements kong.HelpProvider.
func (workspacesCreateCmd) Help() string {
	return `A workspace has its own instances, keys and messages; nothing of another one can be seen from it.

  portaria workspaces create --name acme
  portaria keys create --workspace acme --name ci --environment test --scope '*' --all-instances`
}

var workspaceName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// Run implements the command.
func (cmd *workspacesCreateCmd) Run(ctx context.Context, c *Config, io streams) error {
	if !workspaceName.MatchString(cmd.Name) || strings.HasPrefix(cmd.Name, string(messaging.WorkspacePrefix)) {
		return usageError("--name: must be 1 to 64 of a-z 0-9 - _, begin with a letter or digit, and not with wsp_")
	}
	return c.withStore(ctx, io, func(s *store.Store) error {
		w := newWorkspace(cmd.Name)
		if err := s.InsertWorkspace(ctx, w); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(io, viewWorkspace(w))
		}
		_, err := fmt.Fprintf(io.out, "Created workspace %s (%s).\n", w.Name, w.ID)
		return err
	})
}

// workspacesListCmd lists workspaces.
type workspacesListCmd struct{}

// Run implements the command.
func (workspacesListCmd) Run(ctx context.Context, c *Config, io streams) error {
	return c.withStore(ctx, io, func(s *store.Store) error {
		all, err := s.Workspaces(ctx)
		if err != nil {
			return err
		}
		views := make([]workspaceView, len(all))
		rows := [][]string{{"NAME", "ID", "CREATED"}}
		for i, w := range all {
			views[i] = viewWorkspace(w)
			rows = append(rows, []string{w.Name, w.ID, instant(w.CreatedAt).String()})
		}
		if c.JSON {
			return printJSON(io, views)
		}
		return table(io.out, rows)
	})
}
