package gateway

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/messaging"
)

// The hot path writes a message by hand; the document is made from a struct.
// Both must be the same JSON, whatever the message holds.
func TestWrittenMessageIsTheDocumentedOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMessage(t)
		want, err := json.Marshal(documented(m))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(messageJSON{m}.appendJSON(nil))); diff != "" {
			t.Fatalf("(-documented +written):\n%s", diff)
		}
	})
}

// documented is the message in the form that the document is made from.
func documented(m messaging.Message) messageView {
	v := messageView{
		ID: m.ID, InstanceID: m.InstanceID, Environment: m.Environment, Direction: m.Direction, Type: m.Content.Kind,
		Content: documentedContent(m.Content), Status: m.Status,
		WAMessageID: m.WAMessageID, Error: m.Error, Attempts: m.Attempts,
		CreatedAt: timestamp(m.CreatedAt), SendAt: timestamp(m.SendAt), SentAt: timestamp(m.SentAt),
		DeliveredAt: timestamp(m.DeliveredAt), ReadAt: timestamp(m.ReadAt), FailedAt: timestamp(m.FailedAt),
		EditedAt: timestamp(m.EditedAt), RevokedAt: timestamp(m.RevokedAt),
	}
	peer := addressView(m.Peer)
	if m.Direction == messaging.Inbound {
		v.From = &peer
	} else {
		v.To = &peer
	}
	if m.KeyID != "" {
		v.KeyID = &m.KeyID
	}
	if m.BulkID != "" {
		v.BulkID = &m.BulkID
	}
	if m.Metadata != nil {
		v.Metadata = &map[string]any{"a": "b"}
	}
	return v
}

// documentedContent is a content in the form that the document is made from.
func documentedContent(c messaging.Content) contentView {
	options := contentOptionsView{Mentions: c.Mentions, ViewOnce: c.ViewOnce}
	if c.ReplyTo != nil {
		options.ReplyTo = documentedReference(c.ReplyTo)
	}
	switch {
	case c.Kind == messaging.KindText:
		return contentView{textView{c.Text.Body, c.Text.PreviewURL, options}}
	case c.Kind == messaging.KindReaction:
		return contentView{reactionView{*documentedReference(&c.Reaction.Message), c.Reaction.Emoji, options}}
	case c.Kind.IsMedia():
		return contentView{mediaContentView{
			nullable(c.Media.ID), c.Media.MIME, nullable(c.Media.Filename), nullable(c.Media.Caption), c.Media.Size,
			nullable(c.Media.SHA256), c.Media.Voice, options,
		}}
	case c.Kind == messaging.KindLocation:
		return contentView{locationView{c.Location.Latitude, c.Location.Longitude, nullable(c.Location.Name), nullable(c.Location.Address), options}}
	case c.Kind == messaging.KindContacts:
		return contentView{contactsView{documentedContacts(c.Contacts), options}}
	case c.Kind == messaging.KindPoll:
		return contentView{pollView{c.Poll.Question, c.Poll.Options, c.Poll.Multiple, options}}
	default:
		return contentView{unknownView{true, options}}
	}
}

func documentedContacts(contacts []messaging.Contact) []contactView {
	views := make([]contactView, len(contacts))
	for i, c := range contacts {
		v := &views[i]
		v.Name = contactNameView{c.Name.FormattedName, nullable(c.Name.FirstName), nullable(c.Name.LastName)}
		for _, p := range c.Phones {
			v.Phones = append(v.Phones, contactPhoneView{p.Phone, nullable(p.WAID), nullable(p.Type)})
		}
		for _, e := range c.Emails {
			v.Emails = append(v.Emails, contactEmailView{e.Email, nullable(e.Type)})
		}
		v.Organization = nullable(c.Organization)
	}
	return views
}

func documentedReference(r *messaging.Reference) *referenceView {
	return &referenceView{nullable(r.MessageID), r.WAMessageID, nullable(r.Author), r.FromMe}
}

