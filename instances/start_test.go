package instances_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portaria/instances"
	"portaria/messaging"
)

// book is a database in memory, so that a start can be timed in no time.
type book struct {
	mu      sync.Mutex
	rows    []messaging.Instance
	records []messaging.Record
	observe func(messaging.Instance)
	refuses bool
}

func (b *book) AllInstances(context.Context) ([]messaging.Instance, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.rows), nil
}

func (b *book) FindInstance(_ context.Context, _ string, _ messaging.Environment, ref string) (messaging.Instance, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, i := range b.rows {
		if i.ID == ref {
			return i, nil
		}
	}
	return messaging.Instance{}, instances.ErrNotFound
}

func (*book) InsertInstance(context.Context, messaging.Instance, *messaging.Claim) error {
	return errDown
}

func (b *book) ChangeInstance(_ context.Context, _ string, _ messaging.Environment, id string, change func(*messaging.Instance) error) (messaging.Instance, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n := range b.rows {
		if i := b.rows[n]; i.ID == id {
			if err := change(&i); err != nil {
				return i, err
			}
			b.rows[n] = i
			return i, nil
		}
	}
	return messaging.Instance{}, instances.ErrNotFound
}

func (*book) ForgetLinks(context.Context, func(context.Context, messaging.Instance) error) error {
	return nil
}

func (b *book) DeleteInstance(_ context.Context, i messaging.Instance) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows = slices.DeleteFunc(b.rows, func(row messaging.Instance) bool { return row.ID == i.ID })
	return nil
}

func (*book) InstanceEpoch(context.Context) (int64, error) { return 1, nil }

func (b *book) Report(_ context.Context, records ...messaging.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuses {
		return errDown
	}
	b.records = append(b.records, records...)
	for _, record := range records {
		c := record.(messaging.InstanceChange)
		for n := range b.rows {
			if b.rows[n].ID == c.InstanceID {
				b.rows[n].Apply(c)
				b.observe(b.rows[n])
			}
		}
	}
	return nil
}

// fleet is a start: a manager of n linked instances that a process left behind
// connected.
type fleet struct {
	book    *book
	phones  *phones
	manager *instances.Manager
	begun   time.Time

	mu   sync.Mutex
	byID map[string]time.Duration // when a channel was first opened, since the start
	all  []time.Duration          // when any was, in order
}

func newFleet(n int) *fleet {
	f := &fleet{book: &book{}, phones: newPhones(), begun: time.Now(), byID: make(map[string]time.Duration)}
	for at := range n {
		f.book.rows = append(f.book.rows, messaging.Instance{
			ID: fmt.Sprintf("ins_%03d", at), Name: fmt.Sprint("i", at), WorkspaceID: "wsp_w", Environment: messaging.Live,
			Desired: messaging.DesiredConnected, State: messaging.InstanceConnected, LinkedID: "s", Phone: "551",
		})
	}
	f.phones.obey = func(i messaging.Instance) {
		f.mu.Lock()
		defer f.mu.Unlock()
		since := time.Since(f.begun)
		f.all = append(f.all, since)
		f.byID[i.ID] = since
	}
	f.manager = instances.NewManager(instances.Options{
		Store: f.book, Reporter: f.book, Live: f.phones, Now: func(messaging.Tenancy, string) time.Time { return time.Now() },
	})
	f.book.observe = f.manager.Observe
	return f
}

// opened returns when channels were opened so far.
func (f *fleet) opened() []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

func (f *fleet) openedAt(id string) (at time.Duration, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok = f.byID[id]
	return at, ok
}

// stored returns an instance as the database has it.
func (b *book) stored(id string) messaging.Instance {
	i, _ := b.FindInstance(context.Background(), "", "", id)
	return i
}

