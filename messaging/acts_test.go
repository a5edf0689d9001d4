package messaging_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
)

var sentAt = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// outbound is a message of ours that stands somewhere.
func outbound(status messaging.Status) messaging.Message {
	m := messaging.Message{
		Direction: messaging.Outbound, Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: "a"}},
		State: messaging.State{Status: status},
	}
	if status.Carried() {
		m.SentAt = sentAt
	}
	return m
}

// Only what the network has can be changed there, and what waits is told that it
// can be canceled.
func TestOnlyWhatWasSentCanBeActedOn(t *testing.T) {
	for _, status := range messaging.Statuses {
		m, may := outbound(status), status.Carried() && status != messaging.StatusReceived
		if status == messaging.StatusReceived {
			m.Direction = messaging.Inbound
		}
		for act, err := range map[string]error{"edit": m.MayEdit(sentAt), "revoke": m.MayRevoke(sentAt)} {
			if (err == nil) != may || err != nil && !errors.Is(err, fault.ErrConflict) {
				t.Errorf("%s when %s: %v", act, status, err)
			}
		}
	}
}

// Phones pass over what comes too late, so that to do it would be a lie.
func TestActsHaveTheirTime(t *testing.T) {
	m := outbound(messaging.StatusRead)
	for _, c := range []struct {
		after        time.Duration
		edit, revoke bool
	}{
		{0, true, true},
		{15 * time.Minute, true, true},
		{15*time.Minute + time.Microsecond, false, true},
		{60 * time.Hour, false, true},
		{60*time.Hour + time.Microsecond, false, false},
	} {
		if err := m.MayEdit(sentAt.Add(c.after)); errors.Is(err, messaging.ErrTooOld) == c.edit {
			t.Errorf("edit after %s: %v", c.after, err)
		}
		if err := m.MayRevoke(sentAt.Add(c.after)); errors.Is(err, messaging.ErrTooOld) == c.revoke {
			t.Errorf("revoke after %s: %v", c.after, err)
		}
	}
	m.RevokedAt = sentAt
	if err := m.MayEdit(sentAt); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("edit of what was revoked: %v", err)
	}
}

// An edit changes the words alone, and leaves the message that it is made from as
// it was.
func TestAnEditChangesTheWordsAlone(t *testing.T) {
	reply, words, caption := &messaging.Reference{WAMessageID: "3EB0"}, &messaging.Text{Body: "b"}, "b"
	media := func(kind messaging.Kind, caption string) messaging.Content {
		return messaging.Content{Kind: kind, Media: &messaging.Media{ID: "med_1", Caption: caption}, ReplyTo: reply}
	}
	once := media(messaging.KindImage, "a")
	once.ViewOnce = true
	for name, c := range map[string]struct {
		content messaging.Content
		edit    messaging.Edit
		want    *messaging.Content // nil: it cannot be edited so
	}{
		"text": {
			messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: "a", PreviewURL: true}, ReplyTo: reply, Mentions: []string{"1@lid"}},
			messaging.Edit{Text: words},
			&messaging.Content{Kind: messaging.KindText, Text: words, ReplyTo: reply, Mentions: []string{"1@lid"}},
		},
		"caption":               {media(messaging.KindImage, "a"), messaging.Edit{Caption: &caption}, new(media(messaging.KindImage, "b"))},
		"no caption before":     {media(messaging.KindVideo, ""), messaging.Edit{Caption: &caption}, new(media(messaging.KindVideo, "b"))},
		"no caption any more":   {media(messaging.KindDocument, "a"), messaging.Edit{Caption: new("")}, new(media(messaging.KindDocument, ""))},
		"text for an image":     {media(messaging.KindImage, "a"), messaging.Edit{Text: words}, nil},
		"caption for a text":    {messaging.Content{Kind: messaging.KindText, Text: words}, messaging.Edit{Caption: &caption}, nil},
		"caption for a sticker": {media(messaging.KindSticker, ""), messaging.Edit{Caption: &caption}, nil},
		"seen once":             {once, messaging.Edit{Caption: &caption}, nil},
		"a poll":                {messaging.Content{Kind: messaging.KindPoll, Poll: &messaging.Poll{}}, messaging.Edit{Text: words}, nil},
	} {
		m := messaging.Message{Content: c.content}
		before := m.Content.Clone()
		got, ok := m.Amended(c.edit)
		if ok != (c.want != nil) {
			t.Errorf("%s: editable is %t", name, ok)
			continue
		}
		if diff := cmp.Diff(before, m.Content); diff != "" {
			t.Errorf("%s: the message has changed (-before +after):\n%s", name, diff)
		}
		if !ok {
			continue
		}
		if diff := cmp.Diff(*c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		after := messaging.Message{Content: got}
		if m.Says(&got) || !after.Says(&got) {
			t.Errorf("%s: says so before: %t, after: %t", name, m.Says(&got), after.Says(&got))
		}
	}
}

// A reaction is seen only in the chat of its message.
func TestAMessageBelongsToAChat(t *testing.T) {
	const group, number, lid = "120363025246125486@g.us", "5511912345678@s.whatsapp.net", "999@lid"
	for name, c := range map[string]struct {
		peer, chat messaging.Address
		in         bool
	}{
		"the same person":         {messaging.Address{WAID: number}, messaging.Address{WAID: number}, true},
		"without the ninth digit": {messaging.Address{WAID: "551112345678@s.whatsapp.net"}, messaging.Address{WAID: number}, true},
		"another person":          {messaging.Address{WAID: number}, messaging.Address{WAID: "5511912345679@s.whatsapp.net"}, false},
		"perhaps the same person": {messaging.Address{WAID: lid}, messaging.Address{WAID: number}, true},
		"another hidden person":   {messaging.Address{WAID: lid}, messaging.Address{WAID: "998@lid"}, false},
		"what was sent to it":     {messaging.Address{Input: group, WAID: group}, messaging.Address{Input: group, WAID: group}, true},
		"what a member wrote":     {messaging.Address{Input: group, WAID: number}, messaging.Address{Input: group, WAID: group}, true},
		"the member alone":        {messaging.Address{Input: group, WAID: number}, messaging.Address{WAID: number}, false},
		"another group":           {messaging.Address{Input: group, WAID: number}, messaging.Address{WAID: "1-2@g.us"}, false},
	} {
		m := messaging.Message{Peer: c.peer}
		if got := m.In(c.chat); got != c.in {
			t.Errorf("%s: %t", name, got)
		}
	}
}
