package main

import (
	"errors"
	"strings"
	"testing"

	"portaria/auth"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// started is a gateway that has taken up what there was, and does not listen.
func started(t *testing.T, s *store.Store) *app {
	t.Helper()
	a, err := newApp(s, appOptions{log: (&Config{LogLevel: "error"}).logger(t.Output()), bcryptCost: auth.MinBcryptCost, mediaDir: t.TempDir(), secretKey: make([]byte, secretKeySize)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.outbox.Stop()
		if err := errors.Join(a.manager.Close(), a.sandbox.Close(), a.clocks.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if err := a.recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

// shownKey makes a first run to its end and returns the key of the banner; ""
// when there is none.
func shownKey(t *testing.T, a *app) string {
	t.Helper()
	w, err := a.firstRun(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if w == nil {
		return ""
	}
	var banner strings.Builder
	if err := a.welcomed(t.Context(), w, &banner, "http://127.0.0.1:8080"); err != nil {
		t.Fatal(err)
	}
	key := bannerKey.FindStringSubmatch(banner.String())
	if key == nil {
		return ""
	}
	return key[1]
}

// fullDisk takes no banner.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// However a first start ends before its key was seen, the next one shows a key
// that works, once, in the one workspace and the one instance.
func TestAFirstRunThatWasCutShortShowsAKeyAtTheNextStart(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(t *testing.T, a *app){
		"nothing yet": func(*testing.T, *app) {},
		"only begun": func(t *testing.T, a *app) {
			if due, err := a.firstRunIsDue(t.Context()); err != nil || !due {
				t.Fatalf("due = %v, %v", due, err)
			}
		},
		"the workspace": func(t *testing.T, a *app) {
			if _, err := a.firstRunIsDue(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := a.firstWorkspace(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
		"the key, unseen": func(t *testing.T, a *app) {
			if _, err := a.firstRun(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
		"the banner, unwritten": func(t *testing.T, a *app) {
			w, err := a.firstRun(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := a.welcomed(t.Context(), w, fullDisk{}, "http://x"); err == nil {
				t.Fatal("nobody has seen the banner")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
				cut(t, started(t, s))
				a := started(t, s)
				token := shownKey(t, a)
				grant, err := a.directory.Authenticate(t.Context(), token)
				if err != nil {
					t.Fatalf("the key %q that was shown: %v", token, err)
				}
				if grant.Environment != messaging.Test || grant.AllInstances || len(grant.Instances) != 1 || grant.Instances[0].Name != "demo" {
					t.Errorf("the key opens %+v", grant)
				}
				if again := shownKey(t, started(t, s)); again != "" {
					t.Error("a key was shown again")
				}
				workspaces, err := s.Workspaces(t.Context())
				if err != nil || len(workspaces) != 1 {
					t.Fatalf("%d workspaces, %v; want one", len(workspaces), err)
				}
				all, err := s.AllInstances(t.Context())
				if err != nil || len(all) != 1 {
					t.Errorf("%d instances, %v; want one", len(all), err)
				}
			})
		})
	}
}

// Whoever has filled the database with commands has keys already, and gets none
// that they did not ask for.
func TestAFilledDatabaseGetsNoFirstRun(t *testing.T) {
	t.Parallel()
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		if err := s.InsertWorkspace(t.Context(), newWorkspace(defaultWorkspace)); err != nil {
			t.Fatal(err)
		}
		if token := shownKey(t, started(t, s)); token != "" {
			t.Error("a key was shown")
		}
	})
}

// What callers are told to reach the gateway under is put before every path.
func TestThePublicURLMustBeOneThatPathsCanFollow(t *testing.T) {
	for given, want := range map[string]string{
		"": "", "http://h/": "http://h", "https://h:8443": "https://h:8443", "https://h/gate//": "https://h/gate", "http://[::1]:80/": "http://[::1]:80",
	} {
		cmd := serveCmd{PublicURL: given}
		if err := cmd.checkPublicURL(); err != nil || cmd.PublicURL != want {
			t.Errorf("%s became %s, %v; want %s", given, cmd.PublicURL, err, want)
		}
	}
	for _, given := range []string{
		"nonsense", "h:8080", "ftp://h", "http://", "http://:80", "http:///v1", "http://h/?a=b", "http://h/#a", "http://u:p@h", "http://h/';id;'", "http://h h", "//h", "http://h/%zz",
	} {
		cmd := serveCmd{PublicURL: given}
		err := cmd.checkPublicURL()
		if _, wrong := errors.AsType[usageError](err); !wrong || !strings.Contains(err.Error(), "--public-url") {
			t.Errorf("%s: %v", given, err)
		}
	}
}
