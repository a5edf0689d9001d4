package store_test

import (
	"testing"
	"time"

	"portaria/instances/pairlink"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// A link must not link a second phone, even when nobody looked while the first
// one was linked. So the news of a phone ends the instance's links in its own
// transaction.
func TestALinkedPhoneUsesUpTheLinksOfItsInstance(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		one, other := storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "other")
		hashes := map[string]string{}
		for _, i := range []messaging.Instance{one, other} {
			_, link, err := pairlink.New(s, nil).Create(t.Context(), pairlink.Draft{Tenancy: tenancy, InstanceID: i.ID})
			if err != nil {
				t.Fatal(err)
			}
			hashes[i.ID] = link.TokenHash
		}
		used := func(instanceID string) bool {
			t.Helper()
			link, err := s.PairingLink(t.Context(), hashes[instanceID])
			if err != nil {
				t.Fatal(err)
			}
			return !link.UsedAt.IsZero()
		}
		report := func(c messaging.InstanceChange) {
			t.Helper()
			c.WorkspaceID, c.Environment, c.InstanceID, c.At = one.WorkspaceID, one.Environment, one.ID, time.Now()
			if err := s.Report(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		report(messaging.InstanceChange{Type: messaging.EventInstancePairing, State: messaging.InstancePairing})
		report(messaging.InstanceChange{Type: messaging.EventInstanceLoggedOut, State: messaging.InstanceLoggedOut, Linked: &messaging.Link{}})
		if used(one.ID) {
			t.Error("a link was used up without a phone")
		}
		report(messaging.InstanceChange{
			Type: messaging.EventInstanceConnected, State: messaging.InstanceConnected,
			Linked: &messaging.Link{ID: "device:1", Phone: "5511912345678"},
		})
		if !used(one.ID) || used(other.ID) {
			t.Errorf("used: %v, the other instance's: %v", used(one.ID), used(other.ID))
		}
	})
}
