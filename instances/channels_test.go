package instances_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/instances"
	"portaria/messaging"
	"portaria/store/storetest"
)

// Every state has a channel of its own, and only a connected one carries.
func TestChannelsOpenAndCloseWithTheState(t *testing.T) {
	each(t, func(w *world) {
		i := w.create("one")
		w.run()
		steps := []struct {
			event messaging.EventType
			state messaging.InstanceState
		}{
			{messaging.EventInstanceDisconnected, messaging.InstanceDisconnected},
			{messaging.EventInstanceConnected, messaging.InstanceConnected},
			{messaging.EventInstanceConnected, messaging.InstanceConnected}, // no news
			{messaging.EventInstanceLoggedOut, messaging.InstanceLoggedOut},
			{messaging.EventInstanceConnected, messaging.InstanceConnected},
		}
		want := []messaging.InstanceState{messaging.InstanceConnected}
		for _, step := range steps {
			w.report(i, step.event, step.state)
			w.idle()
			if _, ok := w.manager.Channel(i.ID); ok != (step.state == messaging.InstanceConnected) {
				w.t.Errorf("%s: has a channel: %v", step.state, ok)
			}
			if got := w.resolve(i.ID).State; got != step.state {
				w.t.Errorf("state is %s, want %s", got, step.state)
			}
			if want[len(want)-1] != step.state {
				want = append(want, step.state)
			}
			if open := w.network.openChannels(); open != 1 {
				w.t.Errorf("%s: %d channels are open", step.state, open)
			}
		}
		if diff := cmp.Diff(want, w.network.states(i.ID)); diff != "" {
			w.t.Error(diff)
		}
		if got := w.network.timesConnected(i.ID); got != 3 {
			w.t.Errorf("told %d times that it is connected, want 3", got)
		}
		if w.network.hadTwo() {
			w.t.Error("an instance had two channels at once")
		}
	})
}

// A live instance without a driver, and one of the other world, get no channel
// of the sandbox.
func TestALiveInstanceNeverGetsATestChannel(t *testing.T) {
	each(t, func(w *world) {
		i, err := w.manager.Create(w.t.Context(), live(w.tenancy), instances.Draft{Name: "one"})
		if err != nil {
			w.t.Fatal(err)
		}
		w.report(i, messaging.EventInstanceConnected, messaging.InstanceConnected)
		w.load()
		if _, ok := w.manager.Channel(i.ID); ok || w.network.openChannels() != 0 {
			w.t.Errorf("a live instance has a channel: %v, %d open", ok, w.network.openChannels())
		}
	})
}

// An instance whose channel could not be opened gets it with the next reading.
func TestAChannelThatDoesNotOpenIsTriedAgain(t *testing.T) {
	each(t, func(w *world) {
		w.network.setDown(true)
		i := w.create("one")
		if _, ok := w.manager.Channel(i.ID); ok {
			w.t.Error("has a channel though the driver is down")
		}
		w.network.setDown(false)
		w.load()
		if _, ok := w.manager.Channel(i.ID); !ok || w.network.timesConnected(i.ID) != 1 {
			w.t.Errorf("has a channel: %v, told %d times", ok, w.network.timesConnected(i.ID))
		}
	})
}

// A restart knows what an earlier process stored, and opens its channels.
func TestLoadOpensTheChannelsOfWhatIsStored(t *testing.T) {
	each(t, func(w *world) {
		one := storetest.Instance(w.t, w.store, w.tenancy, "one")
		lost := storetest.Instance(w.t, w.store, w.tenancy, "lost")
		w.report(lost, messaging.EventInstanceDisconnected, messaging.InstanceDisconnected)
		w.load()
		if _, ok := w.manager.Channel(one.ID); !ok {
			w.t.Error("the connected instance has no channel")
		}
		if _, ok := w.manager.Channel(lost.ID); ok {
			w.t.Error("the lost instance has a channel to send on")
		}
		if diff := cmp.Diff([]messaging.InstanceState{messaging.InstanceDisconnected}, w.network.states(lost.ID)); diff != "" {
			w.t.Errorf("the lost instance's channel: %s", diff)
		}
	})
}

// A driver may take a while to open a channel. What becomes of the instance
// meanwhile counts, and the channel that comes late is closed again.
func TestAChannelThatOpensTooLateIsClosed(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(w *world, id string)
		open      int
	}{
		"another state": {func(w *world, id string) {
			i := w.resolve(id)
			w.report(i, messaging.EventInstanceDisconnected, messaging.InstanceDisconnected)
			w.load()
		}, 1},
		"deleted": {func(w *world, id string) {
			if _, err := w.manager.Delete(context.Background(), w.tenancy, id); err != nil {
				w.t.Error(err)
			}
		}, 0},
		"closed": {func(w *world, _ string) {
			if err := w.manager.Close(); err != nil {
				w.t.Error(err)
			}
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, storetest.Light, lateness{})
			ended := make(chan struct{})
			w.network.whileOpening(func() {
				begun := make(chan struct{})
				go func() {
					defer close(ended)
					id := w.resolve("one").ID
					close(begun)
					c.meanwhile(w, id)
				}()
				<-begun
				select {
				case <-ended: // it did not wait for the door
				case <-time.After(50 * time.Millisecond):
				}
			})
			i := w.create("one")
			<-ended
			if _, ok := w.manager.Channel(i.ID); ok || w.network.openChannels() != c.open || w.network.hadTwo() {
				t.Errorf("carries: %v, %d channels open, two at once: %v", ok, w.network.openChannels(), w.network.hadTwo())
			}
		})
	}
}

