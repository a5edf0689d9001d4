// Package testpg brings a throw-away PostgreSQL to the tests, so that every
// store test runs on both engines with no set-up by hand.
//
// It uses the server binaries of the machine, or installs Debian's package
// when it may, or fails with a sentence that says what to install. The server
// runs as an unprivileged user on a free loopback port in a temporary folder.
// Nothing stays behind, however this process ends (testbin.Child).
package testpg

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"portaria/internal/testbin"
)

// superuser is the role that initdb makes. Anyone on loopback may use it.
const superuser = "postgres"

// startLimit bounds each try to bring a server up.
const startLimit = 3 * time.Minute

// Options choose how a server is run. The zero value is a fast one.
type Options struct {
	// Durable keeps fsync on, as in production. Without it the server is
	// faster and a crash of the machine would lose data, which no test minds.
	Durable bool
}

// Server is a PostgreSQL server that this process uses. Its methods may be
// called from several goroutines.
type Server struct {
	address *url.URL
	dir     string         // of the server, while this process runs it
	child   *testbin.Child // nil when somebody else runs the server
}

// Start brings a server up. The context bounds the start only; the server
// runs until Stop or until this process ends.
func Start(ctx context.Context, opts Options) (*Server, error) {
	bin, err := serverBinaries(ctx)
	if err != nil {
		return nil, err
	}
	user, err := unprivilegedUser()
	if err != nil {
		return nil, err
	}
	// Between choosing a free port and binding it another process may take it.
	for range 3 {
		var s *Server
		if s, err = start(ctx, bin, user, opts); err == nil || !errors.Is(err, errExited) {
			return s, err
		}
	}
	return nil, err
}

func start(ctx context.Context, bin string, user testbin.Account, opts Options) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	dir, err := user.Folder("portaria-pg-")
	if err != nil {
		return nil, err
	}
	if err := initDB(ctx, bin, dir, user); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	port, err := testbin.FreePort(ctx)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	child, err := launch(bin, dir, port, user, opts)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &Server{
		address: &url.URL{
			Scheme: "postgres", User: url.User(superuser), Host: net.JoinHostPort("127.0.0.1", port),
			Path: "/postgres", RawQuery: "sslmode=disable",
		},
		dir: dir, child: child,
	}
	if err := s.awaitReady(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// URL returns the address of the server's maintenance database.
func (s *Server) URL() string { return s.address.String() }

// Stop ends the server, removes its folder and waits for both. It may be
// called more than once, and does nothing to a server that somebody else runs.
func (s *Server) Stop() {
	if s.child != nil {
		s.child.Stop()
	}
}

// awaitReady polls until the server answers. It asks for the data directory,
// for another server may have been given the same port a moment ago.
func (s *Server) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		select {
		case <-s.child.Done():
			return fmt.Errorf("%w: %s", errExited, s.child.Words())
		case <-ctx.Done():
			return fmt.Errorf("testpg: PostgreSQL did not answer: %w: %s", errors.Join(ctx.Err(), last), s.child.Words())
		case <-tick.C:
		}
		var at string
		if at, last = s.dataDirectory(ctx); last == nil && at == data(s.dir) {
			return nil
		}
	}
}

func (s *Server) dataDirectory(ctx context.Context) (dir string, err error) {
	db, err := sql.Open("postgres", s.URL())
	if err != nil {
		return "", err
	}
	defer db.Close()
	err = db.QueryRowContext(ctx, "SHOW data_directory").Scan(&dir)
	return dir, err
}

// errExited says that the server ended before it answered.
var errExited = errors.New("testpg: PostgreSQL ended at once")

func launch(bin, dir, port string, user testbin.Account, opts Options) (*testbin.Child, error) {
	return testbin.Start(testbin.Command{
		Args: serverCommand(bin, dir, port, opts), Account: user, Folder: dir, Scratch: true,
		Signal: "QUIT", // which ends PostgreSQL at once
	})
}

func serverCommand(bin, dir, port string, opts Options) []string {
	command := []string{
		filepath.Join(bin, "postgres"), "-D", data(dir),
		"-c", "listen_addresses=127.0.0.1", "-c", "port=" + port,
		"-c", "unix_socket_directories=" + dir,
		"-c", "max_connections=200",
		"-c", "log_min_messages=fatal", // tests cause errors on purpose
	}
	if !opts.Durable {
		command = append(command, "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	}
	return command
}

// data is the folder of the database, which lies in the server's.
func data(dir string) string { return filepath.Join(dir, "data") }
