package archtest

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// TestHouseStands is the rule itself, on the source of Portaria. When it fails,
// its sentence says which arrow points where it must not; docs/ARCHITECTURE.md
// says why.
func TestHouseStands(t *testing.T) {
	root := os.DirFS("../..")
	breaches, err := Check(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range breaches {
		t.Error(b)
	}
	// A check that looked at the wrong folder would find nothing to blame.
	files, err := scan(root)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range files {
		seen[f.folder()] = true
	}
	for _, folder := range []string{"messaging", "internal/fault", "internal/archtest", "gateway"} {
		if !seen[folder] {
			t.Errorf("no file of %s was read", folder)
		}
	}
}

// TestBreachesAreFound checks the checker: for each rule one file that breaks
// it and a part of the sentence that must be said, or "" where the same import
// is allowed.
func TestBreachesAreFound(t *testing.T) {
	tests := []struct {
		name, path, imports, want string
	}{
		{"down", "store/keys.go", "portaria/auth", ""},
		{"down two floors", "auth/keys.go", "portaria/internal/fault", ""},
		{"up", "auth/keys.go", "portaria/gateway", "above auth"},
		{"up from a folder of a room", "events/webhooks/sink.go", "portaria/store", "above events"},
		{"sideways among the domain", "auth/keys.go", "portaria/outbox", "both on floor 3"},
		{"sideways into a folder of a room", "outbox/lane.go", "portaria/instances/whatsapp", "both on floor 3"},
		{"sideways on the ground", "internal/queue/queue.go", "portaria/internal/fault", "both on floor 1"},
		{"the door knows no tables", "gateway/server.go", "portaria/store", "both on floor 4"},
		{"the tables know no door", "store/store.go", "portaria/gateway", "both on floor 4"},
		{"inside a room", "gateway/server.go", "portaria/gateway/dashboard", ""},
		{"the top sees all", "cmd/portaria/serve.go", "portaria/store", ""},
		{"a new room", "billing/billing.go", "fmt", "billing has no floor"},
		{"import of a new room", "auth/keys.go", "portaria/billing", "no floor"},

		{"a test may", "auth/keys_test.go", "portaria/store", ""},
		{"a helper of tests may", "gateway/gatewaytest/fixture.go", "portaria/store", ""},
		{"the product may not use such a helper", "store/store.go", "portaria/store/storetest", "for tests"},
		{"not even from the top", "cmd/portaria/serve.go", "portaria/store/storetest", "for tests"},

		{"apart, from the top", "cmd/portaria/wasim.go", "portaria/wasim", ""},
		{"apart, from the domain", "instances/whatsapp/driver.go", "portaria/wasim", "stands apart"},
		{"apart, looking up", "wasim/server.go", "portaria/messaging", "stands apart"},
		{"apart, from apart", "internal/testpg/testpg.go", "portaria/wasim", "stands apart"},
		{"the toolbox, from apart", "internal/testpg/testpg.go", "portaria/internal/testbin", ""},
		{"the toolbox, from the domain", "outbox/lane.go", "portaria/internal/testbin", "stands apart"},
		{"apart, on the ground", "wasim/server.go", "portaria/internal/fault", ""},

		{"the nouns and fault", "messaging/message.go", "portaria/internal/fault", ""},
		{"the nouns and another room", "messaging/message.go", "portaria/internal/queue", "only the standard library"},
		{"the nouns and a module", "messaging/message.go", "github.com/google/uuid", "only the standard library"},
		{"the nouns and the network", "messaging/message.go", "net/http", "no I/O"},

		{"Fiber at the door", "gateway/server.go", "github.com/gofiber/fiber/v2", ""},
		{"Fiber elsewhere", "auth/middleware.go", "github.com/gofiber/fiber/v2", "Fiber stays"},
		{"SQL in the store", "store/store.go", "github.com/jmoiron/sqlx", ""},
		{"SQL elsewhere", "outbox/outbox.go", "database/sql", "SQL stays"},
		{"SQL in a test elsewhere", "outbox/outbox_test.go", "database/sql", "SQL stays"},
		{"SQL in a story", "cmd/portaria/crash_test.go", "database/sql", ""},
		{"whatsmeow in its driver", "instances/whatsapp/driver.go", "go.mau.fi/whatsmeow/types", ""},
		{"whatsmeow in the manager", "instances/manager.go", "go.mau.fi/whatsmeow", "whatsmeow stays"},
		{"a name that only begins alike", "auth/keys.go", "github.com/lib/pqueue", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source := "package p\n\nimport _ \"" + test.imports + "\"\n"
			expectBreach(t, test.path, source, test.want)
		})
	}
}

