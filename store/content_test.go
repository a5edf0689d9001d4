package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// drawContent draws what any message may say.
func drawContent(t *rapid.T) messaging.Content {
	text := rapid.StringOf(rapid.Rune())
	c := messaging.Content{
		Kind: rapid.SampledFrom([]messaging.Kind{
			messaging.KindText, messaging.KindImage, messaging.KindVideo, messaging.KindAudio, messaging.KindDocument,
			messaging.KindSticker, messaging.KindLocation, messaging.KindContacts, messaging.KindPoll, messaging.KindReaction,
			messaging.KindUnknown,
		}).Draw(t, "kind"),
		ViewOnce: rapid.Bool().Draw(t, "view once"),
	}
	if rapid.Bool().Draw(t, "mentions somebody") {
		c.Mentions = rapid.SliceOfN(text, 1, 3).Draw(t, "mentions")
	}
	reference := messaging.Reference{
		MessageID: text.Draw(t, "message"), WAMessageID: text.Draw(t, "wa id"), Author: text.Draw(t, "author"), FromMe: rapid.Bool().Draw(t, "ours"),
	}
	if rapid.Bool().Draw(t, "answers something") {
		c.ReplyTo = &reference
	}
	switch {
	case c.Kind == messaging.KindText:
		c.Text = &messaging.Text{Body: text.Draw(t, "body"), PreviewURL: rapid.Bool().Draw(t, "preview")}
	case c.Kind.IsMedia():
		c.Media = &messaging.Media{
			ID: text.Draw(t, "id"), MIME: text.Draw(t, "mime"), Filename: text.Draw(t, "name"), Caption: text.Draw(t, "caption"),
			Size: rapid.Int64().Draw(t, "size"), SHA256: text.Draw(t, "sha"), Voice: rapid.Bool().Draw(t, "voice"),
		}
	case c.Kind == messaging.KindLocation:
		c.Location = &messaging.Location{
			Latitude: rapid.Float64Range(-90, 90).Draw(t, "latitude"), Longitude: rapid.Float64Range(-180, 180).Draw(t, "longitude"),
			Name: text.Draw(t, "place"), Address: text.Draw(t, "address"),
		}
	case c.Kind == messaging.KindContacts:
		c.Contacts = rapid.SliceOfN(drawContact(text), 1, 3).Draw(t, "contacts")
	case c.Kind == messaging.KindPoll:
		c.Poll = &messaging.Poll{
			Question: text.Draw(t, "question"), Options: rapid.SliceOfN(text, 0, 3).Draw(t, "options"), Multiple: rapid.Bool().Draw(t, "multiple"),
		}
	case c.Kind == messaging.KindReaction:
		c.Reaction = &messaging.Reaction{Message: reference, Emoji: text.Draw(t, "emoji")}
	}
	return c
}

func drawContact(text *rapid.Generator[string]) *rapid.Generator[messaging.Contact] {
	phone := rapid.Custom(func(t *rapid.T) messaging.ContactPhone {
		return messaging.ContactPhone{Phone: text.Draw(t, "phone"), WAID: text.Draw(t, "wa id"), Type: text.Draw(t, "type")}
	})
	email := rapid.Custom(func(t *rapid.T) messaging.ContactEmail {
		return messaging.ContactEmail{Email: text.Draw(t, "email"), Type: text.Draw(t, "type")}
	})
	return rapid.Custom(func(t *rapid.T) messaging.Contact {
		return messaging.Contact{
			Name:   messaging.ContactName{FormattedName: text.Draw(t, "name"), FirstName: text.Draw(t, "first"), LastName: text.Draw(t, "last")},
			Phones: rapid.SliceOfN(phone, 0, 3).Draw(t, "phones"), Emails: rapid.SliceOfN(email, 0, 2).Draw(t, "emails"),
			Organization: text.Draw(t, "organization"),
		}
	})
}

// Whatever a message says is read back as it was given, when it is shown and
// when it is handed to the channel after a restart.
func TestContentsReadBackAsTheyWereGiven(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		var batch []messaging.Record
		var sent []messaging.Message
		rapid.Check(t, func(rt *rapid.T) {
			m := inbound(i, messaging.NewWAMessageID(), drawContent(rt))
			batch, sent = append(batch, messaging.InboundMessage{Message: m}), append(sent, m)
		})
		report(t, s, batch...)
		for _, m := range sent {
			got, err := s.Message(context.Background(), tenancy, m.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m.Content, got.Content, cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

// A contact's phone may send text that is no text; to refuse it would block
// everything behind it.
func TestBrokenTextDoesNotKeepAMessageOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		m := inbound(storetest.Instance(t, s, tenancy, "one"), "3EB0BB", textOf("a\xffb\x00c"))
		report(t, s, messaging.InboundMessage{Message: m})
		got, err := s.Message(t.Context(), tenancy, m.ID)
		if err != nil || got.Content.Text.Body != "a\ufffdb\x00c" {
			t.Errorf("%q, %v", got.Content.Text.Body, err)
		}
	})
}

// Files are found within their tenancy only.
func TestMediaIsFoundInItsOwnTenancyOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		mine, theirs := storetest.Workspace(t, s, "mine"), storetest.Workspace(t, s, "theirs")
		m := messaging.MediaInfo{
			ID: messaging.NewID(messaging.MediaPrefix, time.Now()), WorkspaceID: mine.Workspace(), Environment: messaging.Test,
			InstanceID: "ins_x", Lineage: "key_x", MIME: "image/png", Filename: "a.png", Size: 3, SHA256: "ab",
		}
		if err := s.InsertMedia(t.Context(), m, time.Now()); err != nil {
			t.Fatal(err)
		}
		got, err := s.FindMedia(t.Context(), mine.Workspace(), messaging.Test, m.ID)
		if diff := cmp.Diff(m, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		for _, at := range []struct {
			workspace string
			env       messaging.Environment
		}{{theirs.Workspace(), messaging.Test}, {mine.Workspace(), messaging.Live}} {
			if _, err := s.FindMedia(t.Context(), at.workspace, at.env, m.ID); err == nil {
				t.Errorf("found in %v", at)
			}
		}
		if err := s.DeleteMedia(t.Context(), mine.Workspace(), messaging.Test, m.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindMedia(t.Context(), mine.Workspace(), messaging.Test, m.ID); err == nil {
			t.Error("found after it was deleted")
		}
	})
}
