package instances_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/store/storetest"
)

// linkedAs stores an instance to which a phone is linked by a session.
func (w *liveWorld) linkedAs(name, session string) messaging.Instance {
	w.t.Helper()
	i := storetest.NewInstance(w.tenancy, name)
	i.Driver, i.State, i.LinkedID = messaging.DriverWhatsApp, messaging.InstanceConnected, session
	if err := w.store.InsertInstance(w.t.Context(), i, nil); err != nil {
		w.t.Fatal(err)
	}
	return i
}

// forgets waits until these sessions are deleted, in this order, and the database
// has been told.
func (w *liveWorld) forgets(want ...string) {
	w.t.Helper()
	eventually(w.t, "the session is deleted", func() bool { return len(w.phones.sessionsForgotten()) >= len(want) })
	eventually(w.t, "it is not to be deleted again", func() bool {
		return w.store.ForgetLinks(w.t.Context(), func(context.Context, messaging.Instance) error { return errInUse }) == nil
	})
	if diff := cmp.Diff(want, w.phones.sessionsForgotten()); diff != "" {
		w.t.Error(diff)
	}
}

// The session of a deleted instance is a key to somebody's phone that nobody
// would look for again. WhatsApp may not have been told of the logout, and the
// session is deleted all the same, when its channel is closed.
func TestADeletionDeletesTheSessionThoughWhatsAppIsNotTold(t *testing.T) {
	w := newLiveWorld(t, storetest.Light) // the deletion waits in vain for the logout
	i := w.linkedAs("one", "5511900000001:1@s.whatsapp.net")
	w.linkedAs("two", "5511900000002:1@s.whatsapp.net")
	w.begin()
	eventually(t, "the channel is open", func() bool { return w.phones.count(i.ID) == 1 })
	if _, err := w.manager.Delete(t.Context(), w.tenancy, i.ID); err != nil {
		t.Fatal(err)
	}
	w.forgets(i.LinkedID)
}

// A command beside the server deletes an instance, or while no server runs; the
// server deletes the session as soon as it hears of it.
func TestTheServerDeletesTheSessionsOfWhatOthersDeleted(t *testing.T) {
	eachLive(t, func(w *liveWorld) {
		before, during := w.linkedAs("before", "1:1@s.whatsapp.net"), w.linkedAs("during", "2:1@s.whatsapp.net")
		shared, kept := w.linkedAs("shared", "3:1@s.whatsapp.net"), w.linkedAs("kept", "3:1@s.whatsapp.net")
		beside := w.beside()
		for _, i := range []messaging.Instance{before, shared} {
			if err := beside.DeleteInstance(w.t.Context(), i); err != nil {
				w.t.Fatal(err)
			}
		}
		w.begin()
		w.forgets(before.LinkedID)
		eventually(w.t, "the channels are open", func() bool { return w.phones.count(during.ID) == 1 && w.phones.count(kept.ID) == 1 })
		if err := beside.DeleteInstance(w.t.Context(), during); err != nil {
			w.t.Fatal(err)
		}
		w.forgets(before.LinkedID, during.LinkedID)
	})
}

// What could not be deleted is deleted by the next process, once.
func TestASessionThatCouldNotBeDeletedIsDeletedLater(t *testing.T) {
	eachLive(t, func(w *liveWorld) {
		i := w.linkedAs("one", "1:1@s.whatsapp.net")
		if err := w.beside().DeleteInstance(w.t.Context(), i); err != nil {
			w.t.Fatal(err)
		}
		w.phones.failForgets(errDown)
		stop := w.begin()
		stop()
		w.phones.failForgets(nil)
		for range 2 {
			w.restart()
			stop = w.begin()
			w.forgets(i.LinkedID)
			stop()
		}
	})
}
