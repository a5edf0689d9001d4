package bulk_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/outbox/bulk"
	"portaria/store"
	"portaria/store/storetest"
)

// realWorld is a service on a real store and a real outbox, with a network and a
// clock that the test holds in its hands.
type realWorld struct {
	t         testing.TB
	store     *store.Store
	tenancy   messaging.Tenancy
	instances []messaging.Instance
	clock     *handClock
	network   *realNetwork
	outbox    *outbox.Dispatcher
	service   *bulk.Service

	mu    sync.Mutex
	told  *bulk.Service // who hears of events
	heard int           // how many there were
}

func newRealWorld(t testing.TB, s *store.Store) *realWorld {
	w := &realWorld{t: t, store: s, tenancy: storetest.Workspace(t, s, "w"), clock: newHandClock(), network: &realNetwork{open: true}}
	w.network.clock = w.clock
	w.instances = []messaging.Instance{storetest.Instance(t, s, w.tenancy, "one"), storetest.Instance(t, s, w.tenancy, "two")}
	s.Tell(func(events store.Committed) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.heard += len(events)
		if w.told != nil {
			w.told.Tell(events)
		}
	})
	w.start()
	return w
}

// start begins a process on what is stored.
func (w *realWorld) start() {
	w.t.Helper()
	find := func(_ context.Context, id string) (messaging.Instance, error) {
		for _, i := range w.instances {
			if i.ID == id {
				return i, nil
			}
		}
		return messaging.Instance{}, fmt.Errorf("no instance %s", id)
	}
	w.outbox = outbox.New(outbox.Options{
		Store: w.store, Reporter: w.store, Channels: w.network, Clocks: func(outbox.LaneRef) messaging.Clock { return w.clock },
		Instance: func(ctx context.Context, ref outbox.LaneRef) (messaging.Instance, error) {
			return find(ctx, ref.InstanceID)
		},
	})
	w.service = bulk.New(bulk.Options{
		Store: w.store, Outbox: w.outbox, Reporter: w.store, Channels: w.network, Dir: w.t.TempDir(),
		Clocks: func(messaging.World) messaging.Clock { return w.clock },
		Instance: func(ctx context.Context, _ messaging.World, id string) (messaging.Instance, error) {
			return find(ctx, id)
		},
	})
	w.tell(w.service)
	if err := w.service.Recover(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	if err := w.outbox.Recover(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.service.Start()
	w.t.Cleanup(w.stop)
}

func (w *realWorld) tell(s *bulk.Service) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = s
}

func (w *realWorld) events() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.heard
}

func (w *realWorld) stop() {
	w.service.Stop()
	w.outbox.Stop()
}

func (w *realWorld) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

func (w *realWorld) idle() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for quiet := 0; quiet < 2; { // what one does may give the other work
		calls := w.clock.settle()
		heard := w.events()
		for _, idle := range []func(context.Context, string) error{w.outbox.Idle, w.service.Idle} {
			if err := idle(ctx, w.tenancy.Workspace()); err != nil {
				w.t.Fatalf("nothing comes to rest: %v", err)
			}
		}
		if quiet++; w.clock.settle() != calls || w.events() != heard {
			quiet = 0
		}
	}
}

func (w *realWorld) draft(n int, change ...func(*bulk.Draft)) bulk.Draft {
	d := bulk.Draft{
		Tenancy: w.tenancy, KeyID: "key_one", Lineage: "key_one", Instances: w.instances[:1], Content: text("Hello {{name}}"),
		Options: messaging.BulkOptions{Priority: messaging.Low, Dedupe: true}, Rows: numbers(n),
	}
	for _, c := range change {
		c(&d)
	}
	return d
}

func (w *realWorld) accept(d bulk.Draft) messaging.Bulk {
	w.t.Helper()
	b, err := w.service.Accept(context.Background(), d)
	if err != nil {
		w.t.Fatalf("Accept: %v", err)
	}
	return b
}

