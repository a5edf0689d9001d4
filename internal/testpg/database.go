package testpg

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"
)

// EnvURL names the variable that points the tests at a running server.
const EnvURL = "TEST_DATABASE_URL"

// dropLimit bounds the removal of a database.
const dropLimit = 30 * time.Second

// Attach returns a server that somebody else runs. Its user must be allowed to
// create databases.
func Attach(address string) (*Server, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return nil, fmt.Errorf("testpg: %s must be a URL like postgres://user@host:5432/postgres?sslmode=disable", EnvURL)
	}
	return &Server{address: u}, nil
}

// NewDatabase creates an empty database and returns its URL. drop removes it,
// open connections or not; it does its best, for the server is thrown away.
func (s *Server) NewDatabase(ctx context.Context) (address string, drop func(), err error) {
	name, err := s.createDatabase(ctx, emptyTemplate)
	if err != nil {
		return "", nil, err
	}
	drop = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropLimit)
		defer cancel()
		_ = s.dropDatabase(ctx, name)
	}
	return s.databaseURL(name), drop, nil
}

func (s *Server) databaseURL(name string) string {
	u := *s.address
	u.Path = "/" + name
	return u.String()
}

// emptyTemplate is PostgreSQL's own: a database is always a copy of another.
const emptyTemplate = "template1"

func (s *Server) createDatabase(ctx context.Context, template string) (string, error) {
	var tag [8]byte
	rand.Read(tag[:])
	name := "portaria_test_" + hex.EncodeToString(tag[:])
	if err := s.exec(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(name)+" TEMPLATE "+pq.QuoteIdentifier(template)); err != nil {
		return "", fmt.Errorf("testpg: create database: %w", err)
	}
	return name, nil
}

func (s *Server) dropDatabase(ctx context.Context, name string) error {
	if err := s.exec(ctx, "DROP DATABASE IF EXISTS "+pq.QuoteIdentifier(name)+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("testpg: drop database: %w", err)
	}
	return nil
}

// exec opens a connection for one statement: a pool kept open would look like
// a leak to the packages that count their goroutines.
func (s *Server) exec(ctx context.Context, statement string) error {
	db, err := sql.Open("postgres", s.URL())
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, statement)
	return err
}

// Database returns the URL of a fresh, empty database that is dropped when the
// test ends. It lies on the server of TEST_DATABASE_URL, or else on one that
// is started once for this test process; Main stops that one.
func Database(tb testing.TB) string {
	tb.Helper()
	s, err := shared.get(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return s.database(tb, emptyTemplate)
}

// Copy returns what Database does, with all in it that prepare has put into an
// empty database. It is prepared once in a test process, for the first caller
// who names it; what the others give as prepare does not matter. It must leave no
// connection open.
func Copy(tb testing.TB, prepared string, prepare func(address string) error) string {
	tb.Helper()
	s, err := shared.get(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	template, err := shared.template(tb.Context(), prepared, prepare)
	if err != nil {
		tb.Fatal(err)
	}
	return s.database(tb, template)
}

func (s *Server) database(tb testing.TB, template string) string {
	tb.Helper()
	name, err := s.createDatabase(tb.Context(), template)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), dropLimit)
		defer cancel()
		if err := s.dropDatabase(ctx, name); err != nil {
			tb.Error(err)
		}
	})
	return s.databaseURL(name)
}

// Runner is what testing.M and goleak agree on.
type Runner interface{ Run() int }

// Main runs a package's tests and then stops the server that Database has
// started, if any:
//
//	func TestMain(m *testing.M) { os.Exit(testpg.Main(m)) }
func Main(m Runner) int {
	defer shared.stop()
	return m.Run()
}

// Around returns a runner that does as Main does, for packages that also count
// their goroutines:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(testpg.Around(m)) }
func Around(m Runner) Runner { return around{m} }

type around struct{ Runner }

// Run implements Runner.
func (a around) Run() int { return Main(a.Runner) }

// shared is the one server of a test process. Tests of one package reach it
// from anywhere, so it has to be a variable of this package.
var shared sharedServer

type sharedServer struct {
	mu     sync.Mutex
	server *Server
	err    error // of the only try: the other tests should fail at once

	templates map[string]*template // by what Copy calls them
}

// template is a database that others are copies of.
type template struct {
	name string
	err  error // of the only try
}

// template prepares a database, unless that was done before, and returns its name.
func (h *sharedServer) template(ctx context.Context, of string, prepare func(address string) error) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t, ok := h.templates[of]
	if !ok {
		t = new(template)
		if t.name, t.err = h.server.createDatabase(ctx, emptyTemplate); t.err == nil {
			t.err = prepare(h.server.databaseURL(t.name))
		}
		if h.templates == nil {
			h.templates = make(map[string]*template)
		}
		h.templates[of] = t
	}
	return t.name, t.err
}

func (h *sharedServer) get(ctx context.Context) (*Server, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.server == nil && h.err == nil {
		if address := os.Getenv(EnvURL); address != "" {
			h.server, h.err = Attach(address)
		} else {
			h.server, h.err = Start(ctx, Options{})
		}
	}
	return h.server, h.err
}

func (h *sharedServer) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.server != nil {
		h.dropTemplates()
		h.server.Stop()
	}
	h.server, h.err, h.templates = nil, nil, nil
}

// dropTemplates leaves nothing on a server that somebody else runs. h.mu is held.
func (h *sharedServer) dropTemplates() {
	ctx, cancel := context.WithTimeout(context.Background(), dropLimit)
	defer cancel()
	for _, t := range h.templates {
		if t.name != "" {
			_ = h.server.dropDatabase(ctx, t.name) // it does its best, as drop does
		}
	}
}
