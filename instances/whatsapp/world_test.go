package whatsapp_test

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portaria/instances/whatsapp"
	"portaria/messaging"
	"portaria/store"
	"portaria/wasim"
)

const (
	// patience is how long a test waits for what must happen.
	patience = 30 * time.Second
	// lastClose is how long closing a channel may take: less than any wait of
	// whatsmeow.
	lastClose = 15 * time.Second
)

// The numbers of the stories: ours, and people's.
const (
	ours = "5511900000001"
	ana  = "5511988880001"
	beto = "5511988880002"
)

// quick makes the waits of a story short, but those for answers of the network: a
// slow machine is no lost acknowledgement.
var quick = whatsapp.Timing{
	Ack: 5 * time.Second, Ping: 5 * time.Second, ReconnectMin: 20 * time.Millisecond, ReconnectMax: 200 * time.Millisecond,
	RetryMin: 10 * time.Millisecond, RetryMax: 50 * time.Millisecond,
}

// world is a simulated network, a driver on it, and what the driver recorded.
type world struct {
	t        *testing.T
	sim      *wasim.Server
	driver   *whatsapp.Driver
	journal  *journal
	board    *board
	shelf    *shelf
	settings atomic.Value // []byte
	dials    atomic.Int64

	proxy      atomic.Pointer[url.URL] // of every instance; nil: none
	unreadable atomic.Bool             // it cannot be had

	ahead atomic.Int64 // how far the driver's clock is ahead, in nanoseconds
}

