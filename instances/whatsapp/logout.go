package whatsapp

import (
	"context"
	"errors"

	"portaria/messaging"
)

// logout unlinks the phone, forgets the session and records it. When WhatsApp
// cannot be told in time, the session is forgotten all the same, and the phone
// goes on listing a device that will not come back.
func (c *channel) logout(ctx context.Context, l *link) {
	if l != nil {
		if err := c.unlink(ctx, l); err != nil {
			c.log.Warn("the phone still lists the device", "error", err)
		}
		if ctx.Err() != nil {
			return // it is asked for again
		}
		c.discard(ctx, l.jid)
	}
	c.tell(ctx, messaging.InstanceChange{
		Type: messaging.EventInstanceLoggedOut, State: messaging.InstanceLoggedOut, Reason: messaging.ReasonLoggedOutByOwner,
		Linked: new(messaging.Link), Undone: true, Done: c.asked(),
	})
}

var errNotTold = errors.New("WhatsApp could not be told")

// unlink tells WhatsApp that the session is over.
func (c *channel) unlink(ctx context.Context, l *link) error {
	limited, cancel := context.WithTimeout(ctx, c.timing.Logout)
	defer cancel()
	c.drain()
	hangUp, err := c.dial(limited, l.client)
	if err != nil {
		return err
	}
	defer hangUp()
	for {
		select {
		case <-limited.Done():
			return limited.Err()
		case s := <-c.signals:
			switch s.kind {
			case connectedNow:
				return l.client.Logout(limited)
			case ended, dropped:
				if s.ending.unlinked {
					return nil // it is over already
				}
				return errNotTold
			case renamed:
			}
		}
	}
}