// TestTenancyIsBuiltInThreeRoomsOnly: a tenancy built from request data would
// open every door of the house.
func TestTenancyIsBuiltInThreeRoomsOnly(t *testing.T) {
	const (
		plain    = "package p\nimport \"portaria/messaging\"\nvar _ = messaging.NewTenancy(\"w\", messaging.Live, messaging.AllInstances())\n"
		renamed  = "package p\nimport m \"portaria/messaging\"\nvar _ = m.NewTenancy(\"w\", m.Live, m.AllInstances())\n"
		dotted   = "package p\nimport . \"portaria/messaging\"\nvar _ = NewTenancy(\"w\", Live, AllInstances())\n"
		uncalled = "package p\nimport \"portaria/messaging\"\nvar build = messaging.NewTenancy\n"
		stranger = "package p\nimport \"portaria/internal/fault\"\nvar _ = fault.NewTenancy()\n"
		refused  = "uses messaging.NewTenancy"
	)
	tests := []struct {
		name, path, source, want string
	}{
		{"auth", "auth/grant.go", plain, ""},
		{"cmd", "cmd/portaria/keys.go", plain, ""},
		{"store", "store/recovery.go", plain, ""},
		{"a test", "gateway/routes_test.go", plain, ""},
		{"a helper of tests", "store/storetest/fixture.go", plain, ""},
		{"gateway", "gateway/door.go", plain, refused},
		{"outbox", "outbox/outbox.go", plain, refused},
		{"under another name", "gateway/door.go", renamed, refused},
		{"behind a dot import", "gateway/door.go", dotted, refused},
		{"not called", "gateway/door.go", uncalled, refused},
		{"another package's function", "gateway/door.go", stranger, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { expectBreach(t, test.path, test.source, test.want) })
	}
}

// expectBreach checks a house of one file: want is a part of its only breach,
// or empty.
func expectBreach(t *testing.T, path, source, want string) {
	t.Helper()
	got, err := Check(fstest.MapFS{path: {Data: []byte(source)}})
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case want == "" && len(got) != 0:
		t.Errorf("refused what is allowed: %q", got)
	case want != "" && (len(got) != 1 || !strings.Contains(got[0], want) || !strings.HasPrefix(got[0], path+": ")):
		t.Errorf("got %q, want one breach of %s that says %q", got, path, want)
	}
}

// TestUnreadableSourceIsNotPassedOver: a file that cannot be parsed cannot be
// judged. What the go command ignores is ignored here too.
func TestUnreadableSourceIsNotPassedOver(t *testing.T) {
	broken := &fstest.MapFile{Data: []byte("package")}
	if _, err := Check(fstest.MapFS{"auth/keys.go": broken}); err == nil {
		t.Error("a broken file was passed over")
	}
	ignored := fstest.MapFS{
		"auth/testdata/x.go": broken, "vendor/x/x.go": broken, ".git/x.go": broken, "_old/x.go": broken, "auth/notes.txt": broken,
	}
	got, err := Check(ignored)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string(nil), got); diff != "" {
		t.Errorf("breaches (-want +got):\n%s", diff)
	}
}
