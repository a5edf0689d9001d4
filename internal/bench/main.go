// Command bench measures the HTTP figures of docs/BENCHMARKS.md:
//
//	go run ./internal/bench                     everything, about half an hour
//	go run ./internal/bench -only accepts -engines sqlite -rounds 3
//	go run ./internal/bench -markdown docs/BENCHMARKS.md
//
// Figures of one machine say little on another, and identical runs differ on a
// busy one. So nearly every figure is a ratio inside one round: the variants
// take turns, each in a fresh process, and what is printed is the median of the
// rounds' ratios. The yardstick R is a plain Fiber server (raw.go) under the
// same load, in the same seconds (beside.go). It needs Linux, for CPU time is
// read from /proc.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	// Children are tied to the thread that starts them (leash_linux.go).
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are what the command line chooses.
type options struct {
	only     []string
	engines  []string
	rounds   int
	measure  time.Duration
	warm     time.Duration
	conns    int
	messages int
	deadend  time.Duration // zero: as the sections say (steadyFor)
	markdown string
	perf     string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		if child, ok := children()[args[0]]; ok {
			return report(stderr, child(ctx, args[1:], stdout))
		}
	}
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitDone
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return exitUsage
	}
	return report(stderr, measureAll(ctx, o, stdout, stderr))
}

// children are the modes in which bench runs itself as another process.
func children() map[string]func(context.Context, []string, io.Writer) error {
	return map[string]func(context.Context, []string, io.Writer) error{
		childRaw:      serveRaw,
		childMemory:   weighInstances,
		childBare:     serveBare,
		childLive:     serveLiveHouse,
		childReceiver: serveReceiver,
		childPoster:   servePoster,
	}
}

func report(stderr io.Writer, err error) int {
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return exitFailed
	}
	return exitDone
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "comma-separated sections; empty: all of "+strings.Join(sections(), ","))
	engines := flags.String("engines", "sqlite,postgres", "comma-separated databases to measure on")
	flags.IntVar(&o.rounds, "rounds", 5, "how often the variants take turns")
	flags.DurationVar(&o.measure, "duration", 3*time.Second, "how long each variant is measured")
	flags.DurationVar(&o.warm, "warmup", time.Second, "how long each variant runs before that")
	flags.IntVar(&o.conns, "connections", 64, "connections of the load")
	flags.IntVar(&o.messages, "messages", 20_000, "messages of a life cycle")
	flags.DurationVar(&o.deadend, "deadend", 0, "how long events are told to ten webhooks of which one is dead; 0: 1m0s when all sections are measured, else 5s")
	flags.StringVar(&o.markdown, "markdown", "", "also write the tables between the marks of this `file`")
	flags.StringVar(&o.perf, "perf", "", "record each measured server with perf, into this `folder`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.only, err = chosen("-only", *only, sections()); err != nil {
		return o, err
	}
	if o.engines, err = chosen("-engines", *engines, []string{sqlite, postgres}); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q", flags.Arg(0))
	case o.rounds < 1, o.conns < 1, o.messages < 1, o.measure <= 0, o.warm < 0, o.deadend < 0:
		return o, errors.New("-rounds, -connections, -messages and -duration must be positive")
	}
	return o, nil
}

// chosen reads a comma-separated list of known names; all of them when empty.
func chosen(name, list string, known []string) ([]string, error) {
	if list == "" {
		return known, nil
	}
	names := strings.Split(list, ",")
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, fmt.Errorf("%s: %q is none of %s", name, n, strings.Join(known, ", "))
		}
	}
	return names, nil
}

// measureAll runs the rounds and prints the tables.
func measureAll(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	if o.markdown != "" { // before minutes of work, not behind them
		if err := checkMarks(o.markdown); err != nil {
			return err
		}
	}
	wanted := selectMetrics(o)
	b, err := newBench(ctx, o, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	doc := document{when: time.Now(), options: o, machine: b.machine(ctx)}
	rounds, err := b.rounds(ctx, wanted)
	if err != nil {
		return err
	}
	doc.took, doc.rows, doc.absolutes = time.Since(doc.when), evaluate(wanted, rounds), b.absolutes(rounds)
	if err := doc.print(stdout); err != nil {
		return err
	}
	if o.markdown == "" {
		return nil
	}
	return doc.writeInto(o.markdown)
}
