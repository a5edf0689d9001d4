package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"
)

// patience bounds how long a server may take to answer at all.
const patience = 30 * time.Second

// process is a server that was started to be measured.
type process struct {
	address string
	pid     int
	log     *logTail
	began   time.Time // of exec
	meter   meter     // of what it costs, its database included

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// spawn starts a program that will listen on address.
func spawn(ctx context.Context, address string, env []string, program string, args ...string) (*process, error) {
	p := &process{address: address, log: new(logTail), done: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, program, args...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, io.Discard, p.log
	p.cmd.SysProcAttr = leash()
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	p.pid = p.cmd.Process.Pid
	p.meter.pid = p.pid
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // it is killed, which is no news
	}()
	return p, nil
}

// stop kills the server: its data is thrown away, so nothing is lost by it.
func (p *process) stop() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// listening waits until the server takes connections.
func (p *process) listening(ctx context.Context) error {
	return p.await(ctx, func() bool {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.address)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}

// said waits until the server has logged what matches.
func (p *process) said(ctx context.Context, what *regexp.Regexp) (found string, err error) {
	err = p.await(ctx, func() bool {
		found = string(what.Find(p.log.bytes()))
		return found != ""
	})
	return found, err
}

// await asks often, for start-up is measured with it.
func (p *process) await(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-p.done:
			return fmt.Errorf("the server ended: %s", p.log)
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready: %w: %s", ctx.Err(), p.log)
		case <-tick.C:
		}
	}
	return nil
}

// logTail keeps what a server says.
type logTail struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// logLimit bounds what is kept: the banner is at the beginning, and a server
// that says more than this says one thing many times.
const logLimit = 1 << 20

// Write implements io.Writer.
func (l *logTail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text.Len() < logLimit {
		l.text.Write(b)
	}
	return len(b), nil
}

func (l *logTail) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.text.Bytes())
}

// String returns the last lines.
func (l *logTail) String() string {
	lines := strings.Split(strings.TrimSpace(string(l.bytes())), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// freeAddress returns a loopback address that nobody listened on just now.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// cleanEnvironment is this process's, without settings of the product: what is
// measured are its defaults.
func cleanEnvironment(settings ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PORTARIA_") && !strings.HasPrefix(e, "DATABASE_URL") {
			env = append(env, e)
		}
	}
	return append(env, settings...)
}

// errStatus is the error of an answer that was not the expected one.
var errStatus = errors.New("unexpected answer")
