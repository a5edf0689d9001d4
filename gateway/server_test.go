package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"portaria/gateway"
	"portaria/gateway/gatewaytest"
	"portaria/instances/pairlink"
	"portaria/instances/proxy"
	"portaria/messaging"
)

func validatorOf(t *testing.T, h *house) *gatewaytest.Validator {
	t.Helper()
	document, err := h.server.Document()
	if err != nil {
		t.Fatal(err)
	}
	validator, err := gatewaytest.NewValidator(document)
	if err != nil {
		t.Fatal(err)
	}
	return validator
}

// A stop lets hands finish: what was begun is answered, what comes later on a
// kept connection is told to come back, and then Serve returns.
func TestStopFinishesWhatWasBegun(t *testing.T) {
	door := newCountingListener(t)
	h := openOn(t, door)
	token := h.locked(t, []string{"*"}, h.instance(t, "a").ID)
	begun, finish := make(chan struct{}), make(chan struct{})
	h.onAccept = func() { close(begun); <-finish }

	slow := dial(t, h)
	fmt.Fprintf(slow, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", token, len(hello), hello)
	<-begun
	late := dial(t, h)
	fmt.Fprintf(late, "GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nX-Slow: ", token) // its head is under way
	waitFor(t, "both to be let in", func() bool { return door.accepted.Load() == 2 })                  // who waits outside is turned away

	stopped := make(chan error, 1)
	go func() { stopped <- h.stop() }()
	waitFor(t, "the listener to close", func() bool {
		conn, err := net.Dial("tcp", h.addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	fmt.Fprint(late, "y\r\n\r\n")
	answer := answerOf(t, late)
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" || !answer.Close {
		t.Errorf("late: %s, Retry-After %q, close %v", answer.Status, answer.Header.Get("Retry-After"), answer.Close)
	}
	select {
	case err := <-stopped:
		t.Fatalf("Serve returned %v before the request had finished", err)
	default:
	}
	close(finish)
	if got := answerOf(t, slow).StatusCode; got != http.StatusAccepted {
		t.Errorf("begun: %d", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve returned %v", err)
	}
}

// countingListener counts the connections that were accepted.
type countingListener struct {
	net.Listener

	accepted atomic.Int64
}

func newCountingListener(t *testing.T) *countingListener {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &countingListener{Listener: inner}
}

// Accept implements net.Listener.
func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return conn, err
}

// A caller that waits for a status must not hold up the stop.
func TestStopEndsPatientRequests(t *testing.T) {
	h := open(t)
	token := h.locked(t, []string{"*"}, h.instance(t, "a").ID)
	waiting := make(chan struct{})
	h.await = func(ctx context.Context) (messaging.Status, error) {
		close(waiting)
		<-ctx.Done()
		return messaging.StatusQueued, nil
	}
	conn := dial(t, h)
	fmt.Fprintf(conn, "POST /v1/messages?wait=sent&timeout=30s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", token, len(hello), hello)
	<-waiting
	began := time.Now()
	if err := h.stop(); err != nil {
		t.Errorf("Serve returned %v", err)
	}
	if took := time.Since(began); took > lastStop {
		t.Errorf("the stop took %v", took)
	}
	if got := answerOf(t, conn).StatusCode; got != http.StatusAccepted {
		t.Errorf("got %d, want 202 with the message as it stands", got)
	}
}

func TestWaitAnswers(t *testing.T) {
	h := open(t)
	token := h.locked(t, []string{"*"}, h.instance(t, "a").ID)
	for _, test := range []struct {
		name, query string
		await       func(context.Context) (messaging.Status, error)
		status      int
		code        string
	}{
		{"reached", "?wait=sent", func(context.Context) (messaging.Status, error) { return messaging.StatusRead, nil }, 200, ""},
		{"ended", "?wait=delivered", func(context.Context) (messaging.Status, error) { return messaging.StatusFailed, nil }, 200, ""},
		{"not yet", "?wait=delivered&timeout=1ms", func(ctx context.Context) (messaging.Status, error) {
			<-ctx.Done()
			return messaging.StatusSent, nil
		}, 202, ""},
		{"the wait breaks", "?wait=sent", func(context.Context) (messaging.Status, error) { return "", io.ErrUnexpectedEOF }, 202, ""},
		{"unknown status", "?wait=read", nil, 400, "BAD_REQUEST"},
		{"too long", "?wait=sent&timeout=31s", nil, 400, "BAD_REQUEST"},
		{"bare number", "?wait=sent&timeout=5", nil, 400, "BAD_REQUEST"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h.await = test.await
			h.Expect(t, post("/v1/messages"+test.query, token, hello), test.status, test.code)
		})
	}
}

// Whoever opens a connection and says nothing is let go; a stop does not wait
// for it.
func TestStopDoesNotWaitForIdleConnections(t *testing.T) {
	h := open(t)
	kept := dial(t, h)
	fmt.Fprint(kept, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(kept), nil); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > lastStop {
		t.Errorf("the stop took %v", took)
	}
}

func TestServeReturnsWhenItsContextHasEndedBefore(t *testing.T) {
	h := open(t)
	options := gateway.Options{
		Auth: nobody{}, Sender: h.world, Instances: h.world, Reader: h.world, Awaiter: h.world, Clocks: h.world,
		Media: h.library(t), Connections: h.world, Numbers: h.world, Proxies: new(proxy.Book), Pacer: h.world, Links: pairlink.New(newLinkStore(h.world), nil),
		Idempotency: h.world, Logs: h.world, Ready: h.world, ClockOf: func(messaging.Tenancy) messaging.Clock { return machineClock{} },
	}
	furnish(t, h.world, &options)
	newBulkShelf(h.world, &options)
	newActsShelf(h.world, &options)
	newTestWorld(h.world, &options)
	server, err := gateway.New(options)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Serve(ctx, listener); err != nil {
		t.Error(err)
	}
}

func TestMissingPartsAreNamed(t *testing.T) {
	if _, err := gateway.New(gateway.Options{}); err == nil {
		t.Error("a door without parts was built")
	}
}

const (
	// patience is how long a test waits for what must happen.
	patience = 30 * time.Second
	// lastStop is how long a stop may take on a slow machine: less than what it
	// must not wait for.
	lastStop = 20 * time.Second
)

// waitFor polls until something holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
