package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

// A receipt finds the message that it is about, of its own instance and no
// other; what a contact wrote shows whom a reach-out lock lets through.
func TestLiveMessagesAreFoundByTheirWhatsAppID(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		test := storetest.Workspace(t, s, "live")
		live := messaging.NewTenancy(test.Workspace(), messaging.Live, messaging.AllInstances())
		one, two := storetest.Instance(t, s, live, "one"), storetest.Instance(t, s, live, "two")
		ours, other := storetest.Message(one, "5511988880001", "a"), storetest.Message(two, "5511988880001", "b")
		inbound := storetest.Message(one, "5511988880001", "hi")
		for _, m := range []messaging.Message{ours, other} {
			if err := s.Accept(t.Context(), outbox.Acceptance{Message: &m}, func(int64) {}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Report(t.Context(), messaging.InboundMessage{Message: inbound}); err != nil {
			t.Fatal(err)
		}
		found, err := s.MessagesByWAID(t.Context(), live.Workspace(), messaging.Live, one.ID,
			[]string{ours.WAMessageID, other.WAMessageID, inbound.WAMessageID, "3EB0NOBODY"})
		if diff := cmp.Diff(map[string]string{ours.WAMessageID: ours.ID}, found); diff != "" || err != nil {
			t.Error(err, diff)
		}
		for waID, want := range map[string]bool{"5511988880001@s.whatsapp.net": true, "5511988880002@s.whatsapp.net": false} {
			if wrote, err := s.WroteToUs(t.Context(), live.Workspace(), messaging.Live, one.ID, waID); wrote != want || err != nil {
				t.Errorf("%s wrote: %v, %v", waID, wrote, err)
			}
		}
		for waID, want := range map[string]bool{inbound.WAMessageID: true, ours.WAMessageID: false, "3EB0NOBODY": false} {
			if received, err := s.Received(t.Context(), live.Workspace(), messaging.Live, one.ID, waID); received != want || err != nil {
				t.Errorf("%s received: %v, %v", waID, received, err)
			}
		}
		if received, err := s.Received(t.Context(), live.Workspace(), messaging.Live, two.ID, inbound.WAMessageID); received || err != nil {
			t.Errorf("by another instance: %v, %v", received, err)
		}
		if wrote, err := s.WroteToUs(t.Context(), live.Workspace(), messaging.Live, two.ID, "5511988880001@s.whatsapp.net"); wrote || err != nil {
			t.Errorf("to another instance: %v, %v", wrote, err)
		}
	})
}

// The keys of linked sessions are nobody else's to read.
func TestTheDatabaseOfSessionsIsPrivate(t *testing.T) {
	dir := t.TempDir()
	db, dialect, err := store.OpenWhatsApp(t.Context(), store.Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	info, err := os.Stat(filepath.Join(dir, "whatsapp.db"))
	if err != nil || info.Mode().Perm() != 0o600 || dialect != "sqlite3" {
		t.Errorf("%v, %v, %s", info.Mode(), err, dialect)
	}
}
