package main

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"portaria/auth"
	"portaria/gateway"
	"portaria/gateway/gatewaytest"
	"portaria/instances"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

// The matrix of gateway's own tests has fakes behind the door. Here the whole
// gateway stands behind it, on both engines (under the race detector, on one).
func TestEveryRouteMeetsEveryPrincipalOnTheRealGateway(t *testing.T) {
	t.Parallel()
	for _, engine := range heavyEngines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			gatewaytest.Matrix(t, newRealDoor(t, storetest.Open(t, storetest.Options(t, engine))))
		})
	}
}

// realDoor is a whole gateway in this process.
type realDoor struct {
	app       *app
	url       string
	workspace string
	stranger  string
	mediaDir  string
}

func newRealDoor(t *testing.T, s *store.Store) *realDoor {
	t.Helper()
	return newRealDoorIn(t, s, "mine")
}

// newRealDoorIn opens a gateway on a workspace that it makes.
func newRealDoorIn(t *testing.T, s *store.Store, workspace string) *realDoor {
	t.Helper()
	return newRealDoorOn(t, s, workspace, nil)
}

// newRealDoorOn opens one whose live instances connect; to nothing without
// sessions.
func newRealDoorOn(t *testing.T, s *store.Store, workspace string, live *sessions) *realDoor {
	t.Helper()
	mediaDir := t.TempDir()
	a, err := newApp(s, appOptions{
		log: (&Config{LogLevel: "error"}).logger(t.Output()), bcryptCost: auth.MinBcryptCost, mediaDir: mediaDir, secretKey: make([]byte, secretKeySize),
		whatsapp: live, sinks: sinkOptions{allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, allowHTTP: true}, // where the matrix has its endpoints
	})
	if err != nil {
		t.Fatal(err)
	}
	d := &realDoor{app: a, mediaDir: mediaDir}
	d.workspace = storetest.Workspace(t, s, workspace).Workspace()
	d.stranger = storetest.Workspace(t, s, workspace+"-theirs").Workspace()
	if err := a.recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.url = "http://" + l.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- a.serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		a.outbox.Stop()
		for _, end := range []func() error{a.manager.Close, a.sandbox.Close, a.clocks.Close} {
			if err := end(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	})
	return d
}

// URL implements gatewaytest.Fixture.
func (d *realDoor) URL() string { return d.url }

// Rows implements gatewaytest.Fixture.
func (d *realDoor) Rows() []gateway.Row { return d.app.server.Rows() }

// Mint implements gatewaytest.Fixture.
func (d *realDoor) Mint(t *testing.T, key auth.NewKey) (id, token string) {
	t.Helper()
	key.Workspace = d.workspace
	made, secret, err := d.app.keys.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return made.ID, secret.Reveal()
}

// Revoke implements gatewaytest.Fixture.
func (d *realDoor) Revoke(t *testing.T, id string) {
	t.Helper()
	if _, err := d.app.keys.Revoke(t.Context(), d.workspace, id); err != nil {
		t.Fatal(err)
	}
}

// Foreign implements gatewaytest.Fixture.
func (d *realDoor) Foreign(t *testing.T, env messaging.Environment) (instanceID, messageID string) {
	t.Helper()
	tenancy := messaging.NewTenancy(d.stranger, env, messaging.AllInstances())
	i, err := d.app.manager.Create(t.Context(), tenancy, instances.Draft{Name: "n" + time.Now().Format("150405.000000000")[7:]})
	if err != nil {
		t.Fatal(err)
	}
	to := "+12025550142"
	m, err := d.app.outbox.Accept(t.Context(), outbox.Draft{
		Tenancy: tenancy, Instance: i, KeyID: "key_x", Lineage: "key_x", To: to, Priority: messaging.Normal,
		Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: "x"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return i.ID, m.ID
}

// Inbound implements gatewaytest.Fixture.
func (d *realDoor) Inbound(t *testing.T, env messaging.Environment, instanceID string) (messageID string) {
	t.Helper()
	from := messaging.Address{Input: "+12025550155", WAID: "12025550155@s.whatsapp.net"}
	m := messaging.Message{
		ID: messaging.NewID(messaging.MessagePrefix, time.Now()), WorkspaceID: d.workspace, Environment: env, InstanceID: instanceID,
		Direction: messaging.Inbound, Peer: from, Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: "hello"}},
		WAMessageID: messaging.NewWAMessageID(), CreatedAt: time.Now(),
	}
	if err := d.app.store.Report(t.Context(), messaging.InboundMessage{Message: m}); err != nil {
		t.Fatal(err)
	}
	return m.ID
}
