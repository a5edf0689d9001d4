package natssink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	connectLimit = 5 * time.Second
	// pingEvery is how often an idle connection is tried; after two pings without
	// an answer it is lost.
	pingEvery = 20 * time.Second
)

// What a stream that the sink creates is like.
const (
	streamAge = 30 * 24 * time.Hour
	// repeatWindow is how long the server knows an event by its id. It has to
	// outlast a restart between an acknowledgement and the cursor.
	repeatWindow = 10 * time.Minute
)

// session is one connection. It never mends itself: the library would send what
// it holds back behind what was lost, and so out of order.
type session struct {
	conn    *nats.Conn
	js      jetstream.JetStream
	ready   bool          // the stream is there
	lost    chan struct{} // closed with the connection
	refusal chan error    // of one place: that the server forbade what is being sent
	release context.CancelFunc

	mu      sync.Mutex
	sending string // guarded by mu; what the subjects of what is being sent begin with
}

// connect tries each of the servers once.
func (s *Sink) connect(ctx context.Context) (*session, error) {
	ctx, release := context.WithCancel(ctx)
	c := &session{lost: make(chan struct{}), refusal: make(chan error, 1), release: release}
	var once sync.Once
	conn, err := nats.Connect(s.address.url,
		nats.Name("portaria"), nats.NoReconnect(),
		nats.Timeout(connectLimit), nats.SkipHostLookup(), nats.SetCustomDialer(dialer{ctx}),
		nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(2),
		nats.ClosedHandler(func(*nats.Conn) { once.Do(func() { close(c.lost) }) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.note(err) }))
	if err != nil {
		release()
		return nil, err
	}
	c.conn = conn
	if c.js, err = jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(2*pageSize)); err != nil {
		c.close()
		return nil, err
	}
	s.log.Info("connected to NATS", "address", conn.ConnectedAddr(), "server", conn.ConnectedServerVersion())
	return c, nil
}

// dialer ends what it dials with its context: the end of Run does not wait for a
// server that says nothing.
type dialer struct{ ctx context.Context }

// Dial implements nats.CustomDialer.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: connectLimit}).DialContext(d.ctx, network, address)
	if err == nil {
		context.AfterFunc(d.ctx, func() { conn.Close() })
	}
	return conn, err
}

// note keeps a refusal for who waits for acknowledgements: none will come. The
// server says only which subject it has refused, and may say it late, for each of
// a page.
func (c *session) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !errors.Is(err, nats.ErrPermissionViolation) || c.sending == "" ||
		!strings.Contains(strings.ToLower(err.Error()), strings.ToLower(`"`+c.sending)) {
		return
	}
	select {
	case c.refusal <- err:
	default:
	}
}

// begin says what is sent from now on, and forgets what was refused before.
func (c *session) begin(subjects string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sending = subjects
	select {
	case <-c.refusal:
	default:
	}
}

func (c *session) isLost() bool {
	select {
	case <-c.lost:
		return true
	default:
		return false
	}
}

// close returns when the connection's last callback has run.
func (c *session) close() {
	c.conn.Close()
	c.release()
	<-c.lost
}

// openStream finds the stream, or creates it. One that is there is used as it
// is: its operator's limits and replicas are not ours to change.
func (s *Sink) openStream(ctx context.Context, c *session) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.AckWait)
	defer cancel()
	_, err := c.js.Stream(ctx, s.options.Stream)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("JetStream is not enabled there: %w", err)
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("find stream %s: %w", s.options.Stream, err)
	}
	_, err = c.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: s.options.Stream, Description: "Events of Portaria", Subjects: []string{s.options.Subjects + ".>"},
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, MaxAge: streamAge, Duplicates: repeatWindow,
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was faster
		return nil
	}
	if err != nil {
		return fmt.Errorf("create stream %s: %w", s.options.Stream, err)
	}
	s.log.Info("stream created", "stream", s.options.Stream, "subjects", s.options.Subjects+".>")
	return nil
}
