package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/sandbox"
	"portaria/store"
	"portaria/store/storetest"
)

// A developer who edits and revokes in the test world must see what the live one
// would show, also when receipts come in the same batch.
func TestWeAmendWhatTheSandboxCarried(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i, other := storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "two")
		m := storetest.Message(i, "5511912345678", "oops")
		accept(t, s, &m)
		if _, err := s.Carry(t.Context(), []sandbox.Carried{{WorkspaceID: i.WorkspaceID, Carriage: messaging.Carriage{
			WAMessageID: m.WAMessageID, MessageID: m.ID, InstanceID: i.ID, To: m.Peer, Content: m.Content, CarriedAt: m.CreatedAt,
		}}}); err != nil {
			t.Fatal(err)
		}
		at := m.CreatedAt.Add(time.Second)
		sent := messaging.StatusChange{WorkspaceID: m.WorkspaceID, Environment: m.Environment, MessageID: m.ID, Status: messaging.StatusSent, At: at}
		edited, revoked := edit(m, textOf("better"), at), revoke(m, at.Add(time.Second))
		edited.Author, revoked.Author = messaging.Address{}, messaging.Address{}
		elsewhere := edited
		elsewhere.InstanceID, elsewhere.Content = other.ID, textOf("forged")
		report(t, s, sent, elsewhere, edited)
		report(t, s, edited, revoked)
		report(t, s, revoked)

		want := []messaging.EventType{"message.queued", "message.sent", "message.edited", "message.revoked"}
		if diff := cmp.Diff(want, types(told(t, s, tenancy, messaging.EventFilter{MessageID: m.ID}))); diff != "" {
			t.Error(diff)
		}
		got, err := s.Message(t.Context(), tenancy, m.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Content.Text.Body != "better" || !got.EditedAt.Equal(at) || !got.RevokedAt.Equal(at.Add(time.Second)) || got.Status != messaging.StatusSent {
			t.Errorf("%q, edited %v, revoked %v, %s", got.Content.Text.Body, got.EditedAt, got.RevokedAt, got.Status)
		}
	})
}
