package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"portaria/events/webhooks"
)

// childReceiver is the mode in which bench is what webhooks lead to. It counts
// what comes, and answers 200 with nothing.
const childReceiver = "receive-webhooks"

// verified is how many deliveries come for each one whose signature is looked
// at: the receiver shares the cores with what is measured.
const verified = 1000

// serveReceiver is the child's main: it obeys until nobody gives orders.
func serveReceiver(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) != 0 {
		return errors.New(childReceiver + " wants no arguments")
	}
	r := &receiver{ctx: ctx}
	defer r.close()
	return obey(r, os.Stdin, stdout)
}

// receiver has a door for each webhook, on a port of its own: they would lead to
// different machines.
type receiver struct {
	ctx   context.Context
	doors []*door
}

// Open makes n doors and returns their addresses.
func (r *receiver) Open(n int, addresses *[]string) error {
	*addresses = nil
	for range n {
		listener, err := new(net.ListenConfig).Listen(r.ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		d := new(door)
		d.server = &fasthttp.Server{Handler: d.receive, NoDefaultServerHeader: true, NoDefaultDate: true}
		d.ended.Go(func() { d.fault = d.server.Serve(listener) })
		r.doors = append(r.doors, d)
		*addresses = append(*addresses, listener.Addr().String())
	}
	return nil
}

// Trust tells each door the secret that its deliveries are signed with.
func (r *receiver) Trust(secrets []string, _ *struct{}) error {
	if len(secrets) != len(r.doors) {
		return fmt.Errorf("%d secrets for %d doors", len(secrets), len(r.doors))
	}
	for i, text := range secrets {
		secret, err := webhooks.ParseSecret(text)
		if err != nil {
			return err
		}
		r.doors[i].secret.Store(&secret)
	}
	return nil
}

// Hold leaves what comes without an answer, from the door with the given number
// on, until Release.
func (r *receiver) Hold(from int, _ *struct{}) error { //nolint:unparam // net/rpc wants an error of every method
	for _, d := range r.doors[from:] {
		gate := make(chan struct{})
		d.gate.Store(&gate)
	}
	return nil
}

// Release answers what was held.
func (r *receiver) Release(struct{}, *struct{}) error { //nolint:unparam // as above
	for _, d := range r.doors {
		if gate := d.gate.Swap(nil); gate != nil {
			close(*gate)
		}
	}
	return nil
}

// Time has the doors note from now on how old the events are that they hear of.
func (r *receiver) Time(struct{}, *struct{}) error { //nolint:unparam // as above
	for _, d := range r.doors {
		d.timed.Store(true)
	}
	return nil
}

// Tally is what has been answered at all doors.
type Tally struct {
	Each  []int64 // deliveries, by door
	Bytes int64   // of all bodies
	Wrong int64   // of those looked at, deliveries with a wrong signature or without a time
}

// Count returns the tally.
func (r *receiver) Count(_ struct{}, t *Tally) error { //nolint:unparam // as above
	*t = Tally{}
	for _, d := range r.doors {
		t.Each = append(t.Each, d.count.Load())
		t.Bytes += d.bytes.Load()
		t.Wrong += d.wrong.Load()
	}
	return nil
}

// Ages is how old events were when they came, in nanoseconds.
type Ages struct{ P50, P99, Max time.Duration }

// Ages returns what the first n doors have noted since Time.
func (r *receiver) Ages(n int, a *Ages) error {
	var all []time.Duration
	for _, d := range r.doors[:n] {
		d.mu.Lock()
		all = append(all, d.ages...)
		d.mu.Unlock()
	}
	if len(all) == 0 {
		return errors.New("no delivery was timed")
	}
	slices.Sort(all)
	*a = Ages{P50: percentile(all, 0.50), P99: percentile(all, 0.99), Max: all[len(all)-1]}
	return nil
}

// lastAnswers is how long a receiver that closes lets answers under way end, and
// waits for connections on which nothing was ever asked: nobody else closes these.
const lastAnswers = time.Second

func (r *receiver) close() {
	_ = r.Release(struct{}{}, nil) // it never fails
	ctx, cancel := context.WithTimeout(context.Background(), lastAnswers)
	defer cancel()
	for _, d := range r.doors {
		_ = d.server.ShutdownWithContext(ctx) // the process ends
		d.ended.Wait()
	}
}

// door is what one webhook leads to.
type door struct {
	server *fasthttp.Server
	ended  sync.WaitGroup
	fault  error

	count, bytes, wrong atomic.Int64
	gate                atomic.Pointer[chan struct{}] // nil: everything is answered at once
	secret              atomic.Pointer[webhooks.Secret]
	timed               atomic.Bool

	mu   sync.Mutex
	ages []time.Duration
}

func (d *door) receive(c *fasthttp.RequestCtx) {
	came := time.Now()
	if gate := d.gate.Load(); gate != nil {
		<-*gate
	}
	body := c.PostBody()
	if d.timed.Load() {
		d.note(came, body)
	}
	if secret := d.secret.Load(); secret != nil && d.count.Load()%verified == 0 && !signed(&c.Request.Header, body, came, *secret) {
		d.wrong.Add(1)
	}
	d.bytes.Add(int64(len(body)))
	d.count.Add(1)
}

func signed(h *fasthttp.RequestHeader, body []byte, now time.Time, secret webhooks.Secret) bool {
	header := make(http.Header)
	for _, name := range []string{webhooks.HeaderID, webhooks.HeaderTimestamp, webhooks.HeaderSignature} {
		header.Set(name, string(h.Peek(name)))
	}
	return webhooks.Verify(header, body, now, secret) == nil
}

func (d *door) note(came time.Time, body []byte) {
	happened, ok := eventTime(body)
	if !ok {
		d.wrong.Add(1)
		return
	}
	d.mu.Lock()
	d.ages = append(d.ages, came.Sub(happened))
	d.mu.Unlock()
}

// eventTime finds when an event happened, without decoding all of it: its own
// timestamp comes before its data.
func eventTime(body []byte) (time.Time, bool) {
	_, rest, _ := bytes.Cut(body, []byte(`"timestamp":"`))
	text, _, ok := bytes.Cut(rest, []byte(`"`))
	if !ok {
		return time.Time{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, string(text))
	return at, err == nil
}
