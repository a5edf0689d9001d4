// Package storetest runs a test on both engines: on SQLite in a temporary
// folder, and on a fresh database of a throw-away PostgreSQL.
//
// A package that uses it has a TestMain that calls testpg.Main.
package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"portaria/events/webhooks"
	"portaria/messaging"
	"portaria/store"
)

// Engines are the names of the two engines, as subtests carry them.
var Engines = []string{"sqlite", "postgres"}

// Each runs f once for each engine with an empty, migrated store.
func Each(t *testing.T, f func(t *testing.T, s *store.Store)) {
	t.Helper()
	each(t, Engines, f)
}

// EachUsed is Each for the tests of rooms above the store.
func EachUsed(t *testing.T, f func(t *testing.T, s *store.Store)) {
	t.Helper()
	each(t, Used, f)
}

func each(t *testing.T, engines []string, f func(t *testing.T, s *store.Store)) {
	t.Helper()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) { f(t, Open(t, Options(t, engine))) })
	}
}

// Open opens and migrates a store; it is closed with the test.
func Open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), o)
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	if err := s.Migrate(context.Background()); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	return s
}

// Workspace stores a workspace and returns the tenancy of all its test
// instances.
func Workspace(t testing.TB, s *store.Store, name string) messaging.Tenancy {
	t.Helper()
	w := store.Workspace{ID: messaging.NewID(messaging.WorkspacePrefix, time.Now()), Name: name, CreatedAt: time.Now()}
	if err := s.InsertWorkspace(context.Background(), w); err != nil {
		t.Fatalf("insert workspace: %v", err)
	}
	return messaging.NewTenancy(w.ID, messaging.Test, messaging.AllInstances())
}

// Instance stores a connected test instance.
func Instance(t testing.TB, s *store.Store, tenancy messaging.Tenancy, name string) messaging.Instance {
	t.Helper()
	i := NewInstance(tenancy, name)
	if err := s.InsertInstance(context.Background(), i, nil); err != nil {
		t.Fatalf("insert instance: %v", err)
	}
	return i
}

// NewInstance makes a connected test instance that is not stored.
func NewInstance(tenancy messaging.Tenancy, name string) messaging.Instance {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return messaging.Instance{
		ID: messaging.NewID(messaging.InstancePrefix, now), WorkspaceID: tenancy.Workspace(), Environment: tenancy.Environment(),
		Name: name, Driver: messaging.DriverSandbox, Desired: messaging.DesiredConnected, State: messaging.InstanceConnected,
		StateSince: now, Phone: "15555550000", LinkedID: "15555550000", Metadata: []byte("{}"), Settings: []byte("{}"), CreatedAt: now,
	}
}

// Message makes an accepted text message that is not stored.
func Message(i messaging.Instance, to, text string) messaging.Message {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return messaging.Message{
		ID: messaging.NewID(messaging.MessagePrefix, now), WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID,
		Direction: messaging.Outbound, Peer: messaging.Address{Input: to, WAID: to + "@" + messaging.UserServer},
		Content:  messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: text}},
		Priority: messaging.Normal, WAMessageID: messaging.NewWAMessageID(), KeyID: "key_test", Lineage: "key_test",
		CreatedAt: now, ExpiresAt: now.Add(24 * time.Hour), State: messaging.State{Status: messaging.StatusQueued},
	}
}

// NewEndpoint makes an enabled endpoint for all events of a tenancy's world that
// is not stored.
func NewEndpoint(tenancy messaging.Tenancy) webhooks.Endpoint {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return webhooks.Endpoint{
		Webhook: messaging.Webhook{
			ID: messaging.NewID(messaging.WebhookPrefix, now), WorkspaceID: tenancy.Workspace(), Environment: tenancy.Environment(),
			URL: "https://example.com/hook", Events: []string{"*"}, Chats: messaging.AllChats, Enabled: true, CreatedAt: now,
		},
		Secret: "sealed",
	}
}

// Endpoint stores an endpoint like NewEndpoint's, after change has altered it.
func Endpoint(t testing.TB, s *store.Store, tenancy messaging.Tenancy, change ...func(*webhooks.Endpoint)) webhooks.Endpoint {
	t.Helper()
	e := NewEndpoint(tenancy)
	for _, f := range change {
		f(&e)
	}
	if err := s.InsertEndpoint(context.Background(), e, nil); err != nil {
		t.Fatalf("insert endpoint: %v", err)
	}
	return e
}

// Deliveries returns all deliveries of an endpoint, oldest first.
func Deliveries(t testing.TB, s *store.Store, e webhooks.Endpoint) []webhooks.Delivery {
	t.Helper()
	tenancy := messaging.NewTenancy(e.WorkspaceID, e.Environment, messaging.AllInstances())
	found, err := s.Deliveries(context.Background(), tenancy, e.ID, webhooks.DeliveryFilter{}, messaging.Page{Limit: 1_000_000})
	if err != nil {
		t.Fatalf("deliveries: %v", err)
	}
	slices.Reverse(found)
	return found
}

// Called records a call to an instance at a time: one event.
func Called(t testing.TB, s *store.Store, i messaging.Instance, at time.Time) {
	t.Helper()
	c := messaging.CallReceived{
		WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID,
		Call: messaging.Call{ID: messaging.NewWAMessageID(), From: messaging.Address{WAID: "15555550001@" + messaging.UserServer}, At: at},
	}
	if err := s.Report(context.Background(), c); err != nil {
		t.Fatalf("report a call: %v", err)
	}
}
