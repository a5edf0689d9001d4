package whatsapp

import (
	"context"
	"time"

	"go.mau.fi/whatsmeow/types"

	"portaria/messaging"
)

// live does what the owner asked for, and then keeps the connection.
//
//	         ask connect                code scanned
//	created ────────────▶ pairing ─────────────────────┐
//	   ▲                     │ nobody scans            ▼          drop
//	   └─────────────────────┘                    connecting ◀─────────── disconnected
//	                                                   │  success    ▲         ▲
//	                                                   ▼             │ backoff │
//	            402: restricted, until it ends ◀── connected ────────┴─────────┘
//	            401, unlinked: logged_out            replaced, 405: disconnected, for good
//
// It returns when nothing is left to do until the owner asks again.
func (c *channel) live(ctx context.Context) {
	l := c.remember(ctx)
	switch {
	case ctx.Err() != nil:
	case c.facts.Ask == messaging.AskLogout:
		c.logout(ctx, l)
	case l == nil && c.facts.Ask == messaging.AskConnect:
		if l = c.pair(ctx); l != nil {
			c.stay(ctx, l)
		}
	case l == nil:
		c.done(ctx)
	case c.facts.Ask != messaging.AskNothing, c.facts.Desired == messaging.DesiredConnected && c.mayResume(ctx):
		c.stay(ctx, l)
	}
}

// mayResume waits as long as the end of an earlier connection wants it, which an
// earlier process may have seen; false: only the owner can ask for another.
// Whoever dials through a ban makes it longer.
func (c *channel) mayResume(ctx context.Context) bool {
	f := &c.facts
	switch f.State { //nolint:exhaustive // the others keep nobody from dialling
	case messaging.InstanceBanned:
		return false
	case messaging.InstanceDisconnected:
		return f.StateReason != messaging.ReasonStreamReplaced && f.StateReason != messaging.ReasonClientOutdated
	case messaging.InstanceRestricted:
		return c.pause(ctx, f.StateUntil.Sub(c.now()))
	default:
		return true
	}
}

// remember returns the link that the instance's record names. One whose session
// is missing is unlinked.
func (c *channel) remember(ctx context.Context) *link {
	if !c.facts.Linked() {
		return nil
	}
	for failures := 0; ctx.Err() == nil; failures++ {
		l, err := c.recall(ctx, c.facts.LinkedID)
		if err == nil && l == nil && c.facts.Ask != messaging.AskLogout {
			c.tell(ctx, messaging.InstanceChange{
				Type: messaging.EventInstanceLoggedOut, State: messaging.InstanceLoggedOut, Reason: messaging.ReasonSessionLost,
				Linked: new(messaging.Link),
			})
		}
		if err == nil {
			return l
		}
		c.log.Error("session not read", "error", err)
		c.pause(ctx, backoff(failures, c.timing.ReconnectMin, c.timing.ReconnectMax))
	}
	return nil
}

// stay keeps a linked session connected, until only its owner can.
func (c *channel) stay(ctx context.Context, l *link) {
	c.link.Store(l)
	c.tell(ctx, messaging.InstanceChange{State: messaging.InstanceConnecting, Done: c.asked()})
	calls := redial{least: c.timing.ReconnectMin, most: c.timing.ReconnectMax}
	for ctx.Err() == nil {
		end, was := c.connect(ctx, l)
		if ctx.Err() != nil {
			return
		}
		c.log.Info("connection ended", "state", end.state, "reason", end.reason, "lasted", was.lasted)
		c.conclude(ctx, l, end)
		delay := calls.after(was)
		switch end.next {
		case never:
			return
		case atEnd:
			delay = max(end.until.Sub(c.now()), c.timing.ReconnectMin)
			calls.reset()
		case again:
		case seldom:
			delay = backoff(0, c.timing.ReconnectMax, c.timing.ReconnectMax)
		}
		if !c.pause(ctx, delay) {
			return
		}
	}
}

// conclude records how a connection ended.
func (c *channel) conclude(ctx context.Context, l *link, end ending) {
	change := messaging.InstanceChange{
		Type: messaging.InstanceEvent(end.state), State: end.state, Reason: end.reason, Until: end.until,
	}
	if end.unlinked {
		change.Linked = new(messaging.Link)
		c.link.Store(nil)
		c.discard(ctx, l.jid)
	}
	c.tell(ctx, change)
}

// discard deletes a session that WhatsApp does not know any more. That it stays
// behind does no harm, so a failure is only logged.
func (c *channel) discard(ctx context.Context, jid types.JID) {
	if err := c.driver.o.Sessions.forget(ctx, jid); err != nil {
		c.log.Error("session not deleted", "error", err)
	}
}

// connect makes one connection and follows it to its end.
func (c *channel) connect(ctx context.Context, l *link) (ending, spell) {
	c.drain()
	l.keeper.refresh()
	hangUp, err := c.dial(ctx, l.client)
	if err != nil {
		return unreachable(err), spell{}
	}
	defer hangUp()
	defer c.online.Store(false)
	var since time.Time
	carried := c.pulse.count()
	end := c.follow(ctx, l, &since)
	if since.IsZero() {
		return end, spell{}
	}
	return end, spell{lasted: time.Since(since), carried: c.pulse.count() > carried}
}

// follow hears what a connection says until it ends. It notes since when the
// instance is logged in.
func (c *channel) follow(ctx context.Context, l *link, since *time.Time) ending {
	late := time.NewTimer(c.timing.Connect)
	defer late.Stop()
	for {
		select {
		case <-ctx.Done():
			return ending{next: never}
		case <-late.C:
			if since.IsZero() {
				return lost(messaging.ReasonNoTraffic)
			}
		case s := <-c.signals:
			switch {
			case s.kind == renamed:
				c.rename(ctx, l, s.name)
			case s.kind == connectedNow:
				*since = time.Now()
				c.online.Store(true)
				c.arrive(ctx, l)
			case s.kind == dropped && l.client.IsConnected():
				// It tells of the connection before this one.
			default:
				return s.ending
			}
		}
	}
}

// arrive records that the instance is connected.
func (c *channel) arrive(ctx context.Context, l *link) {
	change := messaging.InstanceChange{Type: messaging.EventInstanceConnected, State: messaging.InstanceConnected}
	if c.told.name == "" && l.name != "" {
		change.Linked = l.facts(l.name)
	}
	c.tell(ctx, change)
	if c.settings().AlwaysOnline {
		c.show(ctx, l)
	}
}

// rename records another push name.
func (c *channel) rename(ctx context.Context, l *link, name string) {
	if name == "" || name == c.told.name {
		return
	}
	c.tell(ctx, messaging.InstanceChange{State: c.told.state, Reason: c.told.reason, Until: c.told.until, Linked: l.facts(name)})
}

// facts returns the link as the instance's record keeps it.
func (l *link) facts(name string) *messaging.Link {
	return &messaging.Link{ID: l.jid.String(), Phone: l.jid.User, PushName: name}
}

// drain forgets what the last connection said.
func (c *channel) drain() {
	for {
		select {
		case <-c.signals:
		default:
			return
		}
	}
}
