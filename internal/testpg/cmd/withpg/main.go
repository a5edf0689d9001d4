// Command withpg runs a command beside a throw-away PostgreSQL:
//
//	go run ./internal/testpg/cmd/withpg -- go test ./...
//
// It sets TEST_DATABASE_URL for the command, hands it the signals that it gets
// itself, stops the server when the command has ended and exits as it did. A
// TEST_DATABASE_URL that is set already is left alone. Without a command it
// prints the address and waits for Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"portaria/internal/testpg"
)

// The exit codes of withpg's own failures; others are the command's.
const (
	exitFailed = 1
	exitUsage  = 2
)

// signalBase is what shells add to a signal's number.
const signalBase = 128

func main() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	os.Exit(run(context.Background(), os.Args[1:], signals, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, signals <-chan os.Signal, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("withpg", flag.ContinueOnError)
	flags.SetOutput(stderr)
	durable := flags.Bool("durable", false, "keep fsync on, as in production (for benchmarks)")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	server, err := open(ctx, *durable)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	defer server.Stop()
	if flags.NArg() == 0 {
		fmt.Fprintf(stdout, "export %s='%s'\n", testpg.EnvURL, server.URL())
		fmt.Fprintln(stderr, "PostgreSQL is running; Ctrl-C stops it and removes its data.")
		<-signals
		return 0
	}
	code, err := beside(server, flags.Args(), signals, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, err)
	}
	return code
}

func open(ctx context.Context, durable bool) (*testpg.Server, error) {
	if address := os.Getenv(testpg.EnvURL); address != "" {
		return testpg.Attach(address)
	}
	return testpg.Start(ctx, testpg.Options{Durable: durable})
}

// beside runs the command while the server lives and returns its exit code.
func beside(server *testpg.Server, args []string, signals <-chan os.Signal, stdout, stderr io.Writer) (int, error) {
	cmd := exec.Command(args[0], args[1:]...) //nolint:noctx // it ends by itself or by a signal that is handed on
	cmd.Env = append(os.Environ(), testpg.EnvURL+"="+server.URL())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, stdout, stderr
	if err := cmd.Start(); err != nil {
		return exitFailed, fmt.Errorf("withpg: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s) // it may have ended this moment
		case err := <-ended:
			return exitCode(cmd, err)
		}
	}
}

func exitCode(cmd *exec.Cmd, err error) (int, error) {
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		return exitFailed, fmt.Errorf("withpg: %w", err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return signalBase + int(status.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}
