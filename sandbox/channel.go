package sandbox

import (
	"context"
	"sync"
	"time"

	"portaria/messaging"
)

// window is the largest batch: one durable step carries it whole.
const window = 256

// channel is one test instance's way to the simulated network. It has no
// goroutine and no queue: there may be very many of them.
type channel struct {
	driver    *Driver
	clock     messaging.Clock
	workspace string
	instance  string

	mu        sync.Mutex
	connected bool
	closed    bool
	redial    func() // forgets the reconnection, or the end of the pairing, that is to come; nil without one
}

var _ messaging.Channel = (*channel)(nil)

// Window implements messaging.Channel.
func (c *channel) Window() int { return window }

// Send implements messaging.Channel. Messages that are carried are durable
// when it returns; those of a store that fails are Deferred, and recognised if
// they come again after having been stored nevertheless.
func (c *channel) Send(ctx context.Context, batch []messaging.Outgoing) []messaging.Outcome {
	s := &sending{channel: c, batch: batch, outcomes: make([]messaging.Outcome, len(batch))}
	err := c.driver.pump.room(ctx)
	s.now, s.online = c.clock.Now(), c.online()
	if err != nil {
		for i := range batch {
			s.defers(i, hiccupDelay)
		}
		return s.outcomes
	}
	for i := range batch {
		s.decide(i)
	}
	s.carry(ctx)
	s.lose(ctx)
	return s.outcomes
}

// Close implements messaging.Channel. It waits for nothing: what the network
// owes for carried messages is the driver's to tell.
func (c *channel) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.connected = false
	if c.redial != nil {
		c.redial()
		c.redial = nil
	}
	return nil
}

func (c *channel) online() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.connected
}

// goOffline takes the channel off the network.
func (c *channel) goOffline() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.connected = false
}

// reconnectAt brings the channel back to the network at a time of its clock.
func (c *channel) reconnectAt(due time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.redial != nil {
		return
	}
	c.redial = c.clock.At(due, func() { c.reconnect(due) })
}

// reconnect is called by the clock.
func (c *channel) reconnect(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.redial = nil
	if c.closed {
		return
	}
	c.connected = true
	c.tell(c.change(messaging.InstanceConnected, "", at))
}

// change is the record of another state of the channel's instance.
func (c *channel) change(state messaging.InstanceState, reason string, at time.Time) messaging.InstanceChange {
	return messaging.InstanceChange{
		WorkspaceID: c.workspace, Environment: messaging.Test, InstanceID: c.instance,
		Type: messaging.InstanceEvent(state), State: state, Reason: reason, At: at,
	}
}

// tell reports a change as soon as it can be. It does not block.
func (c *channel) tell(change messaging.InstanceChange) {
	b := &bundle{workspace: c.workspace, instance: c.instance, due: change.At, change: change}
	b.era = c.driver.pump.era(c.workspace)
	c.driver.pump.collect(b)
}
