package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
			messaging.KindSticker, messaging.KindReaction, messaging.KindUnknown,
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
	case c.Kind == messaging.KindReaction:
		c.Reaction = &messaging.Reaction{Message: reference, Emoji: text.Draw(t, "emoji")}
	}
	return c
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
			if diff := cmp.Diff(m.Content, got.Content); diff != "" {
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
