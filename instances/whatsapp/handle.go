package whatsapp

import (
	"fmt"
	"runtime/debug"

	"go.mau.fi/whatsmeow/types/events"
)

// signal is something that whatsmeow tells life.
type signal struct {
	kind   signalKind
	ending ending
	name   string // of renamed
}

type signalKind uint8

const (
	ended        signalKind = iota
	dropped                 // ended, but perhaps of an earlier connection
	connectedNow            // logged in, and ready
	renamed                 // another push name
)

// handle takes an event of whatsmeow. What is to be acknowledged is recorded
// when it returns true; false leaves it with WhatsApp, which sends it again with
// the next connection.
func (c *channel) handle(evt any) (ok bool) {
	if !c.enter() {
		return false
	}
	defer c.work.Done()
	defer func() {
		// whatsmeow would take a panic for success, and acknowledge.
		if p := recover(); p != nil {
			c.log.Error("event not handled", "event", fmt.Sprintf("%T", evt), "panic", p, "stack", string(debug.Stack()))
			ok = false
		}
	}()
	switch e := evt.(type) {
	case *events.Message:
		return c.onMessage(e)
	case *events.Receipt:
		return c.onReceipt(e)
	case *events.CallOffer:
		return c.onCall(offered(e))
	case *events.CallOfferNotice:
		return c.onCall(noticed(e))
	case *events.Connected:
		return c.signal(signal{kind: connectedNow})
	case *events.PushNameSetting:
		return c.signal(signal{kind: renamed, name: e.Action.GetName()})
	case *events.Disconnected:
		end, _ := endingOf(e, c.now())
		return c.signal(signal{kind: dropped, ending: end})
	}
	if end, over := endingOf(evt, c.now()); over {
		return c.signal(signal{kind: ended, ending: end})
	}
	return true
}

// signal tells life something; false when the channel closes meanwhile.
func (c *channel) signal(s signal) bool {
	if s.kind == ended {
		c.online.Store(false) // nothing more goes to a connection that is over
	}
	select {
	case c.signals <- s:
		return true
	case <-c.ctx.Done():
		return false
	}
}
