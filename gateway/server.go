package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"portaria/internal/fault"
	"portaria/messaging"
)

// Options are the parts of a Server.
type Options struct {
	Auth        Authenticator
	Sender      Sender
	Acts        MessageActs
	Instances   Instances
	Connections Connections
	Numbers     Numbers
	Proxies     Proxies
	Pacer       Pacer
	Links       PairingLinks
	Streams     Streams
	Webhooks    Webhooks
	Deliveries  Deliveries
	Bulks       Bulks
	Steering    BulkControls
	OptOuts     OptOuts
	Reader      Reader
	Media       Media
	Awaiter     Awaiter
	Clocks      Clocks
	Controls    SandboxControls
	Contacts    SandboxContacts
	Runs        SandboxRuns
	World       SandboxWorld
	Idempotency IdempotencyStore
	Logs        RequestLogger
	Ready       Readiness
	Logger      *slog.Logger     // nil: slog.Default
	Now         func() time.Time // the machine's time; nil: time.Now
	// ClockOf returns the clock of a tenancy's world.
	ClockOf func(messaging.Tenancy) messaging.Clock
	// TrustedProxies are believed when they say who the caller is. Empty:
	// forwarding headers are ignored.
	TrustedProxies []netip.Prefix
	// PublicURL is the address under which callers reach the server, without a
	// slash at its end; empty: the one that it listens on.
	PublicURL string
	Version   string
	// Secret is the installation's, the same on every node. It keys what is kept
	// of bodies that hold a secret; without it, only their Idempotency-Key does.
	Secret []byte
	// SpoolDir is where the rows of bulks lie while their request is answered;
	// empty: where the system keeps such files.
	SpoolDir string
	// WriteStall is how long a caller may take nothing of an answer; zero: 30 s.
	WriteStall time.Duration
	// StopGrace is how long requests in flight may take when the server stops;
	// zero: 75 s.
	StopGrace time.Duration
}

// Server is the HTTP door.
type Server struct {
	Renderer

	auth        Authenticator
	sender      Sender
	acts        MessageActs
	instances   Instances
	connections Connections
	numbers     Numbers
	pacer       Pacer
	links       PairingLinks
	streaming   Streams
	webhooks    Webhooks
	deliveries  Deliveries
	bulks       Bulks
	steering    BulkControls
	optOuts     OptOuts
	reader      Reader
	media       Media
	awaiter     Awaiter
	clocks      Clocks
	controls    SandboxControls
	contacts    SandboxContacts
	runs        SandboxRuns
	testWorld   SandboxWorld
	idempotency IdempotencyStore
	logs        RequestLogger
	ready       Readiness
	logger      *slog.Logger
	now         func() time.Time
	clockOf     func(messaging.Tenancy) messaging.Clock
	trusted     []netip.Prefix
	version     string
	secret      []byte
	spoolDir    string
	stall       time.Duration
	grace       time.Duration
	base        atomic.Pointer[string] // the public URL, once it is known

	page   *pairPage
	phone  *scanPage
	misses *throttle // of tokens and PINs
	begins *throttle // of pairings by one link
	looks  *throttle // at the pairing of one link

	app       *fiber.App
	rows      []Row
	document  func() ([]byte, error)
	schemas   func() (map[string][]byte, error) // of events, by their paths
	exchanges sync.Pool
	flight    inFlight
	bodies    *shares // bytes of long bodies
	spools    *shares // bytes of uploads on the disk
	streams   *shares // of events

	// stopping ends when the server begins to stop, so that patient requests
	// answer at once. It is no request's context.
	stopping context.Context //nolint:containedctx // see above
	stop     context.CancelFunc
	closed   atomic.Bool // intake has ended
}

const (
	// headerDeadline is how long a request's headers may take to arrive.
	headerDeadline = 10 * time.Second
	// idleDeadline is how long a kept connection may be silent.
	idleDeadline = 2 * time.Minute
	// readBuffer is also the largest size of all headers together.
	readBuffer = 16 << 10
	// stopGrace is how long requests in flight may take when the server stops.
	stopGrace = 75 * time.Second
	// cutGrace is how long they may take after that, without their connections.
	cutGrace = 5 * time.Second
)

