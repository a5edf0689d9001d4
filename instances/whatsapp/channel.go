package whatsapp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"portaria/messaging"
)

// closePatience bounds Close. What has not ended by then hangs in a library or
// in the network, and is left to itself.
const closePatience = 8 * time.Second

var errClosing = errors.New("whatsapp: a channel did not end in time")

// channel is one live instance's way to WhatsApp. One goroutine lives its life
// (life.go); sends come from the instance's lane, events from whatsmeow.
type channel struct {
	driver    *Driver
	facts     messaging.Instance // as they were when the channel was opened
	log       *slog.Logger
	transport *http.Transport
	lines     lines
	timing    Timing

	ctx  context.Context // ends with Close
	stop context.CancelFunc

	gate   sync.Mutex // guards closed, and that nothing is added to work after it
	closed bool
	work   sync.WaitGroup

	link    atomic.Pointer[link] // the session that messages go through; nil while no phone is linked
	online  atomic.Bool          // messages can go
	signals chan signal          // from whatsmeow to life
	told    told                 // life's own

	people  people   // whom messages go to
	waits   waits    // who could not be written to yet
	reach   reachOut // the lock on writing to strangers
	recent  recent   // messages that receipts will be about
	uploads uploads
	pulse   pulse
	asks    *rate.Limiter // questions about recipients
	checks  *rate.Limiter // questions of callers
}

var _ messaging.Channel = (*channel)(nil)

func newChannel(ctx context.Context, d *Driver, facts messaging.Instance) *channel {
	c := &channel{
		driver: d, facts: facts, log: d.log.With("instance", facts.ID), timing: d.o.Timing,
		signals: make(chan signal, 64),
		asks:    rate.NewLimiter(askedPerSecond, askedAtOnce),
		checks:  rate.NewLimiter(checkedPerHour/rate.Limit(time.Hour/time.Second), checkedAtOnce),
		told:    told{state: facts.State, reason: facts.StateReason, until: facts.StateUntil, name: facts.PushName},
	}
	c.reach.now = c.now
	c.ctx, c.stop = context.WithCancel(ctx)
	return c
}

// begin starts the channel's life.
func (c *channel) begin() {
	if c.enter() {
		go func() {
			defer c.work.Done()
			c.live(c.ctx)
		}()
	}
}

// enter notes that something is in hand which Close must wait for; false: the
// channel is closing.
func (c *channel) enter() bool {
	c.gate.Lock()
	defer c.gate.Unlock()
	if c.closed {
		return false
	}
	c.work.Add(1)
	return true
}

// Close implements messaging.Channel.
func (c *channel) Close() error {
	c.gate.Lock()
	c.closed = true
	c.gate.Unlock()
	c.stop()
	ended := make(chan struct{})
	go func() {
		c.work.Wait()
		close(ended)
	}()
	patience := time.NewTimer(closePatience)
	defer patience.Stop()
	defer c.transport.CloseIdleConnections()
	select {
	case <-ended:
		return nil
	case <-patience.C:
		return errClosing
	}
}

// pause waits; false when the channel closes meanwhile.
func (c *channel) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *channel) now() time.Time { return c.driver.o.Now() }
