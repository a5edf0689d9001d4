package instances_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portaria/instances"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// What is read is a little old by the time it is here. Whatever happens while
// Load reads must not be undone by it: a new instance is not gone, a deleted
// one does not come back, and a patch and a state that were told stay.
func TestWhatHappensWhileLoadReadsIsNotUndone(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile, check func(w *world)
		drained          int
	}{
		"an instance is made":           {meanwhile: func(w *world) { w.create("new") }, check: newHasItsChannel},
		"an instance is found":          {meanwhile: findNew, check: newHasItsChannel},
		"an instance is deleted":        {meanwhile: deleteOne, check: oneIsGone, drained: 1}, // by Delete itself
		"an instance is patched":        {meanwhile: patchOne, check: oneIsPatched},
		"an instance is lost and found": {meanwhile: loseOne, check: oneIsLoggedOut},
	} {
		for _, engine := range storetest.Used {
			t.Run(name+"/"+engine, func(t *testing.T) {
				var once sync.Once
				w := newWorld(t, engine, lateness{list: func(w *world) { once.Do(func() { c.meanwhile(w) }) }})
				w.create("one")
				w.load()
				c.check(w)
				w.load()
				c.check(w)
				if drained := w.drains.total() + w.manager.Undrained(); drained != c.drained {
					t.Errorf("%d instances were drained, want %d", drained, c.drained)
				}
				if kept := w.manager.Memory(); kept != 0 {
					t.Errorf("%d deleted instances are kept in memory", kept)
				}
			})
		}
	}
}

func findNew(w *world) {
	storetest.Instance(w.t, w.store, w.tenancy, "new")
	w.resolve("new")
}

func newHasItsChannel(w *world) {
	if _, ok := w.manager.Channel(w.resolve("new").ID); !ok {
		w.t.Error("the new instance has no channel")
	}
}

func deleteOne(w *world) {
	if _, err := w.manager.Delete(w.t.Context(), w.tenancy, "one"); err != nil {
		w.t.Error(err)
	}
}

func oneIsGone(w *world) {
	if i, err := w.manager.Resolve(w.t.Context(), w.tenancy, "one"); !errors.Is(err, instances.ErrNotFound) {
		w.t.Errorf("resolve: %s, %v; want ErrNotFound", i.ID, err)
	}
	if open := w.network.openChannels(); open != 0 {
		w.t.Errorf("%d channels are open", open)
	}
}

func patchOne(w *world) {
	if _, err := w.manager.Update(w.t.Context(), w.tenancy, "one", instances.Patch{Metadata: []byte(`{"a":1}`)}); err != nil {
		w.t.Error(err)
	}
}

func oneIsPatched(w *world) {
	if got := w.resolve("one").Metadata; string(got) != `{"a":1}` {
		w.t.Errorf("metadata is %s", got)
	}
}

func loseOne(w *world) {
	i := w.resolve("one")
	w.report(i, messaging.EventInstanceDisconnected, messaging.InstanceDisconnected)
	w.report(i, messaging.EventInstanceConnected, messaging.InstanceConnected)
	w.report(i, messaging.EventInstanceLoggedOut, messaging.InstanceLoggedOut)
}

func oneIsLoggedOut(w *world) {
	w.load() // takes in what was observed
	i := w.resolve("one")
	want := []messaging.InstanceState{
		messaging.InstanceConnected, messaging.InstanceDisconnected, messaging.InstanceConnected, messaging.InstanceLoggedOut,
	}
	if diff := cmp.Diff(want, w.network.states(i.ID)); diff != "" || i.State != messaging.InstanceLoggedOut {
		w.t.Errorf("state %s, channels opened for:\n%s", i.State, diff)
	}
}

// While instances are made the epoch moves all the time, and so Load runs all
// the time. None of them may take a new instance for one that is gone.
func TestNoInstanceIsDroppedWhileOthersAreMade(t *testing.T) {
	const makers, instancesOfEach = 6, 20
	each(t, func(w *world) {
		w.run()
		ctx, stopLoading := context.WithCancel(w.t.Context())
		var loaders, callers sync.WaitGroup
		for range 2 {
			loaders.Go(func() {
				for ctx.Err() == nil {
					if err := w.manager.Load(ctx); err != nil && ctx.Err() == nil {
						w.t.Errorf("load: %v", err)
					}
				}
			})
		}
		for maker := range makers {
			callers.Go(func() {
				for n := range instancesOfEach {
					i, err := w.manager.Create(w.t.Context(), w.tenancy, instances.Draft{Name: fmt.Sprintf("i-%d-%d", maker, n)})
					if err != nil {
						w.t.Error(err)
						return
					}
					if _, ok := w.manager.Channel(i.ID); !ok {
						w.t.Errorf("%s has no channel though it was answered", i.Name)
					}
				}
			})
		}
		callers.Wait()
		stopLoading()
		loaders.Wait()
		w.load()
		all, err := w.manager.List(w.t.Context(), w.tenancy, messaging.Page{Limit: 1000})
		if err != nil || len(all) != makers*instancesOfEach {
			w.t.Errorf("%d instances are known, %v", len(all), err)
		}
		for _, i := range all {
			if opened := w.network.states(i.ID); len(opened) != 1 {
				w.t.Errorf("%s had %d channels", i.Name, len(opened))
			}
		}
		if drained := w.drains.total(); drained != 0 {
			w.t.Errorf("%d living instances were drained", drained)
		}
	})
}

