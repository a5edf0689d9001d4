package outbox_test

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"
	"testing"
	"time"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

// world is a dispatcher on a real store, with a network and a clock that the
// test holds in its hands.
type world struct {
	t        *testing.T
	store    *store.Store
	tenancy  messaging.Tenancy
	instance messaging.Instance
	clock    *handClock
	network  *network
	outbox   *outbox.Dispatcher

	mu       sync.Mutex
	settings string // of the instance
}

func newWorld(t *testing.T, s *store.Store) *world {
	w := &world{t: t, store: s, tenancy: storetest.Workspace(t, s, "w"), clock: newHandClock()}
	w.instance = storetest.Instance(t, s, w.tenancy, "one")
	w.network = &network{clock: w.clock, open: true}
	w.start()
	return w
}

// start begins a dispatcher on what is stored, as a new process does.
func (w *world) start() {
	w.t.Helper()
	d := outbox.New(outbox.Options{
		Store: w.store, Reporter: w.store, Channels: w.network,
		Clocks:   func(outbox.LaneRef) messaging.Clock { return w.clock },
		Instance: w.find,
	})
	if err := d.Recover(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.outbox = d
	w.t.Cleanup(d.Stop)
}

// find returns the instance with its present settings.
func (w *world) find(context.Context, outbox.LaneRef) (messaging.Instance, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.instance
	i.Settings = []byte(w.settings)
	return i, nil
}

// set changes the settings of the instance, as a patch does.
func (w *world) set(settings string) {
	w.mu.Lock()
	w.settings = settings
	w.mu.Unlock()
	w.outbox.Wake(w.instance.ID)
}

// relink has the instance send by another number.
func (w *world) relink(phone string) {
	w.mu.Lock()
	w.instance.Phone = phone
	w.mu.Unlock()
	w.outbox.Wake(w.instance.ID)
}

// restart ends the dispatcher and begins another.
func (w *world) restart() {
	w.outbox.Stop()
	w.start()
}

func (w *world) accept(to string, change ...func(*outbox.Draft)) messaging.Message {
	w.t.Helper()
	draft := outbox.Draft{
		Tenancy: w.tenancy, Instance: w.instance, To: to, Priority: messaging.Normal,
		Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: "x"}},
	}
	for _, c := range change {
		c(&draft)
	}
	m, err := w.outbox.Accept(w.t.Context(), draft)
	if err != nil {
		w.t.Fatalf("accept: %v", err)
	}
	return m
}

// patience bounds every wait of a test.
const patience = 60 * time.Second

// idle waits until no lane has work in hand and the clock owes nobody a call.
func (w *world) idle() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for {
		calls := w.clock.settle()
		if err := w.outbox.Idle(ctx, w.tenancy.Workspace()); err != nil {
			w.t.Fatalf("the lanes do not come to rest: %v", err)
		}
		if w.clock.settle() == calls {
			return
		}
	}
}

// pass moves the clock and waits until what came due is done.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.clock.pass(d)
	w.idle()
}

func (w *world) status(m messaging.Message) messaging.Status {
	w.t.Helper()
	got, err := w.store.Message(w.t.Context(), w.tenancy, m.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return got.Status
}

// number is the n-th ordinary recipient.
func number(n int) string { return fmt.Sprintf("1202555%04d", n) }

// network carries what it is given, unless told otherwise.
type network struct {
	clock *handClock

	mu      sync.Mutex
	open    bool
	judge   func(m messaging.Outgoing) *messaging.Outcome // nil: carry
	carried []string
}

func (n *network) Channel(string) (messaging.Channel, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n, n.open
}

func (n *network) setOpen(open bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = open
}

func (n *network) setJudge(judge func(m messaging.Outgoing) *messaging.Outcome) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.judge = judge
}

func (n *network) list() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.carried...)
}

func (n *network) Window() int  { return 64 }
func (n *network) Close() error { return nil }

// Send keeps the promise of every channel: behind a message that waits it
// carries nothing to the same recipient.
func (n *network) Send(_ context.Context, batch []messaging.Outgoing) []messaging.Outcome {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]messaging.Outcome, len(batch))
	waits := make(map[string]messaging.Outcome)
	for i, m := range batch {
		if o, ok := waits[m.To.WAID]; ok {
			out[i] = o
			continue
		}
		if n.judge != nil {
			if o := n.judge(m); o != nil {
				out[i] = *o
				if o.Verdict == messaging.Deferred || o.Verdict == messaging.Held {
					waits[m.To.WAID] = *o
				}
				continue
			}
		}
		n.carried = append(n.carried, m.MessageID)
		out[i] = messaging.Outcome{Verdict: messaging.Accepted, At: n.clock.Now()}
	}
	return out
}

// handClock is a clock that the test moves.
type handClock struct {
	mu     sync.Mutex
	now    time.Time
	skips  bool // as a clock in instant mode
	timers []*handTimer

	calls   int        // that were made at once, each on a goroutine of its own
	calling int        // of these, those that have not returned
	ended   *sync.Cond // one of these has returned
}

func newHandClock() *handClock {
	// Always the same: what is counted by steps of time must not depend on the hour of the day.
	c := &handClock{now: time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)}
	c.ended = sync.NewCond(&c.mu)
	return c
}

type handTimer struct {
	due time.Time
	f   func()
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) At(due time.Time, f func()) func() { return c.call(due, f, true) }

func (c *handClock) Deadline(due time.Time, f func()) func() { return c.call(due, f, false) }

func (c *handClock) call(due time.Time, f func(), skippable bool) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.skips && skippable || !due.After(c.now) { // what is due already is due: pass will not come by again
		c.callNow(f)
		return func() {}
	}
	t := &handTimer{due, f}
	c.timers = append(c.timers, t)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		t.f = func() {}
		c.timers = slices.DeleteFunc(c.timers, func(other *handTimer) bool { return other == t })
	}
}

// callNow calls f without the locks that the caller holds. c.mu is held.
func (c *handClock) callNow(f func()) {
	c.calls++
	c.calling++
	go func() {
		f()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calling--
		c.ended.Broadcast()
	}()
}

// settle waits until the calls that were due at once have returned, and returns
// how many there have been.
func (c *handClock) settle() (calls int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.calling > 0 {
		c.ended.Wait()
	}
	return c.calls
}

// skip has At call at once, as a clock in instant mode does.
func (c *handClock) skip(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skips = on
}

// set turns the clock without calling anything.
func (c *handClock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// next returns when the next call is due; false when none is.
func (c *handClock) next() (due time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.timers {
		if !ok || t.due.Before(due) {
			due, ok = t.due, true
		}
	}
	return due, ok
}

func (c *handClock) pass(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	sort.SliceStable(c.timers, func(i, j int) bool { return c.timers[i].due.Before(c.timers[j].due) })
	n := sort.Search(len(c.timers), func(i int) bool { return c.timers[i].due.After(c.now) })
	due := append([]*handTimer(nil), c.timers[:n]...)
	c.timers = append([]*handTimer(nil), c.timers[n:]...)
	c.mu.Unlock()
	for _, t := range due {
		c.mu.Lock()
		call := t.f // it may have been forgotten since
		c.mu.Unlock()
		call()
	}
}
