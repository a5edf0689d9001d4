package natssink_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"portaria/internal/testbin"
)

// patience bounds every wait of a test; only a failure takes so long.
const patience = time.Minute

// server is Debian's nats-server on a port and a folder of its own, which it
// keeps when it is killed and started again.
type server struct {
	t       testing.TB
	program string
	account testbin.Account
	folder  string
	port    string
	child   *testbin.Child
}

// newServer prepares a server that does not run yet. settings are lines of its
// configuration.
func newServer(t testing.TB, settings string) *server {
	t.Helper()
	program, err := testbin.Find(t.Context(), testbin.Program{
		Name: "nats-server", Package: "nats-server", Paths: []string{"/usr/sbin/nats-server", "/usr/local/bin/nats-server"},
	})
	if err != nil {
		t.Fatal(err)
	}
	account, err := testbin.Unprivileged("nats", "nobody")
	if err != nil {
		t.Fatal(err)
	}
	folder, err := account.Folder("portaria-nats-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	s := &server{t: t, program: program, account: account, folder: folder}
	if s.port, err = testbin.FreePort(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.configure(settings)
	return s
}

// jetStream is what most servers are configured with.
const jetStream = `jetstream { store_dir: "data" }`

func (s *server) configure(settings string) {
	s.t.Helper()
	text := fmt.Sprintf("host: 127.0.0.1\nport: %s\n%s\n", s.port, settings)
	if err := os.WriteFile(filepath.Join(s.folder, "nats.conf"), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// start runs the server and waits until it answers.
func (s *server) start() *server {
	s.t.Helper()
	child, err := testbin.Start(testbin.Command{
		Args: []string{s.program, "-c", filepath.Join(s.folder, "nats.conf")}, Account: s.account, Folder: s.folder,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.child = child
	s.t.Cleanup(child.Stop)
	eventually(s.t, "nats-server answers", func() bool {
		select {
		case <-child.Done():
			s.t.Fatalf("nats-server ended: %s", child.Words())
		default:
		}
		conn, err := nats.Connect(s.url("admin", "admin"), nats.Timeout(patience))
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
	return s
}

// kill ends the server as kill -9 does.
func (s *server) kill() { s.child.Stop() }

// loseData empties the folder of a server that does not run.
func (s *server) loseData() {
	if err := os.RemoveAll(filepath.Join(s.folder, "data")); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) url(user, password string) string {
	return fmt.Sprintf("nats://%s:%s@127.0.0.1:%s", user, password, s.port)
}

// admin returns a connection of a test's own.
func (s *server) admin() jetstream.JetStream {
	s.t.Helper()
	conn, err := nats.Connect(s.url("admin", "admin"), nats.Timeout(patience))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(conn.Close)
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		s.t.Fatal(err)
	}
	return js
}

// contents reads the whole stream, in its order.
func (s *server) contents(stream string) (out []*jetstream.RawStreamMsg) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	found, err := s.admin().Stream(ctx, stream)
	if err != nil {
		s.t.Fatal(err)
	}
	state := found.CachedInfo().State
	eventually(s.t, "all that the stream counts can be read", func() bool { // not at once, when it is new
		out = out[:0]
		for at := state.FirstSeq; at <= state.LastSeq && state.Msgs > 0; at++ {
			m, err := found.GetMsg(ctx, at)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue
			}
			if err != nil {
				s.t.Fatal(err)
			}
			out = append(out, m)
		}
		return uint64(len(out)) == state.Msgs
	})
	return out
}

// eventually polls for what other processes do in their own time.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}
