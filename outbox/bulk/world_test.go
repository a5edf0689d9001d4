package bulk_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox/bulk"
)

// world is a service on a store and lanes in memory, for one workspace's test
// world whose clock the test holds in its hands.
type world struct {
	t       testing.TB
	memory  *memory
	clock   *handClock
	lanes   *lanes
	tenancy messaging.Tenancy
	service *bulk.Service

	mu        sync.Mutex
	instances map[string]messaging.Instance
}

func newWorld(t testing.TB) *world {
	w := &world{
		t: t, memory: newMemory(), clock: newHandClock(), instances: make(map[string]messaging.Instance),
		tenancy: messaging.NewTenancy("wsp_one", messaging.Test, messaging.AllInstances()),
	}
	w.lanes = newLanes(w.memory, w.clock)
	w.setInstance("ins_a", `{}`)
	w.start()
	return w
}

// start begins a service on what is stored, as a new process does.
func (w *world) start(change ...func(*bulk.Options)) {
	w.t.Helper()
	w.service = w.newService(change...)
	w.memory.setTell(w.service.Tell)
	if err := w.service.Recover(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.service.Start()
	w.t.Cleanup(w.service.Stop)
}

func (w *world) newService(change ...func(*bulk.Options)) *bulk.Service {
	o := bulk.Options{
		Store: w.memory, Outbox: w.lanes, Reporter: w.memory, Channels: w.lanes, Dir: w.t.TempDir(),
		Clocks:   func(messaging.World) messaging.Clock { return w.clock },
		Instance: w.find,
		Refuses:  func(a messaging.Address) bool { return a.Phone() == "15005550001" },
		Predict: func(a messaging.Address, _ *messaging.Override) string {
			if a.Phone() == "15005550009" {
				return "NOT_ON_WHATSAPP"
			}
			return "read"
		},
	}
	for _, c := range change {
		c(&o)
	}
	return bulk.New(o)
}

// restart ends the service and begins another.
func (w *world) restart() {
	w.t.Helper()
	w.service.Stop()
	w.start()
}

func (w *world) find(_ context.Context, _ messaging.World, id string) (messaging.Instance, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, ok := w.instances[id]
	if !ok {
		return i, fault.ErrNotFound
	}
	return i, nil
}

func (w *world) setInstance(id, settings string) messaging.Instance {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.instances[id] = messaging.Instance{
		ID: id, WorkspaceID: w.tenancy.Workspace(), Environment: messaging.Test, Settings: []byte(settings),
	}
	return w.instances[id]
}

// remove deletes an instance, as its owner does.
func (w *world) remove(id string) {
	w.mu.Lock()
	delete(w.instances, id)
	w.mu.Unlock()
	w.service.Tell([]messaging.Event{{Type: messaging.EventInstanceDeleted, InstanceID: id}})
}

// draft is a bulk of n recipients to one instance.
func (w *world) draft(n int, change ...func(*bulk.Draft)) bulk.Draft {
	d := bulk.Draft{
		Tenancy: w.tenancy, KeyID: "key_one", Lineage: "key_one", Instances: []messaging.Instance{w.setInstance("ins_a", `{}`)},
		Content: text("Hello {{name|you}}"), Options: messaging.BulkOptions{Priority: messaging.Low, Dedupe: true}, Rows: numbers(n),
	}
	for _, c := range change {
		c(&d)
	}
	return d
}

// paced gives a draft a pace.
func paced(p messaging.BulkPace) func(*bulk.Draft) {
	return func(d *bulk.Draft) { d.Options.Pace = &p }
}

func text(body string) messaging.Content {
	return messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: body}}
}

// accept has a bulk accepted and waits until nothing more happens.
func (w *world) accept(d bulk.Draft) messaging.Bulk {
	w.t.Helper()
	b, err := w.service.Accept(w.t.Context(), d)
	if err != nil {
		w.t.Fatalf("Accept: %v", err)
	}
	w.idle()
	return b
}

// patience bounds every wait of a test; only a failure takes so long.
const patience = 60 * time.Second

// idle waits until no bulk has work in hand and the clock owes nobody a call.
func (w *world) idle() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for {
		calls := w.clock.settle()
		if err := w.service.Idle(ctx, w.tenancy.Workspace()); err != nil {
			w.t.Fatalf("the bulks do not come to rest: %v", err)
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

// drain carries all that comes, moving the clock when nothing else can happen,
// until the bulk has ended.
func (w *world) drain(b messaging.Bulk) {
	w.t.Helper()
	for range 100_000 {
		w.idle()
		n := 0
		for _, id := range b.InstanceIDs {
			if _, open := w.lanes.Channel(id); open {
				n += w.lanes.carry(id, 64, allSent)
			}
		}
		if w.state(b).State.Ended() {
			return
		}
		if n > 0 {
			continue
		}
		next, ok := w.clock.next()
		if !ok {
			w.t.Fatalf("the bulk is %+v and waits for nothing", w.state(b))
		}
		w.clock.pass(max(0, next.Sub(w.clock.Now())))
	}
	w.t.Fatal("the bulk does not end")
}

func (w *world) state(b messaging.Bulk) messaging.Bulk {
	w.t.Helper()
	got, err := w.service.Find(w.t.Context(), w.tenancy, b.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// rows are recipients as a JSON document has them.
type rows []bulk.Row

func (rs rows) Each(_ context.Context, f func(*bulk.Row) error) error {
	for i := range rs {
		row := rs[i]
		row.Number = int64(i + 1)
		if err := f(&row); err != nil {
			return err
		}
	}
	return nil
}

// numbers are n ordinary recipients, each with a name.
func numbers(n int) rows {
	out := make(rows, n)
	for i := range out {
		out[i] = bulk.Row{To: number(i), Names: []string{"name"}, Values: []string{"N" + strconv.Itoa(i)}}
	}
	return out
}

// number is the n-th ordinary recipient.
func number(n int) string { return fmt.Sprintf("1202%07d", n+5550000) }
