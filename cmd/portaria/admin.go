package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/store"
)

// defaultWorkspace is the workspace that is made where there is none.
const defaultWorkspace = "default"

var errNoWorkspace = fault.New(fault.NotFound, "WORKSPACE_NOT_FOUND",
	"There is no such workspace: see `portaria workspaces list`, and choose one with --workspace.")

// withStore opens the database for an operator's command, runs f and closes it.
func (c *Config) withStore(ctx context.Context, io streams, f func(s *store.Store) error) error {
	s, err := c.openBeside(ctx, c.logger(io.err))
	if err != nil {
		return err
	}
	return errors.Join(f(s), s.Close())
}

// openBeside opens the database beside a server that may be running on it. An
// empty database is migrated. An older one is not: its server may not know the
// new schema, so that is for `migrate up` or the next `serve` to do.
func (c *Config) openBeside(ctx context.Context, log *slog.Logger) (*store.Store, error) {
	s, err := c.connect(ctx, log)
	if err != nil {
		return nil, err
	}
	current, newest, err := s.Schema(ctx)
	switch {
	case err != nil:
	case current > 0 && current < newest:
		err = store.ErrDatabaseOutdated
	case current != newest:
		err = s.Migrate(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// connect opens the database as it is.
func (c *Config) connect(ctx context.Context, log *slog.Logger) (*store.Store, error) {
	url, err := c.databaseURL()
	if err != nil {
		return nil, err
	}
	if url == "" {
		if err := c.prepareDataDir(log); err != nil {
			return nil, err
		}
	}
	return store.Open(ctx, store.Options{DatabaseURL: url, DataDir: c.DataDir, Logger: log})
}

// workspace finds the workspace of the settings. In a database without any,
// the default one need not exist: it stands for an empty one.
func (c *Config) workspace(ctx context.Context, s *store.Store) (store.Workspace, error) {
	w, err := s.Workspace(ctx, c.Workspace)
	if !errors.Is(err, fault.ErrNotFound) {
		return w, err
	}
	all, err := s.Workspaces(ctx)
	if err != nil {
		return w, err
	}
	if len(all) > 0 || c.Workspace != defaultWorkspace {
		return w, errNoWorkspace.With("workspace", c.Workspace)
	}
	return store.Workspace{}, nil
}

// filling is a store for commands that put something into a workspace. Where
// there is no workspace, the default one is made with the first thing in it,
// and not before: a command that fails must leave an empty database empty, for
// the first start of a server depends on that.
type filling struct {
	*store.Store
	missing *store.Workspace // nil when the workspace exists
}

// workspaceToFill finds the workspace of the settings, or draws the default one.
func (c *Config) workspaceToFill(ctx context.Context, s *store.Store) (store.Workspace, filling, error) {
	w, err := c.workspace(ctx, s)
	if err != nil || w.ID != "" {
		return w, filling{Store: s}, err
	}
	w = newWorkspace(defaultWorkspace)
	return w, filling{Store: s, missing: &w}, nil
}

func (f filling) fill(ctx context.Context) error {
	if f.missing == nil {
		return nil
	}
	err := f.InsertWorkspace(ctx, *f.missing)
	if errors.Is(err, store.ErrNameTaken) {
		return fault.ErrConflict.Saying("Another process has just made the default workspace; try again.")
	}
	return err
}

// InsertKey implements auth.KeyStore.
func (f filling) InsertKey(ctx context.Context, r auth.Record) (auth.Record, error) {
	if err := f.fill(ctx); err != nil {
		return r, err
	}
	return f.Store.InsertKey(ctx, r)
}

// InsertInstance implements instances.Store.
func (f filling) InsertInstance(ctx context.Context, i messaging.Instance, claim *messaging.Claim) error {
	if err := f.fill(ctx); err != nil {
		return err
	}
	return f.Store.InsertInstance(ctx, i, claim)
}

// newWorkspace draws a workspace that is not stored.
func newWorkspace(name string) store.Workspace {
	now := time.Now()
	return store.Workspace{ID: messaging.NewID(messaging.WorkspacePrefix, now), Name: name, CreatedAt: now}
}

// table prints rows in columns; the first row is the head.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// orDash shows an empty value to people.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
