package main

import (
	"log/slog"
	"testing"
	"time"

	"portaria/instances"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

// An instance can be deleted by the command line while no server runs. What
// waited for it must not wait for a channel that never comes.
func TestWhatWaitsForAnInstanceDeletedWithoutAServerIsCanceled(t *testing.T) {
	for _, engine := range storetest.Used {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			tenancy := storetest.Workspace(t, storetest.Open(t, o), "default")

			first := openApp(t, o)
			i, err := first.manager.Create(t.Context(), tenancy, instances.Draft{Name: "gone"})
			if err != nil {
				t.Fatal(err)
			}
			kept, err := first.manager.Create(t.Context(), tenancy, instances.Draft{Name: "kept"})
			if err != nil {
				t.Fatal(err)
			}
			doomed, safe := acceptLater(t, first, tenancy, i), acceptLater(t, first, tenancy, kept)
			closeApp(t, first)

			s := storetest.Open(t, o)
			m, done, err := managerBeside(filling{Store: s}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer done()
			if _, err := m.Delete(t.Context(), tenancy, i.ID); err != nil {
				t.Fatal(err)
			}

			second := openApp(t, o)
			defer closeApp(t, second)
			if err := second.cancelOrphans(t.Context()); err != nil {
				t.Fatal(err)
			}
			for id, want := range map[string]messaging.Status{doomed: messaging.StatusCanceled, safe: messaging.StatusScheduled} {
				if got, err := s.Message(t.Context(), tenancy, id); err != nil || got.Status != want {
					t.Errorf("message %s is %s, %v; want %s", id, got.Status, err, want)
				}
			}
			if lanes, err := s.Lanes(t.Context()); err != nil || len(lanes) != 1 {
				t.Errorf("lanes = %v, %v; want that of the kept instance", lanes, err)
			}
		})
	}
}

// openApp wires an app on a migrated database; nothing of it runs.
func openApp(t *testing.T, o store.Options) *app {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, err := newApp(s, appOptions{log: slog.New(slog.DiscardHandler), bcryptCost: 4, mediaDir: t.TempDir(), secretKey: make([]byte, secretKeySize)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func closeApp(t *testing.T, a *app) {
	t.Helper()
	if err := a.close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// acceptLater accepts a message that is due in an hour.
func acceptLater(t *testing.T, a *app, tenancy messaging.Tenancy, i messaging.Instance) string {
	t.Helper()
	m, err := a.outbox.Accept(t.Context(), outbox.Draft{
		Tenancy: tenancy, Instance: i, KeyID: "key_k", Lineage: "key_k", To: "+15005550006", SendAt: time.Now().Add(time.Hour),
		Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: "later"}}, Priority: messaging.Normal,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m.ID
}