// run loads and runs the manager for a while.
func (f *fleet) run(t *testing.T, during func(), lasts time.Duration) {
	t.Helper()
	if err := f.manager.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(f.begun); waited > 0 {
		t.Errorf("Load took %v", waited)
	}
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() {
		if err := f.manager.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	during()
	running.Wait()
	if err := f.manager.Close(); err != nil {
		t.Error(err)
	}
	f.phones.obeyed.Wait()
}

// A hundred phones that connect in one moment look like an attack, and would
// make each other slow. The first need not wait.
func TestLiveInstancesStartOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(100)
		f.book.rows[7].Desired, f.book.rows[8].LinkedID = messaging.DesiredDisconnected, ""
		f.run(t, func() {
			if n := len(f.opened()); n != 1 {
				t.Errorf("%d channels are open at once", n)
			}
			all, _ := f.book.AllInstances(t.Context())
			for _, i := range all {
				if i.State == messaging.InstanceConnected && i.Desired == messaging.DesiredConnected && i.Linked() {
					t.Errorf("%s is shown connected before it is", i.ID)
				}
			}
		}, 10*time.Second)
		opened := f.opened()
		if len(opened) != 98 || opened[0] != 0 {
			t.Fatalf("%d channels were opened, the first after %v", len(opened), opened[0])
		}
		for n := 20; n < len(opened); n++ {
			if took := opened[n] - opened[n-20]; took < 600*time.Millisecond {
				t.Errorf("20 channels were opened in %v", took)
			}
		}
		if last := opened[97]; last < 3*time.Second || last > 7*time.Second {
			t.Errorf("the last channel was opened after %v", last)
		}
	})
}

// Who asks for something does not wait for those that nobody asked for.
func TestAnActIsNotHeldUpByAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(100)
		tenancy := messaging.NewTenancy("wsp_w", messaging.Live, messaging.AllInstances())
		f.run(t, func() {
			if _, err := f.manager.Restart(t.Context(), tenancy, "ins_099"); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if at, ok := f.openedAt("ins_099"); !ok || at != 0 {
				t.Errorf("opened %v after %v", ok, at)
			}
		}, 10*time.Second)
		if n := len(f.opened()); n != 100 {
			t.Errorf("%d channels were opened for 100 instances", n)
		}
	})
}

// A process that ends in the middle of its start opens nothing any more.
func TestAStartEndsWithTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(100)
		f.run(t, func() {}, time.Second)
		if n := len(f.opened()); n < 10 || n > 45 {
			t.Errorf("%d channels were opened in a second", n)
		}
		for id := range f.byID {
			if open := f.phones.count(id); open != 0 {
				t.Errorf("%s has %d channels", id, open)
			}
		}
	})
}

// A deletion waits for the network only so long.
func TestADeletionDoesNotWaitForADeadNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(1)
		tenancy := messaging.NewTenancy("wsp_w", messaging.Live, messaging.AllInstances())
		f.run(t, func() {
			begun := time.Now()
			if _, err := f.manager.Delete(t.Context(), tenancy, "ins_000"); err != nil {
				t.Error(err)
			}
			if took := time.Since(begun); took < time.Second || took > 6*time.Second {
				t.Errorf("it took %v", took)
			}
			if asks := f.phones.asks("ins_000"); asks[len(asks)-1] != messaging.AskLogout || f.phones.count("ins_000") != 0 {
				t.Errorf("asked %v, %d channels", asks, f.phones.count("ins_000"))
			}
		}, 10*time.Second)
	})
}

// What cannot be recorded now is recorded later: a disconnected instance must
// not be shown as connected for ever.
func TestADisconnectionIsRecordedWhenTheDatabaseIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(1)
		tenancy := messaging.NewTenancy("wsp_w", messaging.Live, messaging.AllInstances())
		f.run(t, func() {
			f.book.refuse(true)
			if _, err := f.manager.Disconnect(t.Context(), tenancy, "ins_000"); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			f.book.refuse(false)
			time.Sleep(3 * time.Second)
			i, err := f.manager.Resolve(t.Context(), tenancy, "ins_000")
			if err != nil || i.State != messaging.InstanceDisconnected || f.book.stored("ins_000").State != messaging.InstanceDisconnected {
				t.Errorf("shown as %s, stored as %s, %v", i.State, f.book.stored("ins_000").State, err)
			}
		}, 10*time.Second)
	})
}

func (b *book) refuse(all bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuses = all
}
