package main

import (
	"context"
	"errors"
	"fmt"

	"portaria/store"
)

// migrateCmd moves the schema.
type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Bring the database to this version's schema."`
	Status migrateStatusCmd `cmd:"" help:"Show where the database stands."`
}

// schemaView is where a database stands.
type schemaView struct {
	Engine  string `json:"engine"`
	Version int64  `json:"version"`
	Newest  int64  `json:"newest"`
	Pending int64  `json:"pending"`
}

func (v schemaView) print(c *Config, io streams) error {
	if c.JSON {
		return printJSON(io, v)
	}
	said := "up to date"
	switch {
	case v.Pending > 0:
		said = fmt.Sprintf("%d to go: run `portaria migrate up`, or start the server", v.Pending)
	case v.Pending < 0:
		said = "newer than this program: run the newer version of Portaria"
	}
	_, err := fmt.Fprintf(io.out, "%s schema %d of %d, %s\n", v.Engine, v.Version, v.Newest, said)
	return err
}

// migrateUpCmd migrates.
type migrateUpCmd struct{}

// Help implements kong.HelpProvider.
func (migrateUpCmd) Help() string {
	return `The server migrates by itself when it starts; use this to do it beforehand, with the old server stopped.

  portaria migrate up
  portaria migrate up --database-url postgres://portaria@localhost/portaria`
}

// Run implements the command.
func (migrateUpCmd) Run(ctx context.Context, c *Config, io streams) error {
	return c.moveSchema(ctx, io, (*store.Store).Migrate)
}

// migrateStatusCmd looks.
type migrateStatusCmd struct{}

// Run implements the command.
func (migrateStatusCmd) Run(ctx context.Context, c *Config, io streams) error {
	return c.moveSchema(ctx, io, func(*store.Store, context.Context) error { return nil })
}

// moveSchema opens the database as it is, moves its schema and prints where it
// stands.
func (c *Config) moveSchema(ctx context.Context, io streams, move func(*store.Store, context.Context) error) error {
	s, err := c.connect(ctx, c.logger(io.err))
	if err != nil {
		return err
	}
	view := schemaView{Engine: s.Engine()}
	if err = move(s, ctx); err == nil {
		view.Version, view.Newest, err = s.Schema(ctx)
	}
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	view.Pending = view.Newest - view.Version
	return view.print(c, io)
}
