package instances_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/instances"
	"portaria/messaging"
	"portaria/store/storetest"
)

// The life of a live instance, from its creation to its logout: every act of its
// owner opens one channel for it, and a channel lives through the states that it
// reports itself.
func TestALiveChannelLivesFromOneActToTheNext(t *testing.T) {
	eachLive(t, func(w *liveWorld) {
		i := w.create("one")
		w.begin()
		if w.phones.count(i.ID) != 0 {
			w.t.Error("an instance that nobody wants connected has a channel")
		}
		w.act("connect", i.ID, messaging.AskConnect)
		asked := w.phones.last()
		for _, state := range []messaging.InstanceState{messaging.InstanceConnecting, messaging.InstancePairing} {
			w.tell(asked, state, nil)
		}
		w.tell(asked, messaging.InstanceConnected, func(c *messaging.InstanceChange) {
			c.Done, c.Linked = asked.AskedAt, &messaging.Link{ID: "session", Phone: "5511912345678", PushName: "Ana"}
		})
		now := w.until(i.ID, "is connected", func(i messaging.Instance) bool { return i.State == messaging.InstanceConnected })
		if !w.carries(i.ID) || now.Ask != messaging.AskNothing || now.LinkedID != "session" || now.Phone != "5511912345678" {
			w.t.Errorf("carries %v: %+v", w.carries(i.ID), now)
		}
		eventually(w.t, "the lane hears of it", func() bool { return w.network.timesConnected(i.ID) == 1 })
		w.tell(now, messaging.InstanceDisconnected, func(c *messaging.InstanceChange) { c.Reason = messaging.ReasonConnectionLost })
		w.until(i.ID, "is disconnected", func(messaging.Instance) bool { return !w.carries(i.ID) })
		w.tell(now, messaging.InstanceConnected, nil)
		w.until(i.ID, "carries again", func(messaging.Instance) bool { return w.carries(i.ID) })
		eventually(w.t, "the lane hears of it again", func() bool { return w.network.timesConnected(i.ID) == 2 })

		w.act("restart", i.ID, messaging.AskConnect, messaging.AskRestart)
		w.until(i.ID, "is connecting", func(i messaging.Instance) bool { return i.State == messaging.InstanceConnecting })
		restarted := w.phones.last()
		w.tell(restarted, messaging.InstanceConnected, func(c *messaging.InstanceChange) { c.Done = restarted.AskedAt })
		w.until(i.ID, "carries after the restart", func(messaging.Instance) bool { return w.carries(i.ID) })

		w.act("logout", i.ID, messaging.AskConnect, messaging.AskRestart, messaging.AskLogout)
		out := w.phones.last()
		w.tell(out, messaging.InstanceLoggedOut, func(c *messaging.InstanceChange) {
			c.Reason, c.Done, c.Linked, c.Undone = messaging.ReasonLoggedOutByOwner, out.AskedAt, new(messaging.Link), true
		})
		gone := w.until(i.ID, "is logged out", func(i messaging.Instance) bool { return i.State == messaging.InstanceLoggedOut })
		if gone.Linked() || gone.Ask != messaging.AskNothing || gone.Desired != messaging.DesiredDisconnected {
			w.t.Errorf("logged out: %+v", gone)
		}
		eventually(w.t, "its channel is closed", func() bool { return w.phones.count(i.ID) == 0 })
	})
}

// act does what an owner asks for, and waits for the channels that have been
// opened for it so far.
func (w *liveWorld) act(what, id string, asks ...messaging.Ask) messaging.Instance {
	w.t.Helper()
	var i messaging.Instance
	var err error
	switch what {
	case "connect":
		i, err = w.manager.Connect(w.t.Context(), w.tenancy, id, "")
	case "disconnect":
		i, err = w.manager.Disconnect(w.t.Context(), w.tenancy, id)
	case "restart":
		i, err = w.manager.Restart(w.t.Context(), w.tenancy, id)
	case "logout":
		i, err = w.manager.Logout(w.t.Context(), w.tenancy, id)
	default:
		w.t.Fatalf("no act %q", what)
	}
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
	eventually(w.t, what+" opens a channel", func() bool { return cmp.Equal(asks, w.phones.asks(id)) })
	return i
}

