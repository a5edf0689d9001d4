package sandbox

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// pairingLasts is how long a pairing waits for a phone, as WhatsApp's do.
const pairingLasts = 160 * time.Second

// qrPrefix begins the text of the sandbox's QR codes as they are kept, which no
// phone takes for one of WhatsApp's. What is shown is a link that ends in the
// token behind it.
const qrPrefix = "portaria-sandbox:"

// LinkToken returns the token of a QR of the sandbox; false for other texts.
func LinkToken(qr string) (token string, ok bool) { return strings.CutPrefix(qr, qrPrefix) }

// LinkQR returns the text of the QR that has a token.
func LinkQR(token string) string { return qrPrefix + token }

// ErrNotPairing is the fault of scanning a code that is not shown.
var ErrNotPairing = fault.New(fault.Conflict, "INSTANCE_NOT_PAIRING",
	"The instance is not being paired. Ask for a connection first.")

// obey does the next step of what the instance's owner asks for. Every step is a
// state that is reported; the channel of that state does the one after it. So a
// process that takes over finds in the state how far it has come.
func (c *channel) obey(ctx context.Context, facts *messaging.Instance) error {
	switch facts.Ask {
	case messaging.AskConnect, messaging.AskRestart:
		switch {
		case !facts.Linked():
			return c.pair(ctx, facts)
		case facts.Ask == messaging.AskRestart && facts.State == messaging.InstanceConnected:
			c.tell(c.change(messaging.InstanceConnecting, "", facts.AskedAt))
		default:
			c.tell(c.done(facts, messaging.InstanceConnected, ""))
		}
	case messaging.AskLogout:
		change := c.done(facts, messaging.InstanceLoggedOut, messaging.ReasonLoggedOutByOwner)
		change.Linked, change.Undone = new(messaging.Link), true
		c.tell(change)
	case messaging.AskNothing:
	}
	return nil
}

// done is the change with which what was asked for is done.
func (c *channel) done(facts *messaging.Instance, state messaging.InstanceState, reason string) messaging.InstanceChange {
	change := c.change(state, reason, facts.AskedAt)
	change.Done = facts.AskedAt
	return change
}

// pair shows a code, unless the one of this pairing is shown already, and waits
// for a phone until the time is up.
func (c *channel) pair(ctx context.Context, facts *messaging.Instance) error {
	ends := facts.AskedAt.Add(pairingLasts)
	if err := c.driver.show(ctx, facts, ends); err != nil {
		return fmt.Errorf("show a pairing code: %w", err)
	}
	if facts.State != messaging.InstancePairing {
		c.tell(c.change(messaging.InstancePairing, "", facts.AskedAt))
		return nil
	}
	over := c.done(facts, messaging.InstanceCreated, messaging.ReasonPairingTimeout)
	over.At = ends
	c.mu.Lock()
	defer c.mu.Unlock()
	c.redial = c.clock.Deadline(ends, func() { c.giveUp(over) })
	return nil
}

// giveUp is called by the clock when nobody has scanned the code.
func (c *channel) giveUp(over messaging.InstanceChange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.redial = nil
	if !c.closed {
		c.tell(over)
	}
}

// show keeps a new code for a pairing. One that is there is of this pairing, for
// the store forgets it with every new ask; unless a channel of the ask before,
// opened a moment too late, has shown one of the other kind since.
func (d *Driver) show(ctx context.Context, facts *messaging.Instance, ends time.Time) error {
	if d.pairings == nil {
		return nil
	}
	shown, err := d.pairings.FindPairing(ctx, facts.WorkspaceID, messaging.Test, facts.ID)
	if err == nil && (shown.Code != "") == (facts.PairPhone != "") {
		return nil
	}
	if f := fault.As(err); err != nil && (f == nil || f.Kind() != fault.Conflict) {
		return err
	}
	p := messaging.Pairing{WorkspaceID: facts.WorkspaceID, Environment: messaging.Test, InstanceID: facts.ID, ExpiresAt: ends}
	if text := rand.Text(); facts.PairPhone != "" {
		p.Code = text[:4] + "-" + text[4:8]
	} else {
		p.QR = qrPrefix + text
	}
	return d.pairings.ShowPairing(ctx, p)
}
