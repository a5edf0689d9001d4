// Command portaria is a self-hosted messaging gateway: many WhatsApp instances
// behind one API in which every key opens only its own doors.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"portaria/internal/fault"
)

// Exit codes of every command.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// cli is the command line: every command, flag, variable and default.
type cli struct {
	Config

	Serve   serveCmd   `cmd:"" help:"Start the gateway."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// run parses the command line and runs one command.
func run(ctx context.Context, args []string, io streams) int {
	var c cli
	exit := -1
	parser, err := kong.New(&c,
		kong.Name("portaria"),
		kong.Description("A self-hosted messaging gateway in which every key opens only its own doors."),
		kong.Writers(io.out, io.err),
		kong.Exit(func(code int) { exit = code }),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(io),
	)
	if err != nil {
		fmt.Fprintln(io.err, "portaria:", err)
		return exitFailed
	}
	kctx, err := parser.Parse(args)
	if exit >= 0 {
		return exit // --help
	}
	if err != nil {
		fmt.Fprintln(io.err, "portaria:", err)
		return exitUsage
	}
	if err := kctx.Run(&c.Config); err != nil {
		return fail(io.err, err)
	}
	return exitDone
}

// fail prints what went wrong, for people: the sentence of a fault, and what
// caused it.
func fail(w io.Writer, err error) int {
	f := fault.As(err)
	if f == nil {
		fmt.Fprintln(w, "portaria:", err)
		return exitFailed
	}
	fmt.Fprintf(w, "portaria: %s (%s)\n", f.Message(), f.Code())
	if fields, ok := f.Details()["fields"].([]fault.Field); ok {
		for _, field := range fields {
			fmt.Fprintf(w, "  %s %s\n", field.Field, field.Message)
		}
	}
	if cause := errors.Unwrap(f); cause != nil {
		fmt.Fprintln(w, "  cause:", cause)
	}
	if f.Kind() == fault.Malformed || f.Kind() == fault.Invalid {
		return exitUsage
	}
	return exitFailed
}
