package messaging

import (
	"time"

	"portaria/internal/fault"
)

// How long after a message was sent WhatsApp lets its author act on it. Phones
// pass over what comes later.
const (
	// EditWindow is that of WhatsApp's apps.
	EditWindow = 15 * time.Minute
	// RevokeWindow is that of the apps, as far as is known: two and a half days. A
	// network that has another refuses by itself.
	RevokeWindow = 60 * time.Hour
)

// ErrTooOld is the fault of an edit or a revocation that comes too late.
var ErrTooOld = fault.New(fault.Conflict, "MESSAGE_TOO_OLD", "The message was sent too long ago.")

// ErrActRefused is the fault of an act that the network understood and did not
// take: to ask again is of no use.
var ErrActRefused = fault.New(fault.Conflict, "REFUSED_BY_NETWORK", "The network did not take this.")

// MayEdit returns why a message's content cannot be changed on the network at a
// time of its world: ErrTooOld, or fault.ErrConflict with a sentence that says
// what can be done instead; nil when it can.
func (m *Message) MayEdit(now time.Time) error {
	if err := m.mayAct("edited"); err != nil {
		return err
	}
	if !m.RevokedAt.IsZero() {
		return fault.ErrConflict.Saying("The message was deleted for everyone and cannot be edited any more.")
	}
	return m.within(now, EditWindow, "WhatsApp lets a message be edited for 15 minutes.")
}

// MayRevoke returns why a message cannot be deleted for everyone at a time of
// its world, as MayEdit does. That it was revoked already is no reason.
func (m *Message) MayRevoke(now time.Time) error {
	if err := m.mayAct("deleted for everyone"); err != nil {
		return err
	}
	return m.within(now, RevokeWindow, "WhatsApp lets a message be deleted for everyone for two and a half days.")
}

// mayAct checks that the message is ours and that the network has it.
func (m *Message) mayAct(what string) error {
	conflict := fault.ErrConflict.With("status", string(m.Status))
	switch {
	case m.Direction != Outbound:
		return conflict.Saying("Only a message that was sent from here can be " + what + ".")
	case m.Status == StatusSending:
		return conflict.Saying("The message is on its way; it can be " + what + " when it is sent.")
	case m.Status.Waiting():
		return conflict.Saying("The message has not been sent and cannot be " + what + "; cancel it instead.")
	case !m.Status.Carried():
		return conflict.Saying("The message was never sent, so that there is nothing to be " + what + ".")
	default:
		return nil
	}
}

func (m *Message) within(now time.Time, window time.Duration, sentence string) error {
	until := m.SentAt.Add(window)
	if now.After(until) {
		return ErrTooOld.Saying(sentence).With("until", until.UTC().Truncate(time.Millisecond))
	}
	return nil
}

// Amended is the message's content with another text, or another caption of its
// file; false when that is no content of the message's kind that can be edited.
// Poll, places and cards are not edited on WhatsApp, nor is what may be seen
// once.
func (m *Message) Amended(edit Edit) (Content, bool) {
	c := m.Content.Clone()
	switch {
	case c.ViewOnce:
		return c, false
	case edit.Text != nil && c.Kind == KindText && c.Text != nil:
		c.Text = edit.Text
		return c, true
	case edit.Caption != nil && c.Kind.HasCaption() && c.Media != nil:
		c.Media.Caption = *edit.Caption
		return c, true
	default:
		return c, false
	}
}

// Edit is what is to become of a message's content: exactly one member is set.
type Edit struct {
	Text    *Text
	Caption *string // of an image, a video or a document; empty takes it away
}

// HasCaption reports whether a content of this kind may have a caption.
func (k Kind) HasCaption() bool { return k == KindImage || k == KindVideo || k == KindDocument }

// In reports whether a message belongs to the chat with an address. Of a person
// who is known by a number here and by an id that hides it there, that cannot be
// told: it may be.
func (m *Message) In(chat Address) bool {
	group, other := m.Peer.Group(), chat.Group()
	if group != "" || other != "" {
		return group == other
	}
	if (m.Peer.Phone() == "") != (chat.Phone() == "") {
		return true
	}
	return Person(m.Peer.WAID) == Person(chat.WAID)
}

// Typing is what a contact is shown of somebody who is about to send something.
type Typing string

// The states of typing. WhatsApp ends the first two by itself after about 25
// seconds, and when a message arrives.
const (
	TypingText      Typing = "typing"
	TypingRecording Typing = "recording" // a voice note
	TypingPaused    Typing = "paused"
)

// Says reports whether a message's text or caption is that of another content
// of its kind already.
func (m *Message) Says(c *Content) bool {
	switch {
	case m.Content.Text != nil && c.Text != nil:
		return *m.Content.Text == *c.Text
	case m.Content.Media != nil && c.Media != nil:
		return m.Content.Media.Caption == c.Media.Caption
	default:
		return false
	}
}
