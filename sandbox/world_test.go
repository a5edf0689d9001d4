package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portaria/messaging"
)

// epoch is when frozen worlds begin; timelines count from here.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var errDown = errors.New("database is down")

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// memory is a database in memory. Its zero value works.
type memory struct {
	mu      sync.Mutex
	down    bool
	rows    []Carried
	byKey   map[CarriageKey]int
	owed    map[CarriageKey]bool
	clocks  map[string]SavedClock
	carries int // calls of Carry
	settles int // calls of Settle
}

func (m *memory) Carry(_ context.Context, batch []Carried) ([]Taken, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return nil, errDown
	}
	if m.byKey == nil {
		m.byKey, m.owed = make(map[CarriageKey]int), make(map[CarriageKey]bool)
	}
	m.carries++
	taken := make([]Taken, len(batch))
	for i, c := range batch {
		at, known := m.byKey[c.Key()]
		if !known {
			at = len(m.rows)
			c.Position = int64(at + 1)
			m.rows = append(m.rows, c)
			m.byKey[c.Key()] = at
			if c.Owes {
				m.owed[c.Key()] = true
			}
		}
		taken[i] = Taken{Owed: m.owed[c.Key()], CarriedAt: m.rows[at].CarriedAt}
	}
	return taken, nil
}

func (m *memory) Settle(_ context.Context, keys []CarriageKey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errDown
	}
	m.settles++
	for _, k := range keys {
		delete(m.owed, k)
	}
	return nil
}

func (m *memory) Owed(_ context.Context, after CarriageKey, limit int) ([]Carried, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	compare := func(a, b CarriageKey) int {
		return cmp.Or(strings.Compare(a.InstanceID, b.InstanceID), strings.Compare(a.WAMessageID, b.WAMessageID))
	}
	var keys []CarriageKey
	for k := range m.owed {
		if compare(k, after) > 0 {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, compare)
	var out []Carried
	for _, k := range keys[:min(limit, len(keys))] {
		out = append(out, m.rows[m.byKey[k]])
	}
	return out, nil
}

func (m *memory) SandboxClock(_ context.Context, workspace string) (SavedClock, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return SavedClock{}, errDown
	}
	if saved, ok := m.clocks[workspace]; ok {
		return saved, nil
	}
	return SavedClock{Mode: Real}, nil
}

func (m *memory) SaveSandboxClock(_ context.Context, workspace string, saved SavedClock) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errDown
	}
	if m.clocks == nil {
		m.clocks = make(map[string]SavedClock)
	}
	m.clocks[workspace] = saved
	return nil
}

func (m *memory) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

// owing returns the number of debts.
func (m *memory) owing() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.owed)
}

// journal keeps what was reported.
type journal struct {
	mu      sync.Mutex
	records []messaging.Record
	batches []int
	refuse  func(records []messaging.Record) error // nil: never
}

func (j *journal) Report(_ context.Context, records ...messaging.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.refuse != nil {
		if err := j.refuse(records); err != nil {
			return err
		}
	}
	j.records = append(j.records, records...)
	j.batches = append(j.batches, len(records))
	return nil
}

func (j *journal) all() []messaging.Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.records)
}

// world is a workspace's test world on a frozen clock: the sandbox, with a
// small dispatcher that tries again what the network defers or holds.
type world struct {
	store   *memory
	journal *journal
	clocks  *Clocks
	driver  *Driver
	channel messaging.Channel
	lines   []string // what happened, in order

	mu      sync.Mutex
	retries []messaging.Outgoing // due now
	later   map[string]retry     // by message, not due yet
}

type retry struct {
	message messaging.Outgoing
	due     time.Time // zero: when the instance is connected
}

const (
	workspace  = "wsp_w"
	instanceID = "ins_i"
)

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{store: &memory{}, journal: &journal{}, later: make(map[string]retry)}
	w.start(t, messaging.InstanceConnected)
	if _, err := w.clocks.SetMode(t.Context(), workspace, Frozen); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.stop)
	return w
}

