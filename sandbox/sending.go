package sandbox

import (
	"context"
	"time"

	"portaria/messaging"
)

// sending is one batch on its way through a channel.
type sending struct {
	channel  *channel
	batch    []messaging.Outgoing
	outcomes []messaging.Outcome
	now      time.Time
	online   bool
	lost     entry          // drop or logout when the batch cost the connection, else carry
	taken    []int          // places in the batch of what the network takes
	waiting  map[string]int // by recipient, the place of the first that has to wait
}

// decide finds out what becomes of one message. A message never passes one to
// the same recipient that has to wait, whatever it would meet itself.
func (s *sending) decide(i int) {
	m := &s.batch[i]
	if first, ok := s.waiting[m.To.WAID]; ok {
		s.outcomes[i] = s.outcomes[first]
		s.outcomes[i].Tried = false
		return
	}
	if !s.online {
		s.outcomes[i] = messaging.Outcome{Verdict: messaging.Deferred}
		return
	}
	p := planFor(m.To, m.Sandbox)
	switch e := p.entry.at(m.Attempt); e {
	case carry:
		s.taken = append(s.taken, i)
	case refuse:
		s.outcomes[i] = messaging.Outcome{Verdict: messaging.Refused, At: s.now, Error: sendError(p.code)}
	case hiccup:
		s.fails(i, time.Duration(m.Attempt)*hiccupDelay)
	case drop:
		s.online, s.lost = false, drop
		s.fails(i, dropDelay)
	case logout:
		s.online, s.lost = false, logout
		// Due at once, but there is no connection: it goes when there is one
		// again, and as a second try, or it would end that one too.
		s.outcomes[i] = messaging.Outcome{Verdict: messaging.Deferred, At: s.now, Due: s.now, Error: sendError(codeLoggedOut), Tried: true}
		s.waits(i)
	case hold:
		s.outcomes[i] = messaging.Outcome{
			Verdict: messaging.Held, At: s.now, Due: s.now.Add(timelock), Error: sendError(codeTimelocked), Tried: true,
		}
		s.waits(i)
	}
}

// fails puts a message off that met a temporary fault of the network.
func (s *sending) fails(i int, by time.Duration) {
	s.defers(i, by)
	s.outcomes[i].Tried = true
}

// defers puts a message off that could not be tried.
func (s *sending) defers(i int, by time.Duration) {
	s.outcomes[i] = messaging.Outcome{
		Verdict: messaging.Deferred, At: s.now, Due: s.now.Add(by), Error: sendError(codeProvider),
	}
	s.waits(i)
}

func (s *sending) waits(i int) {
	if s.waiting == nil {
		s.waiting = make(map[string]int)
	}
	s.waiting[s.batch[i].To.WAID] = i
}

// carry gives the network what it takes, and owes what follows.
func (s *sending) carry(ctx context.Context) {
	if len(s.taken) == 0 {
		return
	}
	d := s.channel.driver
	carried := make([]Carried, len(s.taken))
	for n, i := range s.taken {
		carried[n] = s.carriage(&s.batch[i])
	}
	kept, err := d.store.Carry(ctx, carried)
	if err != nil {
		d.log.Warn("sandbox cannot carry", "instance", s.channel.instance, "messages", len(carried), "error", err)
		for _, i := range s.taken {
			s.defers(i, hiccupDelay)
		}
		return
	}
	debts := make([]debt, len(carried))
	owed := make([]dated, 0, 2*len(carried))
	for n, i := range s.taken {
		carried[n].CarriedAt = kept[n].CarriedAt
		s.outcomes[i] = s.acknowledge(&carried[n], kept[n].Owed)
		// What was carried before and is still owed may have nobody in this
		// process who tells it; to tell it twice does no harm.
		if kept[n].Owed {
			owed = appendSteps(owed, &debts[n], &carried[n])
		}
	}
	d.schedule(s.channel.clock, s.channel.workspace, s.channel.instance, owed)
}

func (s *sending) carriage(m *messaging.Outgoing) Carried {
	return Carried{
		WorkspaceID: s.channel.workspace,
		Owes:        planFor(m.To, m.Sandbox).owes(),
		Carriage: messaging.Carriage{
			WAMessageID: m.WAMessageID, MessageID: m.MessageID, InstanceID: s.channel.instance,
			To: m.To, Content: m.Content, Sandbox: m.Sandbox, CarriedAt: s.now,
		},
	}
}

// acknowledge is the network's answer for a message that it has.
func (*sending) acknowledge(c *Carried, owed bool) messaging.Outcome {
	ack := planFor(c.To, c.Sandbox).ack
	if ack > 0 && owed {
		return messaging.Outcome{Verdict: messaging.Pending}
	}
	return messaging.Outcome{Verdict: messaging.Accepted, At: c.CarriedAt.Add(ack)}
}

// lose tells that the batch cost the connection. The change is durable before
// Send returns, so that a message which waits for a connection is not tried
// before anybody knows that there is none. If that fails, the change is told
// as soon as it can be.
func (s *sending) lose(ctx context.Context) {
	if s.lost != drop && s.lost != logout {
		return
	}
	c := s.channel
	change := c.change(messaging.InstanceDisconnected, messaging.ReasonConnectionLost, s.now)
	if s.lost == logout {
		change = c.change(messaging.InstanceLoggedOut, messaging.ReasonDeviceRemoved, s.now)
		change.Linked = new(messaging.Link) // the owner still wants it connected
	}
	c.goOffline()
	if err := c.driver.reporter.Report(ctx, change); err != nil {
		c.driver.log.Warn("sandbox cannot record a lost connection yet", "instance", c.instance, "error", err)
		c.tell(change)
	}
	if s.lost == drop {
		c.reconnectAt(s.now.Add(reconnectAfter))
	}
}
