package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"portaria/auth"
	"portaria/instances"
	"portaria/messaging"
)

// firstRunMark is the fact that the first run has happened.
const firstRunMark = "first_run"

// welcome is what the first start of an empty installation made.
type welcome struct {
	token    auth.Token
	instance messaging.Instance
}

// firstRun makes the workspace, the demo instance and a test key that opens
// only that instance, once in the life of a database. It never mints a live
// key. It returns nil when the installation is not new.
func (a *app) firstRun(ctx context.Context) (*welcome, error) {
	existing, err := a.store.Workspaces(ctx)
	if err != nil || len(existing) > 0 {
		return nil, err
	}
	if first, err := a.store.SetFact(ctx, firstRunMark, time.Now().UTC().Format(time.RFC3339)); err != nil || !first {
		return nil, err
	}
	workspace := newWorkspace(defaultWorkspace)
	if err := a.store.InsertWorkspace(ctx, workspace); err != nil {
		return nil, fmt.Errorf("first workspace: %w", err)
	}
	tenancy := messaging.NewTenancy(workspace.ID, messaging.Test, messaging.AllInstances())
	demo, err := a.manager.Create(ctx, tenancy, instances.Draft{Name: "demo"})
	if err != nil {
		return nil, fmt.Errorf("first instance: %w", err)
	}
	_, token, err := a.keys.Create(ctx, auth.NewKey{
		Workspace: workspace.ID, Environment: messaging.Test, Name: "demo",
		Scopes: []string{"*"}, Instances: []string{demo.ID},
	})
	if err != nil {
		return nil, fmt.Errorf("first key: %w", err)
	}
	return &welcome{token: token, instance: demo}, nil
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