// newWorld makes a world, beside those of other tests: most of their time is
// waited for.
func newWorld(t *testing.T, timing whatsapp.Timing) *world {
	t.Helper()
	t.Parallel()
	w := &world{t: t, journal: newJournal(), board: &board{}, shelf: newShelf()}
	w.settings.Store([]byte("{}"))
	sim, err := wasim.Start(wasim.Options{Logger: slog.New(slog.DiscardHandler), FewKeys: fewKeys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	w.sim = sim
	w.open(store.Options{DataDir: t.TempDir()}, timing)
	return w
}

// open makes the driver on a database of sessions.
func (w *world) open(o store.Options, timing whatsapp.Timing) {
	w.t.Helper()
	db, dialect, err := store.OpenWhatsApp(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { db.Close() })
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	sessions, err := whatsapp.OpenSessions(w.t.Context(), db, dialect, log)
	if err != nil {
		w.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(wasim.CAPEM())
	w.driver, err = whatsapp.New(whatsapp.Options{
		Sessions: sessions, Reporter: w.journal, Pairings: w.board, Index: w.journal, Media: w.shelf,
		Settings: func(messaging.Instance) []byte { return w.settings.Load().([]byte) },
		Endpoint: &whatsapp.Endpoint{Addr: w.sim.Addr(), CA: pool},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			w.dials.Add(1)
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
		Proxy: w.proxied, DialProxy: dialProxy,
		TempDir: w.t.TempDir(), Timing: timing, Logger: log,
		Now: func() time.Time { return time.Now().UTC().Add(time.Duration(w.ahead.Load())) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// phone is an instance of a story and its channel.
type phone struct {
	w       *world
	facts   messaging.Instance
	channel messaging.Channel
}

// instance makes a live instance that nothing is linked to.
func (w *world) instance() *phone {
	now := time.Now().UTC()
	return &phone{w: w, facts: messaging.Instance{
		ID: messaging.NewID(messaging.InstancePrefix, now), WorkspaceID: "wsp_story", Environment: messaging.Live, Name: "story",
		Driver: messaging.DriverWhatsApp, Desired: messaging.DesiredConnected, State: messaging.InstanceCreated, StateSince: now,
		Metadata: []byte("{}"), Settings: []byte("{}"), CreatedAt: now,
	}}
}

// ask opens the channel as the manager does when the owner has asked.
func (p *phone) ask(ask messaging.Ask) {
	p.w.t.Helper()
	p.close()
	p.w.journal.follow(&p.facts)
	p.facts.Ask, p.facts.AskedAt = ask, time.Now().UTC()
	p.open()
}

// open opens the channel for the facts as they are.
func (p *phone) open() {
	p.w.t.Helper()
	live, ok := p.facts.Live()
	if !ok {
		p.w.t.Fatal("not a live instance")
	}
	channel, err := p.w.driver.Open(p.w.t.Context(), live)
	if err != nil {
		p.w.t.Fatal(err)
	}
	p.channel = channel
	p.w.t.Cleanup(p.close)
}

func (p *phone) close() {
	p.w.t.Helper()
	if p.channel == nil {
		return
	}
	began := time.Now()
	if err := p.channel.Close(); err != nil {
		p.w.t.Error(err)
	}
	if took := time.Since(began); took > lastClose {
		p.w.t.Errorf("closing took %s", took)
	}
	p.channel = nil
}

// linked returns an instance that a phone has been linked to by its QR.
func (w *world) linked(number string) *phone {
	w.t.Helper()
	p := w.instance()
	p.ask(messaging.AskConnect)
	qr := p.w.board.await(w.t, p.facts.ID, func(shown messaging.Pairing) bool { return shown.QR != "" })
	if err := w.sim.Phone(number).ScanQR(w.t.Context(), qr.QR); err != nil {
		w.t.Fatal(err)
	}
	p.await(messaging.InstanceConnected)
	return p
}

// await waits until the instance is seen in a state.
func (p *phone) await(state messaging.InstanceState) messaging.InstanceChange {
	p.w.t.Helper()
	var last messaging.InstanceChange
	p.w.eventually("the instance is "+string(state), func() bool {
		last = p.last()
		return last.State == state
	})
	return last
}

// changes returns what was recorded of the instance.
func (p *phone) changes() []messaging.InstanceChange {
	return records[messaging.InstanceChange](p.w.journal, func(c messaging.InstanceChange) bool { return c.InstanceID == p.facts.ID })
}

// last returns what was recorded last; nothing if nothing was.
func (p *phone) last() (last messaging.InstanceChange) {
	if changes := p.changes(); len(changes) > 0 {
		last = changes[len(changes)-1]
	}
	return last
}

// states returns the states of the instance, in order.
func (p *phone) states() (states []messaging.InstanceState) {
	for _, c := range p.changes() {
		if len(states) == 0 || states[len(states)-1] != c.State {
			states = append(states, c.State)
		}
	}
	return states
}

// text makes a message to a number.
func (p *phone) text(to, body string) messaging.Outgoing {
	return p.message(to, messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: body}})
}

func (p *phone) message(to string, content messaging.Content) messaging.Outgoing {
	m := messaging.Outgoing{
		WorkspaceID: p.facts.WorkspaceID, Environment: p.facts.Environment, InstanceID: p.facts.ID,
		MessageID: messaging.NewID(messaging.MessagePrefix, time.Now()), WAMessageID: messaging.NewWAMessageID(),
		To:      messaging.Address{Input: "+" + to, WAID: to + "@" + messaging.UserServer},
		Content: content, Attempt: 1,
	}
	p.w.journal.sent(m.WAMessageID, m.MessageID)
	return m
}

// send sends a batch once.
func (p *phone) send(batch ...messaging.Outgoing) []messaging.Outcome {
	return p.channel.Send(p.w.t.Context(), batch)
}

// deliver sends a batch as a lane does: what is deferred comes again, in order.
func (p *phone) deliver(batch ...messaging.Outgoing) {
	p.w.t.Helper()
	deadline := time.Now().Add(patience)
	for len(batch) > 0 {
		var rest []messaging.Outgoing
		window := min(p.channel.Window(), len(batch))
		for i, o := range p.send(batch[:window]...) {
			if o.Verdict == messaging.Deferred {
				if o.Try() {
					batch[i].Attempt++
				}
				rest = append(rest, batch[i])
			} else if o.Verdict != messaging.Accepted {
				p.w.t.Fatalf("%s: verdict %d, %+v", batch[i].MessageID, o.Verdict, o.Error)
			}
		}
		batch = append(rest, batch[window:]...)
		if time.Now().After(deadline) {
			p.w.t.Fatalf("%d messages are still deferred", len(batch))
		}
		if len(rest) > 0 {
			pauseFor(10 * time.Millisecond)
		}
	}
}

// pauseFor waits where polling needs it.
func pauseFor(d time.Duration) { <-time.After(d) }

// eventually waits until a condition holds.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			w.t.Fatalf("did not happen: %s; recorded: %+v", what, w.journal.all())
		}
		pauseFor(5 * time.Millisecond)
	}
}

// status waits until a message has a status.
func (w *world) status(m messaging.Outgoing, want messaging.Status) {
	w.t.Helper()
	w.eventually(string(want)+" of "+m.MessageID, func() bool {
		return len(records[messaging.StatusChange](w.journal, func(c messaging.StatusChange) bool {
			return c.MessageID == m.MessageID && c.Status == want
		})) > 0
	})
}

// inbound waits for a message from a contact, by its WhatsApp id.
func (w *world) inbound(id string) messaging.Message {
	w.t.Helper()
	var found []messaging.InboundMessage
	w.eventually("inbound "+id, func() bool {
		found = records[messaging.InboundMessage](w.journal, func(m messaging.InboundMessage) bool { return m.Message.WAMessageID == id })
		return len(found) > 0
	})
	return found[0].Message
}

// journal is a reporter that remembers, and an index of what it remembers.
type journal struct {
	mu       sync.Mutex
	recorded []messaging.Record
	broken   error
	refuses  func(messaging.Record) bool // for what is in it
	byWAID   map[string]string
}

func newJournal() *journal { return &journal{byWAID: make(map[string]string)} }

// Report implements messaging.Reporter.
func (j *journal) Report(_ context.Context, records ...messaging.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return j.broken
	}
	if j.refuses != nil && slices.ContainsFunc(records, j.refuses) {
		return messaging.ErrUnrecordable
	}
	j.recorded = append(j.recorded, records...)
	return nil
}

func (j *journal) setBroken(broken bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = nil
	if broken {
		j.broken = errors.New("the disk is full")
	}
}

func (j *journal) refuse(what func(messaging.Record) bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refuses = what
}

func (j *journal) sent(waID, messageID string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.byWAID[waID] = messageID
}

// MessagesByWAID implements whatsapp.Index.
func (j *journal) MessagesByWAID(_ context.Context, _ string, _ messaging.Environment, _ string, waIDs []string) (map[string]string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	found := make(map[string]string)
	for _, waID := range waIDs {
		if id, ok := j.byWAID[waID]; ok {
			found[waID] = id
		}
	}
	return found, nil
}

// Received implements whatsapp.Index.
func (j *journal) Received(_ context.Context, _ string, _ messaging.Environment, instanceID, waID string) (bool, error) {
	return len(records[messaging.InboundMessage](j, func(m messaging.InboundMessage) bool {
		return m.Message.InstanceID == instanceID && m.Message.WAMessageID == waID
	})) > 0, nil
}

// WroteToUs implements whatsapp.Index.
func (j *journal) WroteToUs(_ context.Context, _ string, _ messaging.Environment, instanceID, waID string) (bool, error) {
	return len(records[messaging.InboundMessage](j, func(m messaging.InboundMessage) bool {
		return m.Message.InstanceID == instanceID && m.Message.Peer.WAID == waID
	})) > 0, nil
}

func (j *journal) all() []messaging.Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]messaging.Record(nil), j.recorded...)
}

