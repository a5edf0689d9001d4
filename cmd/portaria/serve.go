package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/store"
)

// serveCmd starts the gateway.
type serveCmd struct {
	Listen     string   `help:"Address to listen on." default:"127.0.0.1:8080" env:"PORTARIA_LISTEN" placeholder:"HOST:PORT"`
	MediaAllow []string `name:"media-allow-cidrs" help:"CIDRs that the URL of a message's file may lead to though they are not public." env:"PORTARIA_MEDIA_ALLOW_CIDRS" placeholder:"CIDR"`
	ProxyAllow []string `name:"proxy-allow-cidrs" help:"CIDRs in which an instance's own proxy may stand though they are not public." env:"PORTARIA_PROXY_ALLOW_CIDRS" placeholder:"CIDR"`
	HookAllow  []string `name:"webhook-allow-cidrs" help:"CIDRs that a webhook may lead to though they are not public." env:"PORTARIA_WEBHOOK_ALLOW_CIDRS" placeholder:"CIDR"`
	HookHTTP   bool     `name:"webhook-allow-http" help:"Take plain http:// for webhooks too." env:"PORTARIA_WEBHOOK_ALLOW_HTTP"`
	NATS       string   `name:"nats-url" help:"NATS server whose JetStream gets every event; empty: none." env:"PORTARIA_NATS_URL" placeholder:"URL"`
	EventLife  string   `name:"event-retention" help:"How long events are kept, as 30d: 1d at least." default:"30d" env:"PORTARIA_EVENT_RETENTION" placeholder:"DURATION"`
	PublicURL  string   `help:"Address under which callers reach the gateway; empty: the one it listens on." env:"PORTARIA_PUBLIC_URL" placeholder:"URL"`

	WhatsApp standIn `embed:"" prefix:"whatsapp-"`
}

var errListen = fault.New(fault.Unavailable, "LISTEN_FAILED",
	"The address cannot be listened on: another program may use the port, or the address is not this machine's. Choose another --listen.")

// Run implements the command. SIGTERM or Ctrl-C stop intake and let hands
// finish; a second signal ends at once.
func (cmd *serveCmd) Run(ctx context.Context, c *Config, io streams) error {
	if err := cmd.checkPublicURL(); err != nil {
		return err
	}
	log := c.logger(io.err)
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal has its default effect: it ends the process

	o, err := cmd.options(c, log)
	if err != nil {
		return err
	}
	life, err := cmd.eventLife()
	if err != nil {
		return err
	}
	endpoint, err := cmd.WhatsApp.prepare(log)
	if err != nil {
		return err
	}
	s, err := c.openServerStore(ctx, log, life)
	if err != nil {
		return err
	}
	sessions, err := c.openSessions(ctx, log)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	sessions.endpoint, o.whatsapp = endpoint, sessions
	if o.secretKey, err = c.secretKey(); err != nil { // which is the database's: that has been checked
		return errors.Join(err, sessions.Close(), s.Close())
	}
	a, err := newApp(s, o)
	if err != nil {
		return errors.Join(err, sessions.Close(), s.Close())
	}
	return errors.Join(cmd.run(ctx, a, io), a.close())
}

// options are those of the settings that need no database.
func (cmd *serveCmd) options(c *Config, log *slog.Logger) (o appOptions, err error) {
	o = appOptions{
		log: log, bcryptCost: c.BcryptCost, publicURL: cmd.PublicURL, mediaDir: filepath.Join(c.DataDir, mediaFolder), spoolDir: c.DataDir,
	}
	if o.trustedProxies, err = c.trustedProxies(); err != nil {
		return o, err
	}
	if o.mediaAllow, err = cidrs("PORTARIA_MEDIA_ALLOW_CIDRS", cmd.MediaAllow); err != nil {
		return o, err
	}
	if o.proxyAllow, err = cidrs("PORTARIA_PROXY_ALLOW_CIDRS", cmd.ProxyAllow); err != nil {
		return o, err
	}
	o.sinks = sinkOptions{allowHTTP: cmd.HookHTTP, natsURL: cmd.NATS, alone: true} // openServerStore sees to that
	o.sinks.allow, err = cidrs("PORTARIA_WEBHOOK_ALLOW_CIDRS", cmd.HookAllow)
	return o, err
}