// New returns a server that does not listen yet. It fails when a part is
// missing or when a route under /v1 is not a row of the table.
func New(o Options) (*Server, error) {
	for name, part := range map[string]any{
		"Auth": o.Auth, "Sender": o.Sender, "Acts": o.Acts, "Instances": o.Instances, "Reader": o.Reader, "Media": o.Media,
		"Connections": o.Connections, "Numbers": o.Numbers, "Proxies": o.Proxies, "Pacer": o.Pacer, "Links": o.Links,
		"Streams": o.Streams, "Webhooks": o.Webhooks, "Deliveries": o.Deliveries,
		"Bulks": o.Bulks, "Steering": o.Steering, "OptOuts": o.OptOuts,
		"Awaiter": o.Awaiter,
		"Clocks":  o.Clocks, "Controls": o.Controls, "Contacts": o.Contacts, "Runs": o.Runs, "World": o.World,
		"Idempotency": o.Idempotency, "Logs": o.Logs, "Ready": o.Ready,
	} {
		if part == nil {
			return nil, fmt.Errorf("gateway: Options.%s is missing", name)
		}
	}
	if o.ClockOf == nil {
		return nil, errors.New("gateway: Options.ClockOf is missing")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.WriteStall <= 0 {
		o.WriteStall = writeStall
	}
	if o.StopGrace <= 0 {
		o.StopGrace = stopGrace
	}
	s := &Server{
		Renderer: NewRenderer(o.Proxies), streaming: o.Streams, webhooks: o.Webhooks, deliveries: o.Deliveries,
		auth: o.Auth, sender: o.Sender, acts: o.Acts, instances: o.Instances, reader: o.Reader, media: o.Media,
		connections: o.Connections, numbers: o.Numbers, pacer: o.Pacer, links: o.Links,
		misses: newThrottle(missesPerMinute, missesPerMinute), begins: newThrottle(beginsPerMinute, beginsPerMinute),
		looks:   newThrottle(looksPerMinute, looksPerMinute/4),
		awaiter: o.Awaiter, clocks: o.Clocks,
		controls: o.Controls, contacts: o.Contacts, runs: o.Runs, testWorld: o.World,
		idempotency: o.Idempotency, logs: o.Logs, ready: o.Ready, logger: o.Logger, now: o.Now, clockOf: o.ClockOf,
		trusted: o.TrustedProxies, version: o.Version,
		bulks: o.Bulks, steering: o.Steering, optOuts: o.OptOuts, spoolDir: o.SpoolDir, spools: newShares(spoolDisk, spoolShare),
		bodies: newShares(bodyMemory, bodyShare), streams: newShares(maxStreams, streamsEach),
		secret: o.Secret, stall: o.WriteStall, grace: o.StopGrace,
	}
	s.base.Store(&o.PublicURL)
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.document, s.schemas = sync.OnceValues(s.buildDocument), sync.OnceValues(EventSchemas)
	s.app = newApp(s)
	return s, s.mountAll()
}

// newApp configures Fiber. docs/adr/0007-fiber-settings.md has the reasons.
func newApp(s *Server) *fiber.App {
	app := fiber.New(fiber.Config{
		AppName:               "portaria",
		DisableStartupMessage: true,
		Immutable:             true,
		CaseSensitive:         true,
		StrictRouting:         true,
		ErrorHandler:          s.engineError,
		ReadBufferSize:        readBuffer,
		ReadTimeout:           headerDeadline,
		IdleTimeout:           idleDeadline,
		StreamRequestBody:     true,
		// With streaming, the limit only says how much fasthttp reads before the
		// handler runs: one byte, instead of up to 8 KiB that it would wait for.
		// The real limit is the row's (body.go).
		BodyLimit:                    1,
		DisablePreParseMultipartForm: true,
	})
	app.Server().Handler = s.intake(app.Handler())
	return app
}

// mountAll mounts the table and the open routes, and checks that nothing else
// is under /v1.
func (s *Server) mountAll() error {
	s.rows = s.table()
	for i := range s.rows {
		if err := s.mount(&s.rows[i]); err != nil {
			return err
		}
	}
	if err := s.mountOpen(); err != nil {
		return err
	}
	if err := s.mountPairing(); err != nil {
		return err
	}
	if err := s.mountScan(); err != nil {
		return err
	}
	return s.verifyMounted()
}

// intake is what every request meets first: whether the server still takes
// any, and whether its method exists at all.
func (s *Server) intake(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(c *fasthttp.RequestCtx) {
		switch {
		case s.closed.Load():
			c.SetConnectionClose()
			s.refuse(c, fault.ErrShuttingDown)
		case !knownMethod(c):
			s.refuse(c, ErrMethodNotAllowed)
		default:
			next(c)
		}
	}
}

// knownMethod reports whether Fiber knows a request's method; it would answer
// others in plain text.
func knownMethod(c *fasthttp.RequestCtx) bool {
	switch string(c.Method()) {
	case fiber.MethodGet, fiber.MethodHead, fiber.MethodPost, fiber.MethodPut, fiber.MethodPatch, fiber.MethodDelete,
		fiber.MethodConnect, fiber.MethodOptions, fiber.MethodTrace:
		return true
	default:
		return false
	}
}

// engineError answers what Fiber and fasthttp refuse: unknown routes, headers
// that are too large, requests that are not HTTP.
func (s *Server) engineError(c *fiber.Ctx, err error) error {
	s.refuse(c.Context(), engineFault(err))
	return nil
}

// refuse answers a request that no row has taken.
func (s *Server) refuse(c *fasthttp.RequestCtx, err error) {
	x := s.begin(c, nil)
	defer x.end()
	x.refuse(err)
	if guarded(string(c.Path())) {
		x.log()
	}
}

// publicURL is the address under which callers reach the server, without a
// slash at its end.
func (s *Server) publicURL() string { return *s.base.Load() }

// reachedAt makes the address of the listener the public URL unless another was
// set. One that stands for every address of the machine is shown as localhost:
// what the machine is called elsewhere, only its operator knows.
func (s *Server) reachedAt(addr net.Addr) {
	if s.publicURL() != "" {
		return
	}
	base := "http://" + addr.String()
	if at, err := netip.ParseAddrPort(addr.String()); err == nil && at.Addr().IsUnspecified() {
		base = "http://localhost:" + strconv.Itoa(int(at.Port()))
	}
	s.base.Store(&base)
}

// Handler returns the door as a fasthttp handler, for tests that need no
// listener.
func (s *Server) Handler() fasthttp.RequestHandler { return s.app.Server().Handler }

// Rows returns the route table, for tests and documentation.
func (s *Server) Rows() []Row { return slices.Clone(s.rows) }

// Document returns the OpenAPI document.
func (s *Server) Document() ([]byte, error) { return s.document() }

// Serve answers requests until ctx ends and those in flight have finished, or
// have used up their time. Late requests on kept connections are told
// SHUTTING_DOWN. A Server serves once.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	s.reachedAt(listener.Addr())
	polite := newPoliteListener(listener, s.stall)
	done := make(chan error, 1)
	go func() { done <- s.app.Listener(polite) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.closed.Store(true)
	s.stop()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.grace)
	defer cancel()
	err := s.app.ShutdownWithContext(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		s.cut(polite)
		err = nil
	}
	// Should the listener not have been taken over yet, this is what ends it;
	// otherwise it is closed already.
	_ = listener.Close()
	if served := <-done; err == nil && served != nil && !errors.Is(served, net.ErrClosed) {
		err = served
	}
	if err != nil {
		return fmt.Errorf("stop serving: %w", err)
	}
	return nil
}

// cut ends the connections that outlast the stop, and waits a moment for their
// requests to notice.
func (s *Server) cut(listener *politeListener) {
	s.logger.Warn("connections were cut: their callers did not finish in time", "connections", listener.cutAll())
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	enough := time.After(cutGrace)
	for s.app.Server().GetOpenConnectionsCount() > 0 {
		select {
		case <-tick.C:
		case <-enough:
			return
		}
	}
}
