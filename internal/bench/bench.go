package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"portaria/internal/testpg"
)

// The databases.
const (
	sqlite   = "sqlite"
	postgres = "postgres"
)

// bench is what all variants share: the binaries, a folder that goes at the
// end, and a PostgreSQL when one is needed.
type bench struct {
	o        options
	progress io.Writer
	self     string // this binary
	portaria string // the product's
	dir      string
	database *database // nil without PostgreSQL

	deliverySize map[string]int // by variant: the mean bytes of its deliveries in this round
}

// newBench builds the product and brings up what the chosen variants need.
func newBench(ctx context.Context, o options, progress io.Writer) (b *bench, err error) {
	b = &bench{o: o, progress: progress, deliverySize: make(map[string]int)}
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "portaria-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = b.close() // the first error is the one to tell
		}
	}()
	b.portaria = filepath.Join(b.dir, "portaria")
	build := exec.CommandContext(ctx, "go", "build", "-o", b.portaria, "portaria/cmd/portaria")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build portaria: %w\n%s", err, out)
	}
	if slices.Contains(o.engines, postgres) && slices.ContainsFunc(selectMetrics(o), func(m metric) bool { return m.engine == postgres }) {
		if b.database, err = openDatabase(ctx); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// close removes everything.
func (b *bench) close() error {
	if b.database != nil {
		b.database.server.Stop()
	}
	return os.RemoveAll(b.dir)
}

// freshDir returns a new folder for one process's data.
func (b *bench) freshDir() (string, error) { return os.MkdirTemp(b.dir, "data-") }

// database is the PostgreSQL that the rounds share; each gets a database of
// its own in it.
type database struct {
	server     *testpg.Server
	postmaster int
}

// openDatabase uses the server of TEST_DATABASE_URL, which "make bench" sets,
// or starts one.
func openDatabase(ctx context.Context) (*database, error) {
	var server *testpg.Server
	var err error
	if address := os.Getenv(testpg.EnvURL); address != "" {
		server, err = testpg.Attach(address)
	} else {
		server, err = testpg.Start(ctx, testpg.Options{Durable: true})
	}
	if err != nil {
		return nil, err
	}
	pid, err := findPostmaster(server.URL())
	if err != nil {
		server.Stop()
		return nil, err
	}
	return &database{server: server, postmaster: pid}, nil
}
