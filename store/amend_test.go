package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox"
	"portaria/store"
	"portaria/store/storetest"
)

// inbound is a message from a contact to an instance.
func inbound(i messaging.Instance, waID string, content messaging.Content) messaging.Message {
	m := storetest.Message(i, "5511912345678", "")
	m.Direction, m.Content, m.WAMessageID, m.KeyID, m.Lineage = messaging.Inbound, content, waID, "", ""
	m.ExpiresAt, m.Status = time.Time{}, messaging.StatusReceived
	return m
}

func textOf(body string) messaging.Content {
	return messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: body}}
}

func report(t *testing.T, s *store.Store, records ...messaging.Record) {
	t.Helper()
	if err := s.Report(t.Context(), records...); err != nil {
		t.Fatalf("report: %v", err)
	}
}

// told lists the types of events, oldest first.
func told(t *testing.T, s *store.Store, tenancy messaging.Tenancy, f messaging.EventFilter) []messaging.Event {
	t.Helper()
	f.After = messaging.NewEventID(0, time.Time{})
	events, err := s.Events(t.Context(), tenancy, f, messaging.Page{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func types(events []messaging.Event) (out []messaging.EventType) {
	for _, e := range events {
		out = append(out, e.Type)
	}
	return out
}

func edit(m messaging.Message, content messaging.Content, at time.Time) messaging.MessageEdit {
	return messaging.MessageEdit{
		WorkspaceID: m.WorkspaceID, Environment: m.Environment, InstanceID: m.InstanceID, WAMessageID: m.WAMessageID,
		Author: m.Peer, Content: content, At: at,
	}
}

func revoke(m messaging.Message, at time.Time) messaging.MessageRevoke {
	return messaging.MessageRevoke{
		WorkspaceID: m.WorkspaceID, Environment: m.Environment, InstanceID: m.InstanceID, WAMessageID: m.WAMessageID,
		Author: m.Peer, At: at,
	}
}

// What a network repeats must not become two facts, in one batch or in many.
func TestAnEditAndARevokeAreToldOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		m := inbound(i, "3EB0AA", textOf("helo"))
		at := m.CreatedAt.Add(time.Minute)
		fixed, revoked := edit(m, textOf("hello"), at), revoke(m, at.Add(time.Minute))
		report(t, s, messaging.InboundMessage{Message: m}, fixed, fixed)
		report(t, s, fixed, edit(m, textOf("too old"), at.Add(-time.Second)))
		report(t, s, revoked, revoked)
		report(t, s, revoked, edit(m, textOf("after the end"), at.Add(time.Hour)))

		got, err := s.Message(t.Context(), tenancy, m.ID)
		if err != nil {
			t.Fatal(err)
		}
		want := m
		want.Content, want.EditedAt, want.RevokedAt = textOf("hello"), at, at.Add(time.Minute)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		events := told(t, s, tenancy, messaging.EventFilter{MessageID: m.ID})
		if diff := cmp.Diff([]messaging.EventType{"message.received", "message.edited", "message.revoked"}, types(events)); diff != "" {
			t.Fatal(diff)
		}
		if e := events[0].Message; !e.EditedAt.IsZero() || !e.RevokedAt.IsZero() {
			t.Errorf("the first event knows of later ones: edited %v, revoked %v", e.EditedAt, e.RevokedAt)
		}
		if e := events[1].Message; e.EditedAt != at || e.Content.Text.Body != "hello" || !e.RevokedAt.IsZero() {
			t.Errorf("the edit shows %+v", e)
		}
	})
}

// An edit's event keeps the content that it brought, whatever comes after it.
func TestEachEditShowsItsOwnContent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		m := inbound(storetest.Instance(t, s, tenancy, "one"), "3EB0AB", textOf("one"))
		report(t, s, messaging.InboundMessage{Message: m})
		for n, body := range []string{"two", "three"} {
			report(t, s, edit(m, textOf(body), m.CreatedAt.Add(time.Duration(n+1)*time.Second)))
		}
		var bodies []string
		for _, e := range told(t, s, tenancy, messaging.EventFilter{Type: messaging.EventMessageEdited}) {
			bodies = append(bodies, e.Message.Content.Text.Body)
		}
		if diff := cmp.Diff([]string{"two", "three"}, bodies); diff != "" {
			t.Error(diff)
		}
	})
}