// follow brings an instance's facts up to what was recorded, as the store does.
func (j *journal) follow(i *messaging.Instance) {
	for _, c := range records[messaging.InstanceChange](j, func(c messaging.InstanceChange) bool { return c.InstanceID == i.ID }) {
		i.State, i.StateReason, i.StateUntil = c.State, c.Reason, c.Until
		if c.Done.Equal(i.AskedAt) {
			i.Ask = messaging.AskNothing
		}
		if c.Linked != nil {
			i.LinkedID, i.PushName = c.Linked.ID, c.Linked.PushName
			if c.Linked.Phone != "" {
				i.Phone = c.Linked.Phone
			}
		}
		if c.Undone {
			i.Desired = messaging.DesiredDisconnected
		}
	}
}

// records returns those records of a kind that are wanted.
func records[R messaging.Record](j *journal, wanted func(R) bool) (found []R) {
	for _, r := range j.all() {
		if typed, ok := r.(R); ok && wanted(typed) {
			found = append(found, typed)
		}
	}
	return found
}

// board shows pairing codes.
type board struct {
	mu    sync.Mutex
	shown map[string]messaging.Pairing
}

// ShowPairing implements whatsapp.Pairings.
func (b *board) ShowPairing(_ context.Context, p messaging.Pairing) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown == nil {
		b.shown = make(map[string]messaging.Pairing)
	}
	b.shown[p.InstanceID] = p
	return nil
}

// HidePairing implements whatsapp.Pairings.
func (b *board) HidePairing(_ context.Context, _ string, _ messaging.Environment, instanceID string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.shown, instanceID)
	return nil
}

func (b *board) showing() map[string]messaging.Pairing {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.shown)
}

func (b *board) await(t *testing.T, instanceID string, wanted func(messaging.Pairing) bool) messaging.Pairing {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		if p, ok := b.showing()[instanceID]; ok && wanted(p) {
			return p
		}
		if time.Now().After(deadline) {
			t.Fatal("no pairing code is shown")
		}
		pauseFor(5 * time.Millisecond)
	}
}