// A disconnection leaves nobody who could tell of it but the manager. It is told
// once the channel is closed, and is an event.
func TestADisconnectionIsShownWhenTheChannelIsClosed(t *testing.T) {
	eachLive(t, func(w *liveWorld) {
		pairing, linked := w.create("pairing"), w.linked("linked", messaging.InstanceConnected)
		w.begin()
		w.act("connect", pairing.ID, messaging.AskConnect)
		w.tell(pairing, messaging.InstancePairing, nil)
		w.until(pairing.ID, "is being paired", func(i messaging.Instance) bool { return i.State == messaging.InstancePairing })
		eventually(w.t, "the linked one is taken up", func() bool { return w.phones.count(linked.ID) == 1 })
		for id, want := range map[string]messaging.InstanceState{
			pairing.ID: messaging.InstanceCreated, linked.ID: messaging.InstanceDisconnected,
		} {
			if _, err := w.manager.Disconnect(w.t.Context(), w.tenancy, id); err != nil {
				w.t.Fatal(err)
			}
			now := w.until(id, "is at rest", func(i messaging.Instance) bool { return i.State == want })
			if now.StateReason != messaging.ReasonDisconnectedByOwner || w.phones.count(id) != 0 || now.Desired != messaging.DesiredDisconnected {
				w.t.Errorf("%s: %+v, %d channels", id, now, w.phones.count(id))
			}
			events, err := w.store.Events(w.t.Context(), w.tenancy, messaging.EventFilter{InstanceID: id}, messaging.Page{Limit: 1})
			if err != nil || len(events) == 0 || events[0].Type != messaging.EventInstanceDisconnected || events[0].Instance.State != want {
				w.t.Errorf("%s: events %+v, %v", id, events, err)
			}
		}
		if again := w.resolve(linked.ID); again.LinkedID != linked.LinkedID {
			w.t.Error("a disconnection unlinked the phone")
		}
	})
}

// Who disconnects right after a phone was linked has a linked instance, though
// the manager may not have heard of the phone yet.
func TestADisconnectionRightAfterLinkingKeepsThePhone(t *testing.T) {
	eachLive(t, func(w *liveWorld) {
		i := w.create("one")
		w.begin()
		w.act("connect", i.ID, messaging.AskConnect)
		asked := w.phones.last()
		w.store.TellInstances(func(messaging.Instance) {}) // the news is late
		w.tell(asked, messaging.InstancePairing, nil)
		w.tell(asked, messaging.InstanceConnected, func(c *messaging.InstanceChange) {
			c.Done, c.Linked = asked.AskedAt, &messaging.Link{ID: "session", Phone: "5511912345678"}
		})
		late := asked
		late.State = messaging.InstancePairing
		w.manager.Observe(late)
		w.idle()
		if _, err := w.manager.Disconnect(w.t.Context(), w.tenancy, i.ID); err != nil {
			w.t.Fatal(err)
		}
		eventually(w.t, "it is told", func() bool {
			events, err := w.store.Events(w.t.Context(), w.tenancy, messaging.EventFilter{InstanceID: i.ID}, messaging.Page{Limit: 1})
			return err == nil && events[0].Type == messaging.EventInstanceDisconnected
		})
		stored, err := w.store.FindInstance(w.t.Context(), i.WorkspaceID, i.Environment, i.ID)
		if err != nil || stored.State != messaging.InstanceDisconnected || !stored.Linked() {
			w.t.Errorf("%+v, %v; want a linked instance that is disconnected", stored, err)
		}
	})
}