// Nobody else may put words into a contact's mouth, or take them out of it.
func TestOnlyTheAuthorAmendsAMessage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i, other := storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "two")
		m := inbound(i, "3EB0AC", textOf("mine"))
		report(t, s, messaging.InboundMessage{Message: m})
		at := m.CreatedAt.Add(time.Second)
		stranger, self, elsewhere := revoke(m, at), revoke(m, at), revoke(m, at)
		stranger.Author.WAID = "5521999999999@s.whatsapp.net"
		self.Author = messaging.Address{}
		elsewhere.InstanceID = other.ID
		forged := edit(m, textOf("forged"), at)
		forged.Author = stranger.Author
		report(t, s, stranger, self, elsewhere, forged)
		got := types(told(t, s, tenancy, messaging.EventFilter{MessageID: m.ID}))
		if diff := cmp.Diff([]messaging.EventType{"message.received"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// In a group everybody sees the ids of messages. Somebody whose number is not
// known must not pass for somebody whose number is.
func TestAnUnknownNumberIsNotAnybodys(t *testing.T) {
	const group, mine, other, number = "120363025246125486@g.us", "999@lid", "777@lid", "5511912345678@s.whatsapp.net"
	for name, c := range map[string]struct {
		stored, author messaging.Address
		lid            string
		amends         bool
	}{
		"a LID on a number":                  {messaging.Address{Input: group, WAID: number}, messaging.Address{Input: group, WAID: mine}, "", false},
		"a number on a LID":                  {messaging.Address{Input: group, WAID: mine}, messaging.Address{Input: group, WAID: number}, "", false},
		"a number with another LID on a LID": {messaging.Address{Input: group, WAID: mine}, messaging.Address{Input: group, WAID: number}, other, false},
		"a number with its LID on that LID":  {messaging.Address{Input: group, WAID: mine}, messaging.Address{Input: group, WAID: number}, mine, true},
		"a LID on itself":                    {messaging.Address{Input: group, WAID: mine}, messaging.Address{Input: group, WAID: mine}, "", true},
		"a LID on another":                   {messaging.Address{Input: group, WAID: mine}, messaging.Address{Input: group, WAID: other}, "", false},
		"the same person in another chat":    {messaging.Address{Input: group, WAID: number}, messaging.Address{Input: "+5511912345678", WAID: number}, "", false},
		"the same person in another group":   {messaging.Address{Input: group, WAID: number}, messaging.Address{Input: "1-2@g.us", WAID: number}, "", false},
		"a person whose number became known": {messaging.Address{Input: mine, WAID: mine}, messaging.Address{Input: "+5511912345678", WAID: number}, mine, true},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, s *store.Store) {
				tenancy := storetest.Workspace(t, s, "w")
				m := inbound(storetest.Instance(t, s, tenancy, "one"), "3EB0AC", textOf("pay account 1"))
				m.Peer = c.stored
				report(t, s, messaging.InboundMessage{Message: m})
				e, r := edit(m, textOf("pay account 2"), m.CreatedAt.Add(time.Second)), revoke(m, m.CreatedAt.Add(time.Minute))
				e.Author, e.AuthorLID, r.Author, r.AuthorLID = c.author, c.lid, c.author, c.lid
				report(t, s, e, r)
				got, err := s.Message(t.Context(), tenancy, m.ID)
				if err != nil || got.EditedAt.IsZero() == c.amends || got.RevokedAt.IsZero() == c.amends {
					t.Errorf("edited %v, revoked %v, %v", got.EditedAt, got.RevokedAt, err)
				}
			})
		})
	}
}

// waitingAndRevoked is a live message in the outbox, and the record that its sender
// deletes it on another device.
func waitingAndRevoked(t *testing.T, s *store.Store) (messaging.Tenancy, messaging.Message, messaging.MessageRevoke) {
	t.Helper()
	tenancy := messaging.NewTenancy(storetest.Workspace(t, s, "w").Workspace(), messaging.Live, messaging.AllInstances())
	m := storetest.Message(storetest.Instance(t, s, tenancy, "one"), "5511912345678", "oops")
	accept(t, s, &m)
	own := revoke(m, m.CreatedAt.Add(time.Second))
	own.Author = messaging.Address{}
	return tenancy, m, own
}

// A message of ours can be deleted on the phone itself while its receipts still
// come, even in one batch with them.
func TestARevokeOnOurOwnPhoneMeetsReceipts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy, m, own := waitingAndRevoked(t, s)
		status := messaging.StatusChange{WorkspaceID: m.WorkspaceID, Environment: m.Environment, MessageID: m.ID, Status: messaging.StatusSent, At: own.At}
		report(t, s, status, own)
		status.Status = messaging.StatusDelivered
		report(t, s, own, status)
		want := []messaging.EventType{"message.queued", "message.sent", "message.revoked", "message.delivered"}
		if diff := cmp.Diff(want, types(told(t, s, tenancy, messaging.EventFilter{MessageID: m.ID}))); diff != "" {
			t.Error(diff)
		}
		got, err := s.Message(t.Context(), tenancy, m.ID)
		if err != nil || got.RevokedAt != own.At || got.Status != messaging.StatusDelivered {
			t.Errorf("revoked %v, %s, %v", got.RevokedAt, got.Status, err)
		}
	})
}

// What becomes of a message while it waits must not hide its place from what is
// recorded next: the row of the outbox would stay, and be sent again.
func TestAMessageThatIsRevokedWhileItWaitsLeavesTheOutboxOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		_, m, own := waitingAndRevoked(t, s)
		report(t, s, own)
		report(t, s, messaging.StatusChange{
			WorkspaceID: m.WorkspaceID, Environment: m.Environment, MessageID: m.ID, Status: messaging.StatusSent, At: own.At,
		})
		if lanes, err := s.Lanes(t.Context()); err != nil || len(lanes) != 0 {
			t.Errorf("still in the outbox: %v, %v", lanes, err)
		}
	})
}

