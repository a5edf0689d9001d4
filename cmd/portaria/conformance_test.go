package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"portaria/auth"
	"portaria/gateway/gatewaytest"
	"portaria/instances/channeltest"
	"portaria/instances/whatsapp"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
	"portaria/wasim"
)

// What was rehearsed with a test key happens with a live one: the same statuses,
// events and objects. Everything is real, from the API to the simulated server
// that the live instances are linked to.
func TestBothChannelsTellTheSameStories(t *testing.T) {
	t.Parallel()
	for _, engine := range heavyEngines() {
		t.Run(engine, func(t *testing.T) {
			g := newRehearsal(t, engine)
			channeltest.Run(t, &sandboxNetwork{g}, newLiveNetwork(g))
		})
	}
}

// Nothing that is done with a test key, on test instances, makes the driver of
// live instances open a connection.
func TestNoStoryOfATestKeyDials(t *testing.T) {
	t.Parallel()
	g := newRehearsal(t, storetest.Light)
	t.Run("stories", func(t *testing.T) { channeltest.Run(t, &sandboxNetwork{g}) })
	if n := g.dials.Load(); n != 0 {
		t.Errorf("%d connections were opened", n)
	}
	// The wire does trip: a live instance that is asked to connect dials.
	_, key := g.workspace(t, messaging.Live)
	g.api.Expect(t, gatewaytest.Request{Method: http.MethodPost, Path: "/v1/instances", Token: key, Body: `{"name":"live"}`}, http.StatusCreated, "")
	g.api.Expect(t, gatewaytest.Request{Method: http.MethodPost, Path: "/v1/instances/live/connect", Token: key}, http.StatusAccepted, "")
	waitUntil(t, patience, func() bool { return g.dials.Load() > 0 })
}

// rehearsal is a gateway in this process that has both channels: a sandbox, and
// a live one on a simulated server.
type rehearsal struct {
	options store.Options
	*realDoor
	store *store.Store
	sim   *wasim.Server
	api   *gatewaytest.Client
	dials atomic.Int64 // of the live channel
	named atomic.Int64 // workspaces
}

// impatient makes the waits of the live channel short. Who links has time enough.
func impatient() whatsapp.Timing {
	return whatsapp.Timing{
		ReconnectMin: 50 * time.Millisecond, ReconnectMax: 500 * time.Millisecond,
		RetryMin: 10 * time.Millisecond, RetryMax: 50 * time.Millisecond,
		ColdHold: 10 * time.Second, Pairing: 12 * slowness * time.Second,
	}
}

func newRehearsal(t *testing.T, engine string) *rehearsal {
	t.Helper()
	sim, err := wasim.Start(wasim.Options{FewKeys: slowness > 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Errorf("close wasim: %v", err)
		}
	})
	o := storetest.Options(t, engine)
	g := &rehearsal{options: o, store: storetest.Open(t, o), sim: sim}
	db, dialect, err := store.OpenWhatsApp(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close sessions: %v", err)
		}
	})
	linked, err := whatsapp.OpenSessions(t.Context(), db, dialect, nil)
	if err != nil {
		t.Fatal(err)
	}
	live := &sessions{Sessions: linked, db: db, endpoint: &whatsapp.Endpoint{Addr: sim.Addr(), CA: x509.NewCertPool()}, timing: impatient()}
	live.endpoint.CA.AppendCertsFromPEM(wasim.CAPEM())
	live.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		g.dials.Add(1)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	g.realDoor = newRealDoorOn(t, g.store, "mine", live)
	g.api = gatewaytest.NewClient(t, g.URL())
	return g
}

// workspace makes a workspace, and a key to everything in it.
func (g *rehearsal) workspace(t *testing.T, env messaging.Environment) (messaging.Tenancy, string) {
	t.Helper()
	id := storetest.Workspace(t, g.store, fmt.Sprint("story-", g.named.Add(1))).Workspace()
	return messaging.NewTenancy(id, env, messaging.AllInstances()), g.keyTo(t, id, env)
}

// keyTo makes a key to everything in one world of a workspace.
func (g *rehearsal) keyTo(t *testing.T, workspace string, env messaging.Environment) string {
	t.Helper()
	_, secret, err := g.app.keys.Create(t.Context(), auth.NewKey{
		Workspace: workspace, Name: "story", Environment: env, Scopes: []string{"*"}, AllInstances: true,
		RatePerMinute: auth.MaxRatePerMinute, RateBurst: auth.MaxRateBurst,
	})
	if err != nil {
		t.Fatal(err)
	}
	return secret.Reveal()
}