// start begins a process on the world's store.
func (w *world) start(t testing.TB, state messaging.InstanceState) {
	t.Helper()
	var err error
	w.clocks, err = NewClocks(ClocksOptions{Store: w.store, Now: func() time.Time { return epoch }, Idle: w.idle, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	w.driver, err = New(Options{Store: w.store, Reporter: w, Clocks: w.clocks, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.driver.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.open(t, state, epoch)
	for _, r := range w.later {
		w.await(r)
	}
}

func (w *world) open(t testing.TB, state messaging.InstanceState, since time.Time) {
	t.Helper()
	w.channel = openChannel(t, w.driver, messaging.Instance{
		ID: instanceID, WorkspaceID: workspace, State: state, StateSince: since, Desired: messaging.DesiredConnected,
	})
}

func openChannel(t testing.TB, d *Driver, facts messaging.Instance) messaging.Channel {
	t.Helper()
	facts.Environment = messaging.Test
	instance, ok := facts.Test()
	if !ok {
		t.Fatal("not a test instance")
	}
	channel, err := d.Open(t.Context(), instance)
	if err != nil {
		t.Fatal(err)
	}
	return channel
}

// stop ends the process.
func (w *world) stop() {
	_ = w.channel.Close()
	_ = w.driver.Close()
	_ = w.clocks.Close()
}

// Report implements messaging.Reporter: the journal, a line for each record,
// and the dispatcher's ear for connected instances.
func (w *world) Report(ctx context.Context, records ...messaging.Record) error {
	if err := w.journal.Report(ctx, records...); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, record := range records {
		w.lines = append(w.lines, recordLine(record))
		if change, ok := record.(messaging.InstanceChange); ok && change.State == messaging.InstanceConnected {
			for id, r := range w.later {
				if r.due.IsZero() {
					delete(w.later, id)
					w.retries = append(w.retries, r.message)
				}
			}
		}
	}
	return nil
}

// idle does the work in hand, and is how Advance knows that there is none.
func (w *world) idle(ctx context.Context, workspace string) error {
	for {
		w.mu.Lock()
		due := w.retries
		w.retries = nil
		w.mu.Unlock()
		if len(due) > 0 {
			w.send(ctx, due...)
		}
		if err := w.driver.Idle(ctx, workspace); err != nil {
			return err
		}
		w.mu.Lock()
		quiet := len(w.retries) == 0
		w.mu.Unlock()
		if quiet {
			return nil
		}
	}
}

// send hands messages to the channel and puts off what has to wait.
func (w *world) send(ctx context.Context, batch ...messaging.Outgoing) []messaging.Outcome {
	outcomes := w.channel.Send(ctx, batch)
	for i, o := range outcomes {
		m := batch[i]
		w.mu.Lock()
		w.lines = append(w.lines, outcomeLine(m.Attempt, o))
		w.mu.Unlock()
		if o.Verdict == messaging.Deferred || o.Verdict == messaging.Held {
			if !o.Due.IsZero() { // else it was not tried
				m.Attempt++
			}
			w.await(retry{m, o.Due})
		}
	}
	return outcomes
}

func (w *world) await(r retry) {
	w.mu.Lock()
	w.later[r.message.MessageID] = r
	w.mu.Unlock()
	if r.due.IsZero() {
		return
	}
	w.clocks.For(workspace).At(r.due, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.later, r.message.MessageID)
		w.retries = append(w.retries, r.message)
	})
}

func (w *world) advance(t testing.TB, by time.Duration) {
	t.Helper()
	if _, err := w.clocks.Advance(t.Context(), workspace, by); err != nil {
		t.Fatal(err)
	}
}

// owing returns the number of debts, once what was reported has been settled.
func (w *world) owing() int {
	w.driver.pump.running.Wait()
	return w.store.owing()
}

// to is a message to a magic recipient.
func to(lastFour string) messaging.Outgoing {
	return messaging.Outgoing{
		WorkspaceID: workspace, Environment: messaging.Test, InstanceID: instanceID,
		MessageID: "msg_" + lastFour, WAMessageID: "3EB0" + lastFour,
		To:      messaging.Address{Input: "+1 500 555 " + lastFour, WAID: "1500555" + lastFour + "@s.whatsapp.net"},
		Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: "hi"}},
		Attempt: 1,
	}
}

// named gives a message another id.
func named(m messaging.Outgoing, name string) messaging.Outgoing {
	m.MessageID, m.WAMessageID = "msg_"+name, "3EB0"+name
	return m
}

func outcomeLine(attempt int, o messaging.Outcome) string {
	line := fmt.Sprintf("try %d: ", attempt)
	switch o.Verdict {
	case messaging.Accepted:
		return line + "accepted at " + o.At.Sub(epoch).String()
	case messaging.Pending:
		return line + "pending"
	case messaging.Deferred:
		line += "deferred"
	case messaging.Held:
		line += "held"
	case messaging.Refused:
		line += "refused"
	}
	if !o.Due.IsZero() {
		line += " until " + o.Due.Sub(epoch).String()
	}
	if o.Error != nil {
		line += " " + o.Error.Code
	}
	return line
}

func recordLine(record messaging.Record) string {
	switch r := record.(type) {
	case messaging.StatusChange:
		return fmt.Sprintf("%s %s", r.Status, r.At.Sub(epoch))
	case messaging.InboundMessage:
		return fmt.Sprintf("received %q from %s %s", r.Message.Content.Text.Body, r.Message.Peer.Input, r.Message.CreatedAt.Sub(epoch))
	case messaging.InstanceChange:
		return strings.TrimSuffix(fmt.Sprintf("instance %s %s %s", r.State, r.At.Sub(epoch), r.Reason), " ")
	default:
		return fmt.Sprintf("%T", record)
	}
}
