package wasim

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// run is the time between a start and the next stop: one listener and all
// connections that came through it.
type run struct {
	ctx    context.Context // ends when the run is stopped
	cancel context.CancelFunc
	server *http.Server

	mu       sync.Mutex // guards stopping, and orders Add before Wait
	stopping bool
	work     sync.WaitGroup
}

type runKey struct{}

func startRun(s *Server, listener net.Listener) *run {
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{ctx: ctx, cancel: cancel}
	r.server = &http.Server{
		Handler:           r.guard(s.routes()),
		ReadHeaderTimeout: handshakeTimeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	secure := tls.NewListener(netutil.LimitListener(listener, s.maxConns), &tls.Config{
		GetCertificate: s.authority.leaf,
		NextProtos:     []string{"http/1.1"},
		MinVersion:     tls.VersionTLS12,
	})
	r.work.Go(func() {
		if err := r.server.Serve(secure); !isStopped(err) {
			s.log.Error("wasim stopped serving", "error", err)
		}
	})
	return r
}

// routes is every address that the server answers.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/ws/chat", s.serveChat)
	s.mediaRoutes(mux)
	return mux
}

// guard lets requests in until the run is stopped and gives them the run's
// context: net/http neither waits for hijacked connections nor ends them.
func (r *run) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !r.enter() {
			http.Error(w, "stopping", http.StatusServiceUnavailable)
			return
		}
		defer r.work.Done()
		next.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), runKey{}, r)))
	})
}

func (r *run) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopping {
		return false
	}
	r.work.Add(1)
	return true
}

// stop ends the run and waits for everything in it.
func (r *run) stop() error {
	r.mu.Lock()
	r.stopping = true
	r.mu.Unlock()
	r.cancel()
	err := r.server.Close()
	r.work.Wait()
	if isStopped(err) {
		return nil
	}
	return err
}