func (w *realWorld) state(b messaging.Bulk) messaging.Bulk {
	w.t.Helper()
	got, err := w.service.Find(context.Background(), w.tenancy, b.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// realNetwork carries what it is given, unless told otherwise.
type realNetwork struct {
	clock *handClock

	mu      sync.Mutex
	open    bool
	judge   func(m *messaging.Outgoing) *messaging.Outcome
	carried []string // numbers
}

func (n *realNetwork) Channel(string) (messaging.Channel, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n, n.open
}

func (n *realNetwork) setOpen(open bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = open
}

func (n *realNetwork) setJudge(judge func(m *messaging.Outgoing) *messaging.Outcome) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.judge = judge
}

func (n *realNetwork) list() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.carried...)
}

func (n *realNetwork) Window() int  { return 64 }
func (n *realNetwork) Close() error { return nil }

func (n *realNetwork) Send(_ context.Context, batch []messaging.Outgoing) []messaging.Outcome {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]messaging.Outcome, len(batch))
	for i := range batch {
		if n.judge != nil {
			if o := n.judge(&batch[i]); o != nil {
				out[i] = *o
				continue
			}
		}
		n.carried = append(n.carried, batch[i].To.Phone())
		out[i] = messaging.Outcome{Verdict: messaging.Accepted, At: n.clock.Now()}
	}
	return out
}

// The whole way, on both engines: accepted, paused in the middle, taken up by
// another process, resumed, and every row once.
func TestABulkGoesOutOnceAcrossPausesAndProcesses(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newRealWorld(t, s)
		w.network.setJudge(func(*messaging.Outgoing) *messaging.Outcome {
			if len(w.network.carried) < 300 {
				return nil
			}
			return &messaging.Outcome{Verdict: messaging.Deferred} // the connection is lost
		})
		b := w.accept(w.draft(1500))
		w.idle()
		if _, err := w.service.Pause(t.Context(), w.tenancy, b.ID); err != nil {
			t.Fatal(err)
		}
		w.network.setJudge(nil)
		w.outbox.Wake(w.instances[0].ID)
		w.idle()
		before := len(w.network.list())
		w.restart()
		w.outbox.Wake(w.instances[0].ID)
		w.idle()
		if after := len(w.network.list()); after != before {
			t.Errorf("%d were carried while the bulk was paused", after-before)
		}
		if _, err := w.service.Resume(t.Context(), w.tenancy, b.ID); err != nil {
			t.Fatal(err)
		}
		w.outbox.Wake(w.instances[0].ID)
		w.idle()
		if diff := cmp.Diff(allNumbers(1500), w.network.list()); diff != "" {
			t.Error(diff)
		}
		if got := w.state(b); got.State != messaging.BulkCompleted || got.Counts.Sent != 1500 {
			t.Errorf("bulk = %+v", got)
		}
	})
}

// A one-time password must not wait for a bulk.
func TestAnUrgentMessagePassesARunningBulk(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		w := newRealWorld(t, s)
		w.network.setOpen(false)
		w.service.Wake(w.instances[0].ID)
		b := w.accept(w.draft(2000))
		w.idle()
		urgent, err := w.outbox.Accept(t.Context(), outbox.Draft{
			Tenancy: w.tenancy, Instance: w.instances[0], To: "12025551234", Content: text("4711"), Priority: messaging.High,
		})
		if err != nil {
			t.Fatal(err)
		}
		w.network.setOpen(true)
		w.outbox.Wake(w.instances[0].ID)
		w.service.Wake(w.instances[0].ID)
		w.idle()
		if got := w.network.list(); len(got) != 2001 || got[0] != urgent.Peer.Phone() {
			t.Errorf("%d were carried, the first to %s", len(got), got[0])
		}
		if got := w.state(b).State; got != messaging.BulkCompleted {
			t.Errorf("state = %s", got)
		}
	})
}

