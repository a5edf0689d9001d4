package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"portaria/auth"
	"portaria/instances"
	"portaria/messaging"
	"portaria/store"
)

// The facts of the first run: that it began on an empty database, and that its
// key was shown.
const (
	firstRunBegun = "first_run_begun"
	firstRunMark  = "first_run"
)

// demoName is the name of the first instance and of the key to it.
const demoName = "demo"

// welcome is what the first start of an empty installation made.
type welcome struct{ token auth.Token }

// firstRun makes the workspace, the demo instance and a test key that opens
// only that instance. It never mints a live key. It returns nil when the
// installation is not new.
//
// The first run is over when its key was shown (welcomed), and until then every
// start goes on where the last one ended:
//
//	empty ─→ begun ─→ workspace ─→ instance ─→ key ─→ banner ─→ mark
//
// A key that was minted and not shown is nobody's; the next start mints another.
func (a *app) firstRun(ctx context.Context) (*welcome, error) {
	due, err := a.firstRunIsDue(ctx)
	if err != nil || !due {
		return nil, err
	}
	workspace, err := a.firstWorkspace(ctx)
	if err != nil {
		return nil, fmt.Errorf("first workspace: %w", err)
	}
	demo, err := a.firstInstance(ctx, workspace)
	if err != nil {
		return nil, fmt.Errorf("first instance: %w", err)
	}
	_, token, err := a.keys.Create(ctx, auth.NewKey{
		Workspace: workspace.ID, Environment: messaging.Test, Name: demoName,
		Scopes: []string{"*"}, Instances: []string{demo.ID},
	})
	if err != nil {
		return nil, fmt.Errorf("first key: %w", err)
	}
	return &welcome{token: token}, nil
}

// firstRunIsDue reports whether the database is empty, or a first run on it was
// cut short. Whoever fills a database by commands needs no first run.
func (a *app) firstRunIsDue(ctx context.Context) (bool, error) {
	shown, err := a.store.Fact(ctx, firstRunMark)
	if err != nil || shown != "" {
		return false, err
	}
	begun, err := a.store.Fact(ctx, firstRunBegun)
	if err != nil || begun != "" {
		return begun != "", err
	}
	existing, err := a.store.Workspaces(ctx)
	if err != nil || len(existing) > 0 {
		return false, err
	}
	_, err = a.store.SetFact(ctx, firstRunBegun, timeMark())
	return err == nil, err
}

func timeMark() string { return time.Now().UTC().Format(time.RFC3339) }

// firstWorkspace makes the default workspace, unless it is there already.
func (a *app) firstWorkspace(ctx context.Context) (store.Workspace, error) {
	w := newWorkspace(defaultWorkspace)
	err := a.store.InsertWorkspace(ctx, w)
	if errors.Is(err, store.ErrNameTaken) {
		return a.store.Workspace(ctx, defaultWorkspace)
	}
	return w, err
}

// firstInstance makes the demo instance, unless it is there already.
func (a *app) firstInstance(ctx context.Context, w store.Workspace) (messaging.Instance, error) {
	tenancy := messaging.NewTenancy(w.ID, messaging.Test, messaging.AllInstances())
	i, err := a.manager.Create(ctx, tenancy, instances.Draft{Name: demoName})
	if errors.Is(err, store.ErrNameTaken) {
		return a.manager.Resolve(ctx, tenancy, demoName)
	}
	return i, err
}

// welcomed shows the key and ends the first run. No other server can be in its
// own first run meanwhile: the store opens a database for one server only.
func (a *app) welcomed(ctx context.Context, w *welcome, out io.Writer, base string) error {
	if err := w.print(out, base); err != nil {
		return fmt.Errorf("show the first key: %w", err)
	}
	_, err := a.store.SetFact(ctx, firstRunMark, timeMark())
	return err
}

// print writes the banner: the key, and one command that works as pasted.
func (w *welcome) print(out io.Writer, base string) error {
	_, err := fmt.Fprintf(out, `
Portaria is ready. This is shown once.

  Sandbox key  %s
               opens only the test instance "demo"; nothing leaves this machine

Send a first message and see it read:

%s

API reference: %s/docs

`, w.token.Reveal(), firstMessage(base, w.token.Reveal()), base)
	return err
}

// firstMessage is the command of the banner and of the README.
func firstMessage(base, token string) string {
	return fmt.Sprintf(`curl -sS '%s/v1/messages?wait=delivered' \
  -H 'Authorization: Bearer %s' \
  -H 'Content-Type: application/json' \
  -d '{"to":"+15005550006","text":"Hello from Portaria"}'`, base, token)
}