// The command line deletes beside a running server. The server must stop to
// send, and cancel what waits, once.
func TestADeletionByAnotherProcessIsNoticedAndDrainedOnce(t *testing.T) {
	each(t, func(w *world) {
		doomed, kept := w.create("doomed"), w.create("kept")
		w.run()
		beside := w.beside()
		if err := beside.DeleteInstance(w.t.Context(), doomed); err != nil {
			w.t.Fatal(err)
		}
		eventually(w.t, "the deleted instance is drained", func() bool {
			_, done := w.drains.counts(doomed.ID)
			return done > 0
		})
		if _, ok := w.manager.Channel(doomed.ID); ok {
			w.t.Error("the deleted instance has a channel")
		}
		for n := range 3 { // whatever else changes
			name := fmt.Sprint("later", n)
			storetest.Instance(w.t, beside, w.tenancy, name)
			eventually(w.t, name+" is known", func() bool {
				all, err := w.manager.List(w.t.Context(), w.tenancy, messaging.Page{Limit: 10})
				return err == nil && slices.ContainsFunc(all, func(i messaging.Instance) bool { return i.Name == name })
			})
		}
		if tried, done := w.drains.counts(doomed.ID); tried != 1 || done != 1 {
			w.t.Errorf("drained %d times, tried %d times", done, tried)
		}
		if tried, _ := w.drains.counts(kept.ID); tried != 0 {
			w.t.Error("the kept instance was drained")
		}
		if _, ok := w.manager.Channel(kept.ID); !ok {
			w.t.Error("the kept instance has no channel")
		}
	})
}

// An empty answer is not a deletion: before anything is canceled, the database
// is asked for each instance, and an outage is no answer.
func TestALivingInstanceThatALoadDoesNotListIsKept(t *testing.T) {
	each(t, func(w *world) {
		empty := &emptyList{Store: w.store}
		network, drained := newNetwork(), newDrains()
		m := instances.NewManager(instances.Options{Store: empty, Test: network, Drain: drained.drain, Now: w.now})
		i := storetest.Instance(w.t, w.store, w.tenancy, "one")
		if err := m.Load(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		empty.down = errDown
		empty.empty = true
		if err := m.Load(w.t.Context()); !errors.Is(err, errDown) {
			w.t.Errorf("load without an answer: %v", err)
		}
		empty.down = nil
		if err := m.Load(w.t.Context()); err != nil {
			w.t.Errorf("load: %v", err)
		}
		if _, ok := m.Channel(i.ID); !ok || drained.total() != 0 {
			w.t.Errorf("has a channel: %v, drained: %d", ok, drained.total())
		}
		if err := m.Close(); err != nil || network.openChannels() != 0 {
			w.t.Errorf("close: %v, %d channels open", err, network.openChannels())
		}
	})
}

// emptyList is a store that lists nothing once empty is set.
type emptyList struct {
	*store.Store
	empty bool
	down  error // of FindInstance
}

func (e *emptyList) AllInstances(ctx context.Context) ([]messaging.Instance, error) {
	if e.empty {
		return nil, nil
	}
	return e.Store.AllInstances(ctx)
}

func (e *emptyList) FindInstance(ctx context.Context, workspace string, env messaging.Environment, ref string) (messaging.Instance, error) {
	if e.down != nil {
		return messaging.Instance{}, e.down
	}
	return e.Store.FindInstance(ctx, workspace, env, ref)
}

// What could not be canceled waits for a channel that never comes. It must be
// tried again, and must not keep others from being drained.
func TestADrainThatFailsIsTriedAgain(t *testing.T) {
	each(t, func(w *world) {
		stubborn, easy, own := w.create("stubborn"), w.create("easy"), w.create("own")
		w.drains.fail(stubborn.ID, 2)
		w.drains.fail(own.ID, 1)
		w.run()
		beside := w.beside()
		for _, i := range []messaging.Instance{stubborn, easy} {
			if err := beside.DeleteInstance(w.t.Context(), i); err != nil {
				w.t.Fatal(err)
			}
		}
		if _, err := w.manager.Delete(w.t.Context(), w.tenancy, own.ID); !errors.Is(err, errDown) {
			w.t.Errorf("delete: %v; want the drain's error", err)
		}
		for id, want := range map[string]int{stubborn.ID: 3, easy.ID: 1, own.ID: 2} {
			eventually(w.t, "everything is drained", func() bool { _, done := w.drains.counts(id); return done > 0 })
			if tried, done := w.drains.counts(id); tried != want || done != 1 {
				w.t.Errorf("tried %d times, done %d times; want %d and 1", tried, done, want)
			}
		}
	})
}

// Canceling a long queue takes minutes; the reconnections of all tenants must
// not wait for it. Run ends only when its drains have.
func TestASlowDrainHoldsNothingUp(t *testing.T) {
	each(t, func(w *world) {
		slow, other := w.create("slow"), w.create("other")
		release := w.drains.block(slow.ID)
		defer release()
		stop := w.run()
		if err := w.beside().DeleteInstance(w.t.Context(), slow); err != nil {
			w.t.Fatal(err)
		}
		eventually(w.t, "the drain has begun", func() bool { tried, _ := w.drains.counts(slow.ID); return tried == 1 })
		w.report(other, messaging.EventInstanceDisconnected, messaging.InstanceDisconnected)
		w.idle()
		if _, ok := w.manager.Channel(other.ID); ok {
			w.t.Error("a disconnected instance has a channel to send on")
		}
		w.report(other, messaging.EventInstanceConnected, messaging.InstanceConnected)
		w.idle()
		if _, ok := w.manager.Channel(other.ID); !ok {
			w.t.Error("the instance did not come back")
		}
		stop() // ends the drain's context, and waits for it
		if tried, done := w.drains.counts(slow.ID); tried != 1 || done != 0 {
			w.t.Errorf("tried %d times, done %d times", tried, done)
		}
	})
}