// Whatever is asked for when, whatever fails, and however often the process is
// another: nobody gets a bulk twice, and its counts are those of its rows.
func TestNobodyGetsABulkTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newRealWorld(t, storetest.Open(t, storetest.Options(t, storetest.Light)))
		defer w.stop()
		failing := make(map[string]int)
		w.network.setJudge(func(m *messaging.Outgoing) *messaging.Outcome {
			switch failing[m.To.Phone()]++; {
			case m.To.Phone()[10] == '7' && failing[m.To.Phone()] == 1:
				return &messaging.Outcome{Verdict: messaging.Refused, At: w.clock.Now(), Error: &messaging.SendError{Code: "NOT_ON_WHATSAPP"}}
			case m.To.Phone()[10] == '3' && m.Attempt == 1:
				return &messaging.Outcome{Verdict: messaging.Deferred, Tried: true, Due: w.clock.Now().Add(time.Second)}
			}
			return nil
		})
		n := rapid.IntRange(1, 700).Draw(rt, "rows")
		b := w.accept(w.draft(n, func(d *bulk.Draft) {
			d.Instances = w.instances
			if rapid.Bool().Draw(rt, "scheduled") {
				d.Options.SendAt = w.clock.Now().Add(2 * time.Second)
			}
		}))
		canceled := w.acts(rt, b)
		w.network.setOpen(true)
		if w.state(b).State == messaging.BulkPaused {
			if _, err := w.service.Resume(t.Context(), w.tenancy, b.ID); err != nil {
				rt.Fatal(err)
			}
		}
		for range 40 {
			w.wakeAll()
			w.idle()
			w.clock.pass(time.Second)
		}
		w.check(rt, b, n, canceled)
	})
}

func (w *realWorld) wakeAll() {
	for _, i := range w.instances {
		w.outbox.Wake(i.ID)
		w.service.Wake(i.ID)
	}
}

// acts draws what happens to a bulk.
func (w *realWorld) acts(rt *rapid.T, b messaging.Bulk) (canceled bool) {
	ctx := context.Background()
	for range rapid.IntRange(0, 12).Draw(rt, "acts") {
		switch rapid.SampledFrom([]string{"pause", "resume", "pause", "resume", "retry", "pass", "restart", "idle", "open", "close", "cancel"}).Draw(rt, "act") {
		case "pause":
			_, _ = w.service.Pause(ctx, w.tenancy, b.ID) // it may be a conflict
		case "resume":
			_, _ = w.service.Resume(ctx, w.tenancy, b.ID)
		case "retry":
			_, _ = w.service.RetryFailed(ctx, w.tenancy, b.ID)
		case "pass":
			w.clock.pass(time.Second)
		case "restart":
			w.restart()
		case "idle":
			w.idle()
		case "open":
			w.network.setOpen(true)
			w.wakeAll()
		case "close":
			w.network.setOpen(false)
		case "cancel":
			if rapid.IntRange(0, 3).Draw(rt, "really") == 0 {
				_, err := w.service.Cancel(ctx, w.tenancy, b.ID)
				canceled = canceled || err == nil
			}
		}
	}
	return canceled
}

// check compares the counts with what the network carried.
func (w *realWorld) check(rt *rapid.T, b messaging.Bulk, n int, canceled bool) {
	seen := make(map[string]int)
	for _, to := range w.network.list() {
		if seen[to]++; seen[to] > 1 {
			rt.Errorf("%s got it %d times", to, seen[to])
		}
	}
	got := w.state(b)
	c := got.Counts
	if c.Total != int64(n) || c.Sent != int64(len(seen)) || c.Queued != 0 || c.Sent+c.Failed+c.Canceled != c.Total {
		rt.Errorf("counts = %+v, %d were carried", c, len(seen))
	}
	want := messaging.BulkCompleted
	if canceled {
		want = messaging.BulkCanceled
	}
	if got.State != want {
		rt.Errorf("state = %s, want %s", got.State, want)
	}
}