// Whoever answers a message may name it by the id that WhatsApp knows.
func TestAMessageIsFoundByItsWhatsAppIDWithinItsInstance(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		test := storetest.Workspace(t, s, "w")
		live := messaging.NewTenancy(test.Workspace(), messaging.Live, messaging.AllInstances())
		i, other, phone := storetest.Instance(t, s, test, "one"), storetest.Instance(t, s, test, "two"), storetest.Instance(t, s, live, "one")
		received, sent, carriedOne := inbound(i, "3EB0AA", textOf("in")), storetest.Message(phone, "5511912345678", "out"), storetest.Message(i, "5511912345678", "out")
		report(t, s, messaging.InboundMessage{Message: received})
		accept(t, s, &sent)
		accept(t, s, &carriedOne)
		if _, err := s.Carry(t.Context(), []sandbox.Carried{{WorkspaceID: i.WorkspaceID, Carriage: messaging.Carriage{
			WAMessageID: carriedOne.WAMessageID, MessageID: carriedOne.ID, InstanceID: i.ID, To: carriedOne.Peer, Content: carriedOne.Content, CarriedAt: time.Now(),
		}}}); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			tenancy  messaging.Tenancy
			instance string
			waID     string
			want     string
		}{
			"received":          {test, i.ID, received.WAMessageID, received.ID},
			"sent":              {live, phone.ID, sent.WAMessageID, sent.ID},
			"carried":           {test, i.ID, carriedOne.WAMessageID, carriedOne.ID},
			"another instance":  {test, other.ID, received.WAMessageID, ""},
			"another world":     {live, i.ID, received.WAMessageID, ""},
			"outside the lock":  {messaging.NewTenancy(test.Workspace(), messaging.Test, messaging.OnlyInstances(other.ID)), i.ID, received.WAMessageID, ""},
			"another workspace": {messaging.NewTenancy("wsp_other", messaging.Test, messaging.AllInstances()), i.ID, carriedOne.WAMessageID, ""},
		} {
			m, err := s.MessageByWAID(t.Context(), c.tenancy, c.instance, c.waID)
			if m.ID != c.want || (c.want == "") != errors.Is(err, fault.ErrNotFound) {
				t.Errorf("%s: %q, %v", name, m.ID, err)
			}
		}
	})
}

// An edit of a caption comes without the file; the file stays.
func TestAnEditedCaptionKeepsTheFile(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		picture := messaging.Content{
			Kind:    messaging.KindImage,
			Media:   &messaging.Media{ID: messaging.NewID(messaging.MediaPrefix, time.Now()), MIME: "image/png", Size: 7, SHA256: "ab", Caption: "a"},
			ReplyTo: &messaging.Reference{WAMessageID: "3EB0FF", FromMe: true},
		}
		m := inbound(i, "3EB0AD", picture)
		caption := messaging.Content{Kind: messaging.KindImage, Media: &messaging.Media{Caption: "b"}}
		report(t, s, messaging.InboundMessage{Message: m}, edit(m, caption, m.CreatedAt.Add(time.Second)))
		got, err := s.Message(t.Context(), tenancy, m.ID)
		if err != nil {
			t.Fatal(err)
		}
		media := *picture.Media
		media.Caption = "b"
		want := picture
		want.Media = &media
		if diff := cmp.Diff(want, got.Content); diff != "" {
			t.Error(diff)
		}
	})
}

// A reaction is a message with an event of its own kind.
func TestAReactionIsToldAsOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		m := inbound(i, "3EB0AE", messaging.Content{Kind: messaging.KindReaction, Reaction: &messaging.Reaction{
			Message: messaging.Reference{WAMessageID: "3EB0AF", FromMe: true}, Emoji: "👍",
		}})
		report(t, s, messaging.InboundMessage{Message: m})
		report(t, s, messaging.InboundMessage{Message: m})
		events := told(t, s, tenancy, messaging.EventFilter{MessageID: m.ID})
		if diff := cmp.Diff([]messaging.EventType{"message.reaction"}, types(events)); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(m, *events[0].Message); diff != "" {
			t.Error(diff)
		}
	})
}

// The network offers a call again and again until somebody answers.
func TestACallIsToldOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i, other := storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "two")
		c := messaging.CallReceived{WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, Call: messaging.Call{
			ID: "CALL1", From: messaging.Address{Input: "+5511912345678", WAID: "5511912345678@s.whatsapp.net"}, Video: true, Rejected: true,
			At: time.Now().UTC().Truncate(time.Microsecond),
		}}
		report(t, s, c, c)
		elsewhere := c
		elsewhere.InstanceID = other.ID
		report(t, s, c, elsewhere)
		events := told(t, s, tenancy, messaging.EventFilter{Type: messaging.EventCallReceived})
		if len(events) != 2 {
			t.Fatalf("%d events, want one for each instance", len(events))
		}
		if diff := cmp.Diff(c.Call, *events[0].Call); diff != "" {
			t.Error(diff)
		}
		if events[0].Message != nil || events[0].Instance != nil {
			t.Error("a call is no message and no instance")
		}
	})
}
