package instances_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"portaria/instances"
	"portaria/messaging"
	"portaria/store/storetest"
)

// showing is the code that an instance shows for a while.
func showing(i messaging.Instance, qr, code string, lasts time.Duration) messaging.Pairing {
	return messaging.Pairing{
		WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, QR: qr, Code: code,
		ExpiresAt: time.Now().UTC().Add(lasts).Truncate(time.Microsecond),
	}
}

// Whoever asks for a code gets it, waits for it for a moment, or hears why there
// is none.
func TestACodeIsAnsweredWhileItIsShown(t *testing.T) {
	eachLive(t, func(w *liveWorld) {
		i := w.create("one")
		w.begin()
		w.pairingIs(i.ID, instances.ErrNotPairing)
		begun, err := w.manager.Connect(w.t.Context(), w.tenancy, i.ID, "")
		if err != nil {
			w.t.Fatal(err)
		}
		answer := make(chan messaging.Pairing)
		go func() {
			p, err := w.manager.Pairing(context.Background(), w.tenancy, i.ID)
			if err != nil {
				w.t.Errorf("a code that comes in time: %v", err)
			}
			answer <- p
		}()
		want := showing(i, "2@abc", "", time.Hour)
		for _, p := range []messaging.Pairing{showing(i, "old", "", -time.Second), showing(i, "", "ABCD-1234", time.Hour), want} {
			if err := w.store.ShowPairing(w.t.Context(), p); err != nil {
				w.t.Fatal(err)
			}
		}
		w.tell(i, messaging.InstancePairing, nil)
		if got := <-answer; got != want {
			w.t.Errorf("got %+v, want %+v", got, want)
		}
		w.tell(i, messaging.InstanceConnected, func(c *messaging.InstanceChange) {
			c.Done, c.Linked = begun.AskedAt, &messaging.Link{ID: "s", Phone: "5511912345678"}
		})
		w.until(i.ID, "is connected", func(i messaging.Instance) bool { return i.State == messaging.InstanceConnected })
		w.pairingIs(i.ID, instances.ErrAlreadyConnected)
		if _, err := w.manager.Pairing(w.t.Context(), live(storetest.Workspace(w.t, w.store, "other")), i.ID); !errors.Is(err, instances.ErrNotFound) {
			w.t.Errorf("another workspace asks: %v", err)
		}
	})
}

func (w *liveWorld) pairingIs(id string, want error) {
	w.t.Helper()
	if p, err := w.manager.Pairing(w.t.Context(), w.tenancy, id); !errors.Is(err, want) {
		w.t.Errorf("pairing: %+v, %v; want %v", p, err, want)
	}
}

// The wait for a code ends with the patience of who asks.
func TestTheWaitForACodeEnds(t *testing.T) {
	w := newLiveWorld(t, storetest.Light)
	i := w.create("one")
	if _, err := w.manager.Connect(t.Context(), w.tenancy, i.ID, ""); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if p, err := w.manager.Pairing(ctx, w.tenancy, i.ID); !errors.Is(err, instances.ErrNotPairing) {
		t.Errorf("pairing: %+v, %v", p, err)
	}
}

// Who follows a pairing hears of every change, in one token however many there
// were, and leaves nothing behind.
func TestAWatcherIsToldOfChanges(t *testing.T) {
	w := newLiveWorld(t, storetest.Light)
	i, other := w.create("one"), w.create("other")
	w.begin()
	changes, stop := w.manager.Watch(i.ID)
	told := func() bool {
		select {
		case <-changes:
			return true
		default:
			return false
		}
	}
	w.tell(other, messaging.InstanceBanned, nil)
	w.until(other.ID, "is banned", func(i messaging.Instance) bool { return i.State == messaging.InstanceBanned })
	w.load() // which takes in both
	if told() {
		t.Error("told of another instance")
	}
	for _, state := range []messaging.InstanceState{messaging.InstanceBanned, messaging.InstanceRestricted} {
		w.tell(i, state, nil)
	}
	w.until(i.ID, "is restricted", func(i messaging.Instance) bool { return i.State == messaging.InstanceRestricted })
	if !told() {
		t.Error("not told of two states")
	}
	if _, err := w.manager.Connect(t.Context(), w.tenancy, i.ID, ""); err != nil || !told() {
		t.Errorf("not told of an act, %v", err)
	}
	for told() {
	}
	if _, err := w.manager.Delete(t.Context(), w.tenancy, i.ID); err != nil || !told() {
		t.Errorf("not told of the deletion, %v", err)
	}
	stop()
	stop()
	if n := w.manager.Watchers(); n != 0 {
		t.Errorf("%d watchers are left", n)
	}
}

// Only a connected instance can ask its network, and only for who may see it.
func TestNumbersAreAskedOfTheChannel(t *testing.T) {
	w := newLiveWorld(t, storetest.Light)
	i, test := w.linked("one", messaging.InstanceDisconnected), storetest.Instance(t, w.store, w.world.testTenancy(), "test")
	w.begin()
	numbers := []messaging.Address{{Input: "+55 11 91234-5678", WAID: "5511912345678@s.whatsapp.net"}, {Input: "1", WAID: "1@s.whatsapp.net"}}
	if _, err := w.manager.Check(t.Context(), w.tenancy, i.ID, numbers); !errors.Is(err, instances.ErrNotConnected) {
		t.Errorf("not connected: %v", err)
	}
	eventually(t, "the channel is open", func() bool { return w.phones.count(i.ID) == 1 }) // before that, nobody can be connected
	w.tell(i, messaging.InstanceConnected, nil)
	w.until(i.ID, "carries", func(messaging.Instance) bool { return w.carries(i.ID) })
	got, err := w.manager.Check(t.Context(), w.tenancy, i.ID, numbers)
	if err != nil || len(got) != 2 || got[0] != (messaging.NumberCheck{Input: numbers[0].Input, WAID: numbers[0].WAID, Exists: true}) {
		t.Errorf("check: %+v, %v", got, err)
	}
	if _, err := w.manager.Check(t.Context(), w.tenancy, test.ID, numbers); !errors.Is(err, instances.ErrNotFound) {
		t.Errorf("an instance of the other world: %v", err)
	}
	if _, err := w.manager.Check(t.Context(), w.world.testTenancy(), test.ID, numbers); err == nil {
		t.Error("a channel that cannot ask has answered")
	}
}
