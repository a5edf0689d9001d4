package instances

import (
	"context"
	"fmt"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// MessageActor is a channel that can do more with messages than send them. Its
// methods return when the network has taken the act, and with a fault when it
// has not: messaging.ErrActRefused, or a temporary one when nobody knows or the
// connection has just been lost. To act twice does no harm.
type MessageActor interface {
	// Edit gives a message that the network has the content that it is passed
	// with.
	Edit(ctx context.Context, m messaging.Message) error
	// Revoke deletes a message that the network has for everyone.
	Revoke(ctx context.Context, m messaging.Message) error
	// Type shows a chat that somebody here is about to send something, or is not
	// any more.
	Type(ctx context.Context, to messaging.Address, typing messaging.Typing) error
	// MarkRead tells the authors of inbound messages that they were read.
	MarkRead(ctx context.Context, messages []messaging.Message) error
}

// MessageFinder finds messages.
type MessageFinder interface {
	// Message finds a message within a tenancy; fault.ErrNotFound.
	Message(ctx context.Context, t messaging.Tenancy, id string) (messaging.Message, error)
}

// ChannelFinder finds channels; a Manager is one.
type ChannelFinder interface {
	// Channel returns the channel of an instance that is connected.
	Channel(instanceID string) (messaging.Channel, bool)
}

// MessageActsOptions are the parts of MessageActs. All are needed.
type MessageActsOptions struct {
	Channels ChannelFinder
	Messages MessageFinder
	Reporter messaging.Reporter
	// Now returns the time of the world that a message is in.
	Now func(m *messaging.Message) time.Time
}

// MessageActs does with messages what is no sending. It acts on the network at
// once, and records what the network took. It is safe for concurrent use; acts
// on one message take turns, so that what is recorded last is what the network
// has.
type MessageActs struct {
	o     MessageActsOptions
	turns turns
}

// NewMessageActs returns a MessageActs.
func NewMessageActs(o MessageActsOptions) *MessageActs { return &MessageActs{o: o} }

// Edit changes the text or the caption of a message that was sent, and returns
// the message as it stands then. What the message says already is not sent
// again. Faults: fault.ErrNotFound, fault.ErrValidation when the message has no
// such content, those of messaging.Message.MayEdit,
// ErrNotConnected, and those of MessageActor.
func (a *MessageActs) Edit(ctx context.Context, t messaging.Tenancy, id string, edit messaging.Edit) (messaging.Message, error) {
	return a.amend(ctx, t, id, func(m *messaging.Message, now time.Time) (messaging.Record, error) {
		content, ok := m.Amended(edit)
		if !ok {
			return nil, notEditable(m, edit)
		}
		if m.RevokedAt.IsZero() && m.Status.Carried() && m.Says(&content) {
			return nil, nil
		}
		if err := m.MayEdit(now); err != nil {
			return nil, err
		}
		actor, err := a.actor(m.InstanceID)
		if err != nil {
			return nil, err
		}
		if now.Before(m.EditedAt) {
			now = m.EditedAt // a clock was set back: what is done last is still the last
		}
		after := *m
		after.Content = content
		return messaging.MessageEdit{
			WorkspaceID: m.WorkspaceID, Environment: m.Environment, InstanceID: m.InstanceID, WAMessageID: m.WAMessageID, Content: content, At: now,
		}, actor.Edit(ctx, after)
	})
}

// Revoke deletes a message that was sent for everyone, and returns the message
// as it stands then. One that was revoked is returned as it is. Faults:
// fault.ErrNotFound, those of messaging.Message.MayRevoke, ErrNotConnected,
// and those of MessageActor.
func (a *MessageActs) Revoke(ctx context.Context, t messaging.Tenancy, id string) (messaging.Message, error) {
	return a.amend(ctx, t, id, func(m *messaging.Message, now time.Time) (messaging.Record, error) {
		if m.Direction == messaging.Outbound && !m.RevokedAt.IsZero() {
			return nil, nil
		}
		if err := m.MayRevoke(now); err != nil {
			return nil, err
		}
		actor, err := a.actor(m.InstanceID)
		if err != nil {
			return nil, err
		}
		return messaging.MessageRevoke{
			WorkspaceID: m.WorkspaceID, Environment: m.Environment, InstanceID: m.InstanceID, WAMessageID: m.WAMessageID, At: now,
		}, actor.Revoke(ctx, *m)
	})
}

// act does something on the network with a message, at a time of its world. It
// returns what is to be recorded of it; nil when there was nothing to be done.
type act func(m *messaging.Message, now time.Time) (messaging.Record, error)

// amend acts on a message and records it.
func (a *MessageActs) amend(ctx context.Context, t messaging.Tenancy, id string, do act) (messaging.Message, error) {
	done, err := a.turns.take(ctx, id)
	if err != nil {
		return messaging.Message{}, fault.ErrUnavailable.Because(err)
	}
	defer done()
	m, err := a.o.Messages.Message(ctx, t, id)
	if err != nil {
		return m, err
	}
	record, err := do(&m, a.o.Now(&m))
	if err != nil || record == nil {
		return m, err
	}
	// The network has it: whoever asked may go away, the record may not.
	ctx = context.WithoutCancel(ctx)
	if err := a.o.Reporter.Report(ctx, record); err != nil {
		return m, fmt.Errorf("record what was done with a message: %w", err)
	}
	return a.o.Messages.Message(ctx, t, id)
}

// Type shows a chat what is about to be sent. Faults: ErrNotConnected,
// and those of MessageActor.
func (a *MessageActs) Type(ctx context.Context, i messaging.Instance, to messaging.Address, typing messaging.Typing) error {
	actor, err := a.actor(i.ID)
	if err != nil {
		return err
	}
	return actor.Type(ctx, to, typing)
}

// MarkRead tells the authors of an instance's inbound messages that they were
// read. Faults: ErrNotConnected,
// and those of MessageActor.
func (a *MessageActs) MarkRead(ctx context.Context, i messaging.Instance, messages []messaging.Message) error {
	actor, err := a.actor(i.ID)
	if err != nil {
		return err
	}
	return actor.MarkRead(ctx, messages)
}

// actor returns the channel of an instance.
func (a *MessageActs) actor(instanceID string) (MessageActor, error) {
	channel, ok := a.o.Channels.Channel(instanceID)
	if !ok {
		return nil, ErrNotConnected
	}
	actor, ok := channel.(MessageActor)
	if !ok {
		return nil, fault.ErrUnavailable.Saying("The network of this instance can only send.")
	}
	return actor, nil
}

// notEditable is the fault of an edit that does not fit the message.
func notEditable(m *messaging.Message, edit messaging.Edit) error {
	field, sentence := "text", "is for messages of type text; of an image, a video or a document, the caption can be edited"
	if edit.Caption != nil {
		field, sentence = "caption", "is for images, videos and documents"
	}
	if m.Content.ViewOnce {
		sentence = "cannot be edited: the message can be seen once"
	}
	return fault.Fields{{Field: field, Rule: "requires", Message: sentence}}.Err()
}
