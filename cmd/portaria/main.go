// Command portaria is a self-hosted messaging gateway: many WhatsApp instances
// behind one API in which every key opens only its own doors.
package main

import (
	"context"
	"io"
	"os"
	"slices"
	_ "time/tzdata" // quiet hours name time zones, and not every machine has the list

	"github.com/alecthomas/kong"
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

	Serve      serveCmd      `cmd:"" help:"Start the gateway."`
	Migrate    migrateCmd    `cmd:"" help:"Bring the database to this version's schema, or show where it stands."`
	Workspaces workspacesCmd `cmd:"" help:"Make and list workspaces."`
	Instances  instancesCmd  `cmd:"" help:"Make, list, pair, connect and delete instances."`
	Keys       keysCmd       `cmd:"" help:"Make, list, show, revoke, rotate and check API keys."`
	Logs       logsCmd       `cmd:"" help:"Show which key made which request, with what result."`
	Send       sendCmd       `cmd:"" help:"Send a message through the HTTP API."`
	Bulk       bulkCmd       `cmd:"" help:"Send a message to every row of a file, and watch it."`
	Listen     listenCmd     `cmd:"" help:"Show events as they happen, forward them to a local program, or receive webhooks."`
	Sandbox    sandboxCmd    `cmd:"" help:"Play the phone, the contacts and the network of test instances, or whole scripts."`
	Wasim      wasimCmd      `cmd:"" help:"Rehearse without a phone, on a simulated WhatsApp."`
	Doctor     doctorCmd     `cmd:"" help:"Check configuration, data, database, clock and disk, and say what to mend."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

// Help implements kong.HelpProvider.
func (*serveCmd) Help() string {
	return `With nothing configured: SQLite in ./data, on 127.0.0.1:8080. The first start on an empty database prints a test key
and a command to try it with. SIGTERM and Ctrl-C let what is in hand finish; a second one ends at once.

  portaria serve
  portaria serve --listen 0.0.0.0:8080 --database-url postgres://portaria@localhost/portaria`
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
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.ExplicitGroups([]kong.Group{{Key: settingsGroup, Title: "Settings of every command:"}}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(io),
	)
	if err != nil {
		return fail(io, false, err)
	}
	kctx, err := parser.Parse(args)
	if exit >= 0 {
		return exit // --help
	}
	if err != nil {
		return fail(io, slices.Contains(args, "--json"), usageError(err.Error()))
	}
	if err := kctx.Run(&c.Config); err != nil {
		return fail(io, c.JSON, err)
	}
	return exitDone
}