// leastEventLife is the shortest retention: webhooks are tried again for days,
// and streams resumed after an evening.
const leastEventLife = 24 * time.Hour

// eventLife is how long events are kept.
func (cmd *serveCmd) eventLife() (time.Duration, error) {
	life, err := messaging.ParseDuration(cmd.EventLife)
	if err != nil || life < leastEventLife {
		return 0, fault.Fields{{Field: "PORTARIA_EVENT_RETENTION", Rule: "duration", Message: "must be a duration of 1d at least, as in 30d"}}.Err()
	}
	return life, nil
}

// checkPublicURL refuses what no caller could reach, and what would break the
// command that the banner makes of it, before anything is touched.
func (cmd *serveCmd) checkPublicURL() (err error) {
	if cmd.PublicURL != "" {
		cmd.PublicURL, err = serverURL("--public-url", cmd.PublicURL)
	}
	return err
}

func (cmd *serveCmd) run(ctx context.Context, a *app, io streams) error {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", cmd.Listen)
	if err != nil {
		return errListen.Because(err)
	}
	if err := cmd.begin(ctx, a, io, listener.Addr()); err != nil {
		return errors.Join(err, listener.Close())
	}
	defer runtime.KeepAlive(tuneCollector())
	a.log.Info("listening", "address", listener.Addr().String(), "database", a.store.Engine(), "version", version())
	if err := a.serve(ctx, listener); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	a.log.Info("stopped")
	return nil
}

// begin takes up what an earlier process left, and welcomes whoever starts the
// first one.
func (cmd *serveCmd) begin(ctx context.Context, a *app, io streams, bound net.Addr) error {
	if err := a.recover(ctx); err != nil {
		return err
	}
	welcome, err := a.firstRun(ctx)
	if err != nil || welcome == nil {
		return err
	}
	base := cmd.PublicURL
	if base == "" {
		base = "http://" + bound.String()
	}
	return a.welcomed(ctx, welcome, io.err, base)
}

// gcPercent lets the heap grow to four times what is alive before it is
// collected: the server's live heap is small, and its garbage comes fast.
const gcPercent = 300

// heapFloor is what the collector takes for alive in any case. Without it, a
// server whose live heap is a few MiB would collect several times a second under
// load; nothing is ever written there, so that it takes no memory.
const heapFloor = 16 << 20

// tuneCollector sets gcPercent and returns what makes heapFloor, unless the
// operator has set GOGC.
func tuneCollector() (floor []byte) {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	debug.SetGCPercent(gcPercent)
	return make([]byte, heapFloor)
}

// openServerStore opens the database for a server: alone on a SQLite file,
// migrated, and made with this secret key.
func (c *Config) openServerStore(ctx context.Context, log *slog.Logger, eventLife time.Duration) (*store.Store, error) {
	return c.openStore(ctx, log, store.Options{Exclusive: true, EventRetention: eventLife})
}

// openStore opens the database and brings it to this version's schema. o says
// how, besides the settings.
func (c *Config) openStore(ctx context.Context, log *slog.Logger, o store.Options) (*store.Store, error) {
	url, err := c.databaseURL()
	if err != nil {
		return nil, err
	}
	if err := c.prepareDataDir(log); err != nil {
		return nil, err
	}
	o.DatabaseURL, o.DataDir, o.Logger = url, c.DataDir, log
	s, err := store.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := c.makeReady(ctx, s, o.Exclusive); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// makeReady migrates and, for a server, checks the secret key against the
// database's memory of it.
func (c *Config) makeReady(ctx context.Context, s *store.Store, server bool) error {
	if err := s.Migrate(ctx); err != nil {
		return err
	}
	if !server {
		return nil
	}
	key, err := c.secretKey()
	if err != nil {
		return err
	}
	mark := fingerprint(key)
	if _, err := s.SetFact(ctx, secretKeyFact, mark); err != nil {
		return err
	}
	known, err := s.Fact(ctx, secretKeyFact)
	if err != nil {
		return err
	}
	if known != mark {
		return errSecretKey
	}
	return nil
}
