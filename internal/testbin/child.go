package testbin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// Command says what a child is.
type Command struct {
	Args    []string // the program's path and what it is given
	Account Account
	Folder  string // where it works
	// Scratch has the folder removed when the child has ended, however it ends.
	Scratch bool
	// Signal ends it, by the name that kill(1) takes; empty: KILL.
	Signal string
}

// Child is a server that this process runs. Nothing of it stays behind: a small
// shell stands between this process and the server and holds the reading end of
// a pipe. However this process ends, by Stop, by a panic or by kill -9, the pipe
// closes, and the shell stops the server. (PR_SET_PDEATHSIG would follow the
// thread that started the server, not the process, and leave the folder.)
type Child struct {
	log   *tail
	done  chan struct{} // closed when server and shell have ended
	once  sync.Once
	leash io.Closer
}

// keeper runs the server and waits until it ends or standard input closes,
// then removes the folder, if any. "read" is built in, so no second process
// waits.
const keeper = `
folder=$1; signal=$2; shift 2
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r _ <&3; kill "-$signal" "$server"; } &
watcher=$!
wait "$server"
kill "$watcher" 2>/dev/null
[ -z "$folder" ] || { cd / && rm -rf "$folder"; }
`

// Start runs a child until Stop or until this process ends. That it runs does
// not mean that it answers.
func Start(c Command) (*Child, error) {
	held, leash, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("testbin: %w", err)
	}
	defer held.Close()
	child := &Child{log: new(tail), done: make(chan struct{}), leash: leash}
	scratch, signal := "", c.Signal
	if c.Scratch {
		scratch = c.Folder
	}
	if signal == "" {
		signal = "KILL"
	}
	args := append([]string{"-c", keeper, "testbin", scratch, signal}, c.Args...)
	cmd := exec.Command("/bin/sh", args...) //nolint:noctx // it outlives the context of its start
	cmd.Dir, cmd.Env = c.Folder, c.Account.Environment()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = held, child.log, child.log
	// A group of its own: Ctrl-C in a terminal is for the tests to handle.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.Account.Credential}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("testbin: start %s: %w", c.Args[0], err), leash.Close())
	}
	go func() {
		defer close(child.done)
		_ = cmd.Wait() // a server that was told to end tells nothing by its status
	}()
	return child, nil
}

// Stop ends the child by its signal and waits until it has ended and its scratch
// folder is gone. It may be called more than once.
func (c *Child) Stop() {
	c.once.Do(func() { _ = c.leash.Close() }) // closing a pipe's end does not fail
	<-c.done
}

// Done is closed when the child has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Words returns the last of what the child has written.
func (c *Child) Words() string { return c.log.String() }

// FreePort returns a port of loopback that was free a moment ago. Another
// process may take it: who starts a server there has to be ready to try again.
func FreePort(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("testbin: free port: %w", err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
