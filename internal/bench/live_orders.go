package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"os/exec"
	"strconv"
)

// orders is the name under which a child's methods are called.
const orders = "Orders"

// pipe is the two ends of a conversation over a process's standard streams.
type pipe struct {
	io.Reader
	io.Writer
	close func() error
}

// Close implements io.Closer.
func (p pipe) Close() error { return p.close() }

// obey serves a child's methods until its input ends.
func obey(receiver any, in io.ReadCloser, out io.Writer) error {
	server := rpc.NewServer()
	if err := server.RegisterName(orders, receiver); err != nil {
		return err
	}
	server.ServeCodec(jsonrpc.NewServerCodec(pipe{in, out, in.Close}))
	return nil
}

// servant is this program in another mode and process, taking orders.
type servant struct {
	calls *rpc.Client
	meter meter
	log   *logTail
	cmd   *exec.Cmd
}

// hire starts a servant.
func (b *bench) hire(ctx context.Context, mode string, args ...string) (*servant, error) {
	cmd := exec.CommandContext(ctx, b.self, append([]string{mode}, args...)...)
	s := &servant{cmd: cmd, log: new(logTail)}
	cmd.Stderr, cmd.SysProcAttr, cmd.Env = s.log, leash(), append(os.Environ(), "GOGC="+strconv.Itoa(servantGC))
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", mode, err)
	}
	s.meter.pid = cmd.Process.Pid
	s.calls = jsonrpc.NewClient(pipe{out, in, func() error { return errors.Join(in.Close(), out.Close()) }})
	return s, nil
}

// servantGC is how lazily a servant collects its garbage: as the gateway does,
// so that neither side wins by it.
const servantGC = 300

// do gives an order and waits until it has been carried out.
func (s *servant) do(ctx context.Context, order string, with, answer any) error {
	call := s.calls.Go(orders+"."+order, with, answer, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		if call.Error != nil {
			return fmt.Errorf("%s: %w: %s", order, call.Error, s.log)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tell gives orders that need no more than their names, one after the other.
func (s *servant) tell(ctx context.Context, order ...string) error {
	for _, o := range order {
		if err := s.do(ctx, o, struct{}{}, new(struct{})); err != nil {
			return err
		}
	}
	return nil
}

// dismiss ends the process. What it keeps is thrown away.
func (s *servant) dismiss() {
	_ = s.calls.Close()      // it may be gone
	_ = s.cmd.Process.Kill() // as above
	_ = s.cmd.Wait()         // it was killed, which is no news
}

// positive reads a number above zero.
func positive(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err == nil && n < 1 {
		err = fmt.Errorf("%d is not above zero", n)
	}
	return n, err
}