// The command line writes beside the server, which must do what it asks for.
func TestAnActOfAnotherProcessIsDone(t *testing.T) {
	eachLive(t, func(w *liveWorld) {
		i := w.create("one")
		w.begin()
		store := w.beside()
		command := instances.NewManager(instances.Options{Store: store, Now: w.now})
		if _, err := command.Connect(w.t.Context(), w.tenancy, "one", "5511912345678"); err != nil {
			w.t.Fatal(err)
		}
		eventually(w.t, "the server opens a channel", func() bool { return w.phones.count(i.ID) == 1 })
		if got := w.phones.last(); got.Ask != messaging.AskConnect || got.PairPhone != "5511912345678" {
			w.t.Errorf("opened for %+v", got)
		}
		if _, err := command.Disconnect(w.t.Context(), w.tenancy, "one"); err != nil {
			w.t.Fatal(err)
		}
		eventually(w.t, "the server closes it", func() bool { return w.phones.count(i.ID) == 0 })
	})
}

// A process that was killed may have been about to do what was asked.
func TestAnAskSurvivesTheProcess(t *testing.T) {
	eachLive(t, func(w *liveWorld) {
		i := w.create("one")
		if _, err := w.manager.Connect(w.t.Context(), w.tenancy, i.ID, ""); err != nil {
			w.t.Fatal(err)
		}
		w.restart()
		w.begin()
		eventually(w.t, "the next process opens a channel for it", func() bool {
			return cmp.Equal([]messaging.Ask{messaging.AskConnect}, w.phones.asks(i.ID))
		})
	})
}

// News of a state is older, by the time it is taken in, than an act that was
// answered meanwhile.
func TestOlderNewsDoesNotUndoAnAct(t *testing.T) {
	w := newLiveWorld(t, storetest.Light)
	i := w.linked("one", messaging.InstanceConnected)
	w.load()
	old := w.resolve(i.ID)
	acted, err := w.manager.Disconnect(t.Context(), w.tenancy, i.ID)
	if err != nil {
		t.Fatal(err)
	}
	old.State = messaging.InstanceConnecting
	w.manager.Observe(old)
	w.load()
	if got := w.resolve(i.ID); got.Desired != messaging.DesiredDisconnected || !got.AskedAt.Equal(acted.AskedAt) {
		t.Errorf("the act is undone: %+v", got)
	}
}

// On a frozen clock two acts come at one time, and are two all the same.
func TestEveryAskHasATimeOfItsOwn(t *testing.T) {
	w := newLiveWorld(t, storetest.Light)
	i := w.linked("one", messaging.InstanceConnected)
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	m := instances.NewManager(instances.Options{Store: w.store, Now: func(messaging.Tenancy, string) time.Time { return noon }})
	for n := range 3 {
		got, err := m.Restart(t.Context(), w.tenancy, i.ID)
		if want := noon.Add(time.Duration(n) * time.Microsecond); err != nil || !got.AskedAt.Equal(want) {
			t.Errorf("asked at %v, %v; want %v", got.AskedAt, err, want)
		}
	}
}

