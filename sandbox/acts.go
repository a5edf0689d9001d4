package sandbox

import (
	"context"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// errOffline is the fault of an act that meets a channel which has just lost its
// connection.
var errOffline = fault.ErrUnavailable.Saying("The instance has just lost its connection; try again.").After(time.Second)

// The simulated contacts have no screens: what was carried stays what it was, and
// the acts below succeed as soon as there is a connection. What they lead to,
// edits and revocations, is for who asks to record.

// Edit gives a message that was carried another content.
func (c *channel) Edit(context.Context, messaging.Message) error { return c.act() }

// Revoke deletes a message that was carried for everyone.
func (c *channel) Revoke(context.Context, messaging.Message) error { return c.act() }

// Type shows a contact what is about to be sent. There has to be one.
func (c *channel) Type(_ context.Context, to messaging.Address, _ messaging.Typing) error {
	if p := planFor(to, nil); p.entry == refuse && p.code == codeNotOnWhatsApp {
		return messaging.ErrActRefused.Saying("The number is not on WhatsApp.")
	}
	return c.act()
}

// MarkRead tells contacts that their messages were read.
func (c *channel) MarkRead(context.Context, []messaging.Message) error { return c.act() }

func (c *channel) act() error {
	if !c.online() {
		return errOffline
	}
	return nil
}
