package wasim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"portaria/internal/fault"
)

// ErrClosed is returned by what needs a server that runs after Close.
var ErrClosed = fault.New(fault.Unavailable, "WASIM_CLOSED", "The simulated server is closed.")

// defaultMaxConns is Options.MaxConns when it is zero.
const defaultMaxConns = 4096

// Options are the settings of a server. The zero value listens on a free port
// of the loopback, logs nothing and answers at once.
type Options struct {
	Addr      string        // where to listen; empty means 127.0.0.1:0
	Logger    *slog.Logger  // nil means no log
	RoundTrip time.Duration // every answer leaves this much later; answers overlap and keep their order
	MaxConns  int           // connections at the same time, 4096 when zero; more wait to be accepted
	StateFile string        // where accounts, devices, sessions and queues outlive the process; empty: nowhere
	FewKeys   bool          // a device that was just linked is told that the server has a key of it, and uploads 50 instead of 812
}

// Server is a running simulator. Its methods may be called from any goroutine.
type Server struct {
	log       *slog.Logger
	maxConns  int
	fewKeys   bool
	authority *authority
	noise     *noiseIdentity
	transport *http.Transport
	media     *mediaStore

	// The tables are made by Start and never written again.
	stanzas map[string]stanzaHandler
	iqs     map[iqKey]iqHandler
	linkIQs map[iqKey]iqHandler

	roundTrip  atomic.Int64
	extraDelay atomic.Int64 // of FaultRoundTrip
	faults     atomic.Pointer[FaultPlan]
	book       faultBook
	ids        atomic.Uint64
	arrivals   atomic.Uint64

	// addr is read by those whom stop waits for, so it is not under mu.
	addr atomic.Pointer[string]

	mu      sync.Mutex // guards current, closed, outage
	current *run
	closed  bool
	outage  outage

	accountsMu sync.RWMutex
	accounts   map[string]*account

	calls  calls
	groups groupBook
	typing typingLog

	state *stateFile // nil without Options.StateFile

	linkingMu sync.Mutex
	linking   map[[32]byte]*conn // clients that show a QR code, by Noise key
}

// Start listens and serves until Close.
func Start(opts Options) (*Server, error) {
	quietLibsignal()
	identity, err := newNoiseIdentity()
	if err != nil {
		return nil, err
	}
	s := &Server{
		log:       opts.Logger,
		maxConns:  opts.MaxConns,
		fewKeys:   opts.FewKeys,
		authority: newAuthority(),
		noise:     identity,
		stanzas:   stanzaTable(),
		iqs:       iqTable(),
		linkIQs:   linkIQTable(),
		accounts:  map[string]*account{},
		linking:   map[[32]byte]*conn{},
		media:     newMediaStore(maxMediaTotal),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.maxConns == 0 {
		s.maxConns = defaultMaxConns
	}
	addr := opts.Addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	s.addr.Store(&addr)
	s.SetRoundTrip(opts.RoundTrip)
	s.faults.Store(&FaultPlan{})
	s.transport = s.newTransport()
	if err := s.openState(opts.StateFile); err != nil {
		return nil, err
	}
	if err := s.listen(); err != nil {
		return nil, errors.Join(err, s.state.close())
	}
	return s, nil
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() string { return *s.addr.Load() }

// Close drops every connection, stops listening and waits for all that the
// server has started. A second Close does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.endOutageLocked()
	s.transport.CloseIdleConnections()
	return errors.Join(s.current.stop(), s.media.close(), s.state.close())
}

// Restart drops every connection and the listener, and listens again on the
// same address. Accounts, linked devices, sessions and queues are kept.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if err := s.current.stop(); err != nil {
		return err
	}
	s.endOutageLocked()
	return s.listenLocked()
}

// SetRoundTrip changes Options.RoundTrip from now on.
func (s *Server) SetRoundTrip(d time.Duration) { s.roundTrip.Store(int64(d)) }

// HTTPClient returns a client that reaches this server under every host name,
// with TLS verified against CAPEM. Give it to all three of whatsmeow's setters:
// SetWebsocketHTTPClient, SetPreLoginHTTPClient and SetMediaHTTPClient.
func (s *Server) HTTPClient() *http.Client { return &http.Client{Transport: s.transport} }

func (s *Server) newTransport() *http.Transport {
	roots := x509.NewCertPool()
	roots.AddCert(s.authority.certificate)
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, s.Addr())
		},
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     time.Minute,
	}
}

// nextID returns an id for a stanza that the server begins.
func (s *Server) nextID() string { return "wasim-" + strconv.FormatUint(s.ids.Add(1), 10) }

// Received returns what all contacts decrypted, in the order of arrival.
func (s *Server) Received() []Received {
	s.accountsMu.RLock()
	accounts := make([]*account, 0, len(s.accounts))
	for _, a := range s.accounts {
		accounts = append(accounts, a)
	}
	s.accountsMu.RUnlock()
	return mergeReceived(accounts)
}

func (s *Server) listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listenLocked()
}

func (s *Server) listenLocked() error {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", s.Addr())
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	addr := listener.Addr().String()
	s.addr.Store(&addr)
	s.current = startRun(s, listener)
	return nil
}

// isStopped reports whether err only says that the server was stopped.
func isStopped(err error) bool {
	return err == nil || errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed)
}