// After Close nothing is opened, whatever comes in late.
func TestNoChannelOpensAfterClose(t *testing.T) {
	each(t, func(w *world) {
		i := w.create("one")
		if err := w.manager.Close(); err != nil {
			w.t.Fatal(err)
		}
		w.report(i, messaging.EventInstanceDisconnected, messaging.InstanceDisconnected)
		w.load()
		w.create("two")
		if open := w.network.openChannels(); open != 0 {
			w.t.Errorf("%d channels are open", open)
		}
	})
}

// A rehearsal asks whether the world is at rest; a manager that has not taken
// in what it observed is not.
func TestIdleWaitsForWhatWasObserved(t *testing.T) {
	w := newWorld(t, storetest.Light, lateness{})
	i := w.create("one")
	w.report(i, messaging.EventInstanceDisconnected, messaging.InstanceDisconnected)
	look, noWait := context.WithCancel(t.Context())
	noWait()
	if err := w.manager.Idle(look, w.tenancy.Workspace()); !errors.Is(err, context.Canceled) {
		t.Errorf("Idle = %v with news in hand", err)
	}
	w.run()
	w.idle()
	if got := w.resolve(i.ID).State; got != messaging.InstanceDisconnected {
		t.Errorf("idle, and the state is %s", got)
	}
}

// Nor is one that fails what waited for the number that an instance had before:
// it sends only then.
func TestIdleWaitsForWhatIsFailedForAnotherNumber(t *testing.T) {
	w := newWorld(t, storetest.Light, lateness{})
	relinked := newDrains()
	o := w.managerOptions(lateness{})
	o.Relinked = relinked.drain
	if err := w.manager.Close(); err != nil {
		t.Fatal(err)
	}
	w.manager = instances.NewManager(o)
	w.store.TellInstances(w.manager.Observe)
	w.load()
	i := w.create("one")
	w.run()
	release := relinked.block(i.ID)
	if err := w.store.Report(t.Context(), messaging.InstanceChange{
		WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, Type: messaging.EventInstanceConnected,
		State: messaging.InstanceConnected, At: time.Now(), Linked: &messaging.Link{ID: "other", Phone: "5511900000000"},
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what waits is being failed", func() bool { tried, _ := relinked.counts(i.ID); return tried == 1 })
	look, noWait := context.WithCancel(t.Context())
	noWait()
	if err := w.manager.Idle(look, w.tenancy.Workspace()); !errors.Is(err, context.Canceled) {
		t.Errorf("Idle = %v while what waits is being failed", err)
	}
	release()
	w.idle()
	if _, done := relinked.counts(i.ID); done != 1 || w.resolve(i.ID).Relinked {
		t.Errorf("idle, and what waited was failed %d times; relinked %t", done, w.resolve(i.ID).Relinked)
	}
}

// States come from the journal, readings and creations at once. In the end the
// memory equals the database, and no instance ever had two channels.
func TestStatesSettleAsTheyWereCommitted(t *testing.T) {
	each(t, func(w *world) {
		var all []messaging.Instance
		for n := range 4 {
			all = append(all, w.create(fmt.Sprint("i", n)))
		}
		w.run()
		var callers sync.WaitGroup
		for _, i := range all {
			callers.Go(func() {
				for n := range 30 {
					state, event := messaging.InstanceConnected, messaging.EventInstanceConnected
					if n%2 == 0 {
						state, event = messaging.InstanceDisconnected, messaging.EventInstanceDisconnected
					}
					w.report(i, event, state)
				}
			})
			callers.Go(func() {
				for range 5 {
					if err := w.manager.Load(w.t.Context()); err != nil {
						w.t.Error(err)
					}
				}
			})
		}
		callers.Wait()
		w.idle()
		for _, i := range all {
			if got := w.resolve(i.ID).State; got != messaging.InstanceConnected {
				w.t.Errorf("%s is %s in memory", i.Name, got)
			}
			if _, ok := w.manager.Channel(i.ID); !ok {
				w.t.Errorf("%s has no channel", i.Name)
			}
		}
		if w.network.hadTwo() || w.network.openChannels() != len(all) {
			w.t.Errorf("two channels at once: %v; %d are open", w.network.hadTwo(), w.network.openChannels())
		}
	})
}