// An act that would change nothing is no act: a page that asks for a connection
// again and again must not draw a new code each time.
func TestWhatIsThereAlreadyIsNotAskedForAgain(t *testing.T) {
	w := newLiveWorld(t, storetest.Light)
	act := func(do func(context.Context, messaging.Tenancy, string) (messaging.Instance, error), i messaging.Instance) bool {
		t.Helper()
		before := w.resolve(i.ID)
		got, err := do(t.Context(), w.tenancy, i.ID)
		if err != nil {
			t.Errorf("%s: %v", i.Name, err)
		}
		return !got.AskedAt.Equal(before.AskedAt)
	}
	connect := func(phone string) func(context.Context, messaging.Tenancy, string) (messaging.Instance, error) {
		return func(ctx context.Context, t messaging.Tenancy, id string) (messaging.Instance, error) {
			return w.manager.Connect(ctx, t, id, phone)
		}
	}
	connected, lost, fresh := w.linked("connected", messaging.InstanceConnected), w.linked("lost", messaging.InstanceDisconnected), w.create("fresh")
	for name, c := range map[string]struct{ acted, want bool }{
		"connect when connected":       {act(connect(""), connected), false},
		"connect when disconnected":    {act(connect(""), lost), true},
		"disconnect what is not":       {act(w.manager.Disconnect, fresh), false},
		"log out what is not linked":   {act(w.manager.Logout, fresh), false},
		"log out":                      {act(w.manager.Logout, lost), true},
		"log out twice":                {act(w.manager.Logout, lost), false},
		"connect in spite of a logout": {act(connect(""), lost), true},
		"pair":                         {act(connect(""), fresh), true},
	} {
		if c.acted != c.want {
			t.Errorf("%s: acted %v, want %v", name, c.acted, c.want)
		}
	}
	w.tell(fresh, messaging.InstancePairing, nil)
	w.load()
	if act(connect(""), fresh) {
		t.Error("a pairing by QR began anew")
	}
	if !act(connect("5511912345678"), fresh) || w.resolve(fresh.ID).PairPhone != "5511912345678" {
		t.Error("a pairing by QR did not become one by a code")
	}
	if _, err := w.manager.Restart(t.Context(), w.tenancy, fresh.ID); !errors.Is(err, instances.ErrNotConnected) {
		t.Errorf("restart without a phone: %v", err)
	}
	if _, err := w.manager.Connect(t.Context(), live(storetest.Workspace(t, w.store, "other")), fresh.ID, ""); !errors.Is(err, instances.ErrNotFound) {
		t.Errorf("connect of another workspace's: %v", err)
	}
}

// Closing a channel says goodbye to a network, which may take its time. Neither
// other instances nor who asked wait for it.
func TestASlowGoodbyeHoldsNothingUp(t *testing.T) {
	eachLive(t, func(w *liveWorld) {
		slow, other := w.linked("slow", messaging.InstanceDisconnected), w.linked("other", messaging.InstanceDisconnected)
		release := make(chan struct{})
		w.phones.slow[slow.ID] = release
		stop := w.begin()
		eventually(w.t, "both have a channel", func() bool { return w.phones.count(slow.ID) == 1 && w.phones.count(other.ID) == 1 })
		if _, err := w.manager.Restart(w.t.Context(), w.tenancy, slow.ID); err != nil {
			w.t.Fatal(err)
		}
		w.act("restart", other.ID, messaging.AskNothing, messaging.AskRestart)
		w.tell(other, messaging.InstanceConnected, nil)
		w.until(other.ID, "carries", func(messaging.Instance) bool { return w.carries(other.ID) })
		close(release)
		eventually(w.t, "the slow one has its new channel", func() bool {
			return cmp.Equal([]messaging.Ask{messaging.AskNothing, messaging.AskRestart}, w.phones.asks(slow.ID))
		})
		stop()
	})
}

// What keeps a channel from opening may be over in a moment.
func TestALiveChannelThatDoesNotOpenIsTriedAgain(t *testing.T) {
	w := newLiveWorld(t, storetest.Light)
	i := w.linked("one", messaging.InstanceConnected)
	w.phones.down = true
	w.begin()
	w.until(i.ID, "is not shown as connected", func(i messaging.Instance) bool { return i.State == messaging.InstanceConnecting })
	w.phones.mu.Lock()
	w.phones.down = false
	w.phones.mu.Unlock()
	eventually(t, "it has a channel", func() bool { return w.phones.count(i.ID) == 1 })
}

