// Package testpg brings a throw-away PostgreSQL to the tests, so that every
// store test runs on both engines with no set-up by hand.
//
// It uses the server binaries of the machine, or installs Debian's package
// when it may, or fails with a sentence that says what to install. The server
// runs as an unprivileged user on a free loopback port in a temporary folder.
//
// It promises that nothing stays behind: a small shell stands between this
// process and the server and holds the reading end of a pipe. However this
// process ends, by Stop, by a panic or by kill -9, the pipe closes, and the
// shell stops the server and removes the folder. (PR_SET_PDEATHSIG would follow
// the thread that started the server, not the process, and leave the folder.)
package testpg

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// superuser is the role that initdb makes. Anyone on loopback may use it.
const superuser = "postgres"

// startLimit bounds each try to bring a server up.
const startLimit = time.Minute

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
	process *process // nil when somebody else runs the server
}

// Start brings a server up. The context bounds the start only; the server
// runs until Stop or until this process ends.
func Start(ctx context.Context, opts Options) (*Server, error) {
	bin, err := machine().serverBinaries(ctx)
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

func start(ctx context.Context, bin string, user *account, opts Options) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	dir, err := newFolder(user)
	if err != nil {
		return nil, err
	}
	if err := initDB(ctx, bin, dir, user); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	p, err := launch(bin, dir, port, user, opts)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &Server{
		address: &url.URL{
			Scheme: "postgres", User: url.User(superuser), Host: net.JoinHostPort("127.0.0.1", port),
			Path: "/postgres", RawQuery: "sslmode=disable",
		},
		process: p,
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
	if s.process != nil {
		s.process.stop()
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
		case <-s.process.done:
			return fmt.Errorf("%w: %s", errExited, s.process.log)
		case <-ctx.Done():
			return fmt.Errorf("testpg: PostgreSQL did not answer: %w: %s", errors.Join(ctx.Err(), last), s.process.log)
		case <-tick.C:
		}
		var data string
		if data, last = s.dataDirectory(ctx); last == nil && data == s.process.data() {
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

// process is the shell that keeps one server, and the pipe that keeps the shell.
type process struct {
	dir  string
	log  *tail
	done chan struct{} // closed when server and shell have ended

	once  sync.Once
	leash io.Closer
}

// keeper runs the server and waits until it ends or standard input closes,
// then removes the folder. "read" is built in, so no second process waits.
const keeper = `
folder=$1; shift
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r _ <&3; kill -QUIT "$server"; } &
watcher=$!
wait "$server"
kill "$watcher" 2>/dev/null
cd / && rm -rf "$folder"
`

func launch(bin, dir, port string, user *account, opts Options) (*process, error) {
	held, leash, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("testpg: %w", err)
	}
	defer held.Close()
	p := &process{dir: dir, log: new(tail), done: make(chan struct{}), leash: leash}
	args := append([]string{"-c", keeper, "testpg", dir}, serverCommand(bin, dir, port, opts)...)
	cmd := exec.Command("/bin/sh", args...) //nolint:noctx // it outlives the context of its start
	cmd.Dir, cmd.Env = dir, user.environment()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = held, p.log, p.log
	// A group of its own: Ctrl-C in a terminal is for the tests to handle.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: user.credential}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("testpg: start PostgreSQL: %w", err), leash.Close())
	}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // a server that was told to end tells nothing by its status
	}()
	return p, nil
}

func serverCommand(bin, dir, port string, opts Options) []string {
	command := []string{
		filepath.Join(bin, "postgres"), "-D", filepath.Join(dir, "data"),
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

func (p *process) data() string { return filepath.Join(p.dir, "data") }

func (p *process) stop() {
	p.once.Do(func() { _ = p.leash.Close() }) // closing a pipe's end does not fail
	<-p.done
}

func freePort(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("testpg: free port: %w", err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