// drawContent draws what a message of any kind may say.
func drawContent(t *rapid.T, text *rapid.Generator[string]) messaging.Content {
	c := messaging.Content{
		Kind: rapid.SampledFrom([]messaging.Kind{
			messaging.KindText, messaging.KindText, messaging.KindImage, messaging.KindVideo, messaging.KindAudio,
			messaging.KindDocument, messaging.KindSticker, messaging.KindLocation, messaging.KindContacts, messaging.KindPoll,
			messaging.KindReaction, messaging.KindUnknown,
		}).Draw(t, "kind"),
		ViewOnce: rapid.Bool().Draw(t, "view once"),
	}
	if rapid.Bool().Draw(t, "mentions?") {
		c.Mentions = rapid.SliceOfN(text, 1, 3).Draw(t, "mentions")
	}
	reference := messaging.Reference{
		MessageID: text.Draw(t, "message"), WAMessageID: text.Draw(t, "wa id"), Author: text.Draw(t, "author"), FromMe: rapid.Bool().Draw(t, "ours"),
	}
	if rapid.Bool().Draw(t, "reply?") {
		c.ReplyTo = &reference
	}
	switch {
	case c.Kind == messaging.KindText:
		c.Text = &messaging.Text{Body: text.Draw(t, "body"), PreviewURL: rapid.Bool().Draw(t, "preview")}
	case c.Kind == messaging.KindLocation:
		c.Location = &messaging.Location{
			Latitude: rapid.Float64Range(-90, 90).Draw(t, "latitude"), Longitude: rapid.Float64Range(-180, 180).Draw(t, "longitude"),
			Name: text.Draw(t, "place"), Address: text.Draw(t, "address"),
		}
	case c.Kind == messaging.KindContacts:
		c.Contacts = rapid.SliceOfN(drawContact(text), 0, 3).Draw(t, "contacts")
	case c.Kind == messaging.KindPoll:
		c.Poll = &messaging.Poll{
			Question: text.Draw(t, "question"), Options: rapid.SliceOfN(text, 0, 3).Draw(t, "options"), Multiple: rapid.Bool().Draw(t, "multiple"),
		}
	case c.Kind == messaging.KindReaction:
		c.Reaction = &messaging.Reaction{Message: reference, Emoji: text.Draw(t, "emoji")}
	case c.Kind.IsMedia():
		c.Media = &messaging.Media{
			ID: text.Draw(t, "id"), MIME: text.Draw(t, "mime"), Filename: text.Draw(t, "name"), Caption: text.Draw(t, "caption"),
			Size: rapid.Int64().Draw(t, "size"), SHA256: text.Draw(t, "sha"), Voice: rapid.Bool().Draw(t, "voice"),
		}
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

func drawMessage(t *rapid.T) messaging.Message {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"Olá", "a\"b\\c", "\x00\x1f\u2028</script>", "", "😀"}))
	moment := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "none") {
			return time.Time{}
		}
		return time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "us")).In(time.FixedZone("BRT", -3*60*60))
	})
	m := messaging.Message{
		ID: text.Draw(t, "id"), InstanceID: text.Draw(t, "instance"), Environment: messaging.Test,
		Direction: rapid.SampledFrom([]messaging.Direction{messaging.Outbound, messaging.Inbound}).Draw(t, "direction"),
		Peer:      messaging.Address{Input: text.Draw(t, "input"), WAID: text.Draw(t, "wa_id")},
		Content:   drawContent(t, text), EditedAt: moment.Draw(t, "edited"), RevokedAt: moment.Draw(t, "revoked"),
		WAMessageID: text.Draw(t, "wa"), KeyID: text.Draw(t, "key"), BulkID: text.Draw(t, "bulk"),
		CreatedAt: moment.Draw(t, "created"), SendAt: moment.Draw(t, "send"),
		State: messaging.State{
			Status: rapid.SampledFrom(messaging.Statuses).Draw(t, "status"), Attempts: rapid.Int().Draw(t, "attempts"),
			SentAt: moment.Draw(t, "sent"), DeliveredAt: moment.Draw(t, "delivered"), ReadAt: moment.Draw(t, "read"), FailedAt: moment.Draw(t, "failed"),
		},
	}
	if rapid.Bool().Draw(t, "failed?") {
		m.Error = &messaging.SendError{Code: "NOT_ON_WHATSAPP", Message: text.Draw(t, "why")}
	}
	if rapid.Bool().Draw(t, "metadata?") {
		m.Metadata = []byte(`{"a":"b"}`)
	}
	return m
}

func TestTimesAreUTCMilliseconds(t *testing.T) {
	at := time.Date(2026, 1, 31, 9, 0, 0, 123_456_789, time.FixedZone("BRT", -3*60*60))
	if got := string(appendTime(nil, at)); got != `"2026-01-31T12:00:00.123Z"` {
		t.Errorf("got %s", got)
	}
	if got := string(appendTime(nil, time.Time{})); got != "null" {
		t.Errorf("no time is %s", got)
	}
}

// So is the caller's own key.
func TestWrittenKeyIsTheDocumentedOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		v := meView{
			ID: text.Draw(t, "id"), Name: text.Draw(t, "name"), WorkspaceID: text.Draw(t, "workspace"), Environment: messaging.Test,
			Scopes: rapid.SliceOfN(text, 0, 3).Draw(t, "scopes"), AllInstances: rapid.Bool().Draw(t, "all"),
			Limits:    limitsView{RatePerMinute: rapid.Int64().Draw(t, "rate"), RateBurst: rapid.Int64().Draw(t, "burst")},
			ExpiresAt: timestamp(time.UnixMilli(rapid.Int64Range(0, 1e13).Draw(t, "expiry"))),
		}
		if rapid.Bool().Draw(t, "limits messages") {
			v.Limits.MessagesPerMinute = &v.Limits.RateBurst
		}
		if rapid.Bool().Draw(t, "locked") {
			list := make([]allowedView, rapid.IntRange(0, 2).Draw(t, "instances"))
			for i := range list {
				list[i] = allowedView{ID: text.Draw(t, "instance"), Name: text.Draw(t, "its name")}
			}
			v.Instances = &list
		}
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(v.appendJSON(nil))); diff != "" {
			t.Fatalf("(-documented +written):\n%s", diff)
		}
	})
}