// What waited for a number must not be sent from another one, not even by a
// process that is killed between the two.
func TestAnotherNumberSendsNothingOfTheOneBefore(t *testing.T) {
	eachLive(t, func(w *liveWorld) {
		i := w.linked("one", messaging.InstanceDisconnected)
		w.begin()
		eventually(w.t, "it has a channel", func() bool { return w.phones.count(i.ID) == 1 })
		release := w.relinked.block(i.ID)
		w.relinked.fail(i.ID, 1)
		w.tell(i, messaging.InstanceConnected, func(c *messaging.InstanceChange) {
			c.Linked = &messaging.Link{ID: "other", Phone: "5511900000000"}
		})
		eventually(w.t, "what waits is being failed", func() bool { tried, _ := w.relinked.counts(i.ID); return tried == 1 })
		if w.carries(i.ID) {
			w.t.Error("messages of the other number are being sent")
		}
		release()
		w.until(i.ID, "carries", func(messaging.Instance) bool { return w.carries(i.ID) })
		if tried, done := w.relinked.counts(i.ID); tried != 2 || done != 1 {
			w.t.Errorf("tried %d times, done %d times; want 2 and 1", tried, done)
		}
		eventually(w.t, "the lane hears of it", func() bool { return w.network.timesConnected(i.ID) == 1 })
	})
}

// What came in for the second number, while the first one's was being failed, is
// not the third one's either.
func TestAThirdNumberSendsNothingOfTheTwoBefore(t *testing.T) {
	eachLive(t, func(w *liveWorld) {
		i := w.linked("one", messaging.InstanceDisconnected)
		w.begin()
		eventually(w.t, "it has a channel", func() bool { return w.phones.count(i.ID) == 1 })
		release := w.relinked.block(i.ID)
		for n, phone := range []string{"5511900000000", "5511900000001"} {
			w.tell(i, messaging.InstanceConnected, func(c *messaging.InstanceChange) {
				c.Linked = &messaging.Link{ID: "session " + phone, Phone: phone}
			})
			if n == 0 {
				eventually(w.t, "what waits is being failed", func() bool { tried, _ := w.relinked.counts(i.ID); return tried == 1 })
			}
		}
		release()
		w.until(i.ID, "carries", func(messaging.Instance) bool { return w.carries(i.ID) })
		if _, done := w.relinked.counts(i.ID); done != 2 {
			w.t.Errorf("done %d times, want once for each number before", done)
		}
	})
}

func TestTheNextProcessFailsWhatWaitedForAnotherNumber(t *testing.T) {
	eachLive(t, func(w *liveWorld) {
		i := w.linked("one", messaging.InstanceDisconnected)
		w.tell(i, messaging.InstanceConnected, func(c *messaging.InstanceChange) {
			c.Linked = &messaging.Link{ID: "other", Phone: "5511900000000"}
		}) // and the process is killed
		w.restart()
		w.begin()
		eventually(w.t, "what waits is failed", func() bool { _, done := w.relinked.counts(i.ID); return done == 1 })
		w.until(i.ID, "is as any other", func(i messaging.Instance) bool { return !i.Relinked })
	})
}

// A phone that goes on showing a linked device which nobody can name is a bad
// goodbye.
func TestADeletionLogsALiveInstanceOutFirst(t *testing.T) {
	eachLive(t, func(w *liveWorld) {
		i := w.linked("one", messaging.InstanceConnected)
		w.phones.obey = func(i messaging.Instance) {
			if i.Ask == messaging.AskLogout {
				w.tell(i, messaging.InstanceLoggedOut, func(c *messaging.InstanceChange) {
					c.Done, c.Linked, c.Undone = i.AskedAt, new(messaging.Link), true
				})
			}
		}
		w.begin()
		if _, err := w.manager.Delete(w.t.Context(), w.tenancy, i.ID); err != nil {
			w.t.Fatal(err)
		}
		asks := w.phones.asks(i.ID)
		if len(asks) == 0 || asks[len(asks)-1] != messaging.AskLogout || w.phones.count(i.ID) != 0 {
			w.t.Errorf("asked %v, %d channels are open", asks, w.phones.count(i.ID))
		}
		if _, err := w.store.FindInstance(w.t.Context(), i.WorkspaceID, i.Environment, i.ID); !errors.Is(err, instances.ErrNotFound) {
			w.t.Errorf("find: %v", err)
		}
	})
}
