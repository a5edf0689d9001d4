package wasim

import (
	"container/list"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
)

// replayPart is how many stanzas of a replay are put into the outbox at once. A
// device may have more waiting than an outbox takes, and would be dropped at
// every login for not reading what it was never sent.
const replayPart = 4096

// replay is how far a device has been sent what waited for its login. What
// comes meanwhile joins the end, so that the order is kept. The device's mutex
// guards it.
type replay struct {
	next *list.Element // the first that has not been sent; nil after the last
	sent int
	due  time.Time // all of it was ready at the login, so a delay counts from there
}

// meet takes notice of a stanza that has joined the end of the queue.
func (r *replay) meet(e *list.Element) {
	if r.next == nil {
		r.next = e
	}
}

// pass leaves out a stanza that is about to be removed from the queue.
func (r *replay) pass(e *list.Element) {
	if r.next == e {
		r.next = e.Next()
	}
}

// feedLocked sends the next part of the replay, and after the last that there
// is no more.
func (d *device) feedLocked() {
	r, c := d.replay, d.conn
	for range replayPart {
		if r.next == nil {
			break
		}
		c.sendDue(r.next.Value.(*pendingStanza).plain, r.due)
		r.next = r.next.Next()
		r.sent++
	}
	if r.next == nil {
		c.send(inbound("offline", waBinary.Attrs{"count": r.sent}))
		d.replay = nil
		c.returned.Store(nil)
	}
}

// take waits for what is to be written. The next part of a replay is put into
// the outbox already when one is taken, so that delays overlap.
func (c *conn) take() []outgoing {
	batch := c.outbox.take(c.ctx)
	if d := c.returned.Load(); d != nil {
		d.feed(c)
	}
	return batch
}

// feed goes on with the replay, unless another connection has taken the place
// of this one.
func (d *device) feed(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn == c && d.replay != nil {
		d.feedLocked()
	}
}
