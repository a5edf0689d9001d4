package main

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"portaria/store/storetest"
	"portaria/wasim"
)

// Whatever a test key does, nothing is dialled: the only way out leads to a
// listener that counts who comes.
func TestATestKeyNeverCausesADial(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var dials atomic.Int64
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			dials.Add(1)
			conn.Close()
		}
	}()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, wasim.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	rootKey := wasim.RootKey()
	g := newGateway(t, storetest.Options(t, storetest.Light))
	g.env = []string{
		"PORTARIA_WHATSAPP_ADDR=" + listener.Addr().String(), "PORTARIA_WHATSAPP_CA=" + ca,
		"PORTARIA_WHATSAPP_ROOT_KEY=" + hex.EncodeToString(rootKey[:]),
	}
	g.start()
	test := g.mintFor("test", "--scope", "*", "--all-instances")
	g.do(test, http.MethodPost, "/v1/instances", `{"name":"tripwire"}`, http.StatusCreated, nil)
	for i := range 20 {
		g.do(test, http.MethodPost, "/v1/instances/tripwire/messages", fmt.Sprintf(`{"to":"+5511987654321","text":"%d"}`, i), http.StatusAccepted, nil)
	}
	g.waitForAll(test, 20, "read")
	for _, act := range []string{"restart", "disconnect", "connect", "logout", "connect"} {
		g.do(test, http.MethodPost, "/v1/instances/tripwire/"+act, "", http.StatusAccepted, nil)
	}
	if n := dials.Load(); n != 0 {
		t.Errorf("a test key caused %d connections", n)
	}
	// The wire does trip: a live instance that is asked to connect dials.
	live := g.mintFor("live", "--scope", "*", "--all-instances")
	g.do(live, http.MethodPost, "/v1/instances", `{"name":"tripwire"}`, http.StatusCreated, nil)
	g.do(live, http.MethodPost, "/v1/instances/tripwire/connect", "", http.StatusAccepted, nil)
	if !waitUntil(t, patience, func() bool { return dials.Load() > 0 }) {
		t.Error("the wire does not trip")
	}
}
