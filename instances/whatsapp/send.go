package whatsapp

import (
	"context"
	"errors"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"

	"portaria/messaging"
)

const (
	// windowTime is how long a batch may take: the lane records what became of
	// its messages when all of them are done.
	windowTime = 250 * time.Millisecond
	// maxWindow makes the lane's commit, during which nothing is sent, small
	// beside the messages that it is about.
	maxWindow = 64
	// firstWindow is that of a channel which has not sent anything yet.
	firstWindow = 4
)

// Window implements messaging.Channel: as many messages as the network, measured
// so far, takes in a quarter of a second.
func (c *channel) Window() int {
	each := c.pulse.mean()
	if each == 0 {
		return firstWindow
	}
	return int(max(1, min(maxWindow, windowTime/each)))
}

// Send implements messaging.Channel. WhatsApp takes one message of an instance
// at a time, so they go one after the other, each when the last has been
// answered for.
func (c *channel) Send(ctx context.Context, batch []messaging.Outgoing) []messaging.Outcome {
	outcomes := make([]messaging.Outcome, len(batch))
	for i := range outcomes {
		outcomes[i].Verdict = messaging.Deferred
	}
	if !c.enter() {
		return outcomes
	}
	defer c.work.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	s := sending{channel: c, link: c.link.Load()}
	if s.link != nil && c.online.Load() {
		s.prepare(ctx, batch)
	}
	for i := range batch {
		outcomes[i] = s.next(ctx, &batch[i])
	}
	return outcomes
}

// sending is one batch on its way.
type sending struct {
	*channel
	link   *link
	behind map[string]messaging.Outcome // by recipient: of the message that holds up the rest
}

// next sends one message, unless an earlier one to the same recipient waits.
func (s *sending) next(ctx context.Context, m *messaging.Outgoing) messaging.Outcome {
	if before, waits := s.behind[m.To.WAID]; waits {
		return before
	}
	o := s.try(ctx, m)
	if o.Verdict == messaging.Deferred || o.Verdict == messaging.Held {
		if s.behind == nil {
			s.behind = make(map[string]messaging.Outcome)
		}
		before := o
		before.Tried = false // what is behind it only waits
		s.behind[m.To.WAID] = before
	}
	return o
}

// try sends one message.
func (s *sending) try(ctx context.Context, m *messaging.Outgoing) messaging.Outcome {
	if s.link == nil || !s.online.Load() || ctx.Err() != nil {
		return messaging.Outcome{Verdict: messaging.Deferred}
	}
	if until, throttled := s.reach.throttledUntil(s.now()); throttled {
		return messaging.Outcome{Verdict: messaging.Deferred, Due: until, Error: errThrottled()}
	}
	p, err := s.person(m.To)
	if err != nil {
		return s.untried(ctx, m, err)
	}
	if held, holds := s.holds(ctx, m, &p); holds {
		return held
	}
	message, err := s.compose(ctx, s.link, &p, m)
	if errors.Is(err, errUpload) {
		return s.tried(ctx, m, err)
	} else if err != nil {
		return s.untried(ctx, m, err)
	}
	s.recent.add(m.WAMessageID, m.MessageID)
	err = s.carry(ctx, &p, m, message)
	switch {
	case err == nil:
		s.waits.end(m.To.WAID)
		s.reach.settle(m.WAMessageID)
		return messaging.Outcome{Verdict: messaging.Accepted, At: s.now()}
	case errors.Is(err, errUnreadable):
		s.people.forget(m.To.WAID) // who has another phone is greeted again
		return s.untried(ctx, m, err)
	case errors.Is(err, whatsmeow.ErrNotConnected), errors.Is(err, whatsmeow.ErrNotLoggedIn):
		return s.untried(ctx, m, err)
	default:
		return s.tried(ctx, m, err)
	}
}

// tried is the outcome of a message that WhatsApp was given, or its file.
func (s *sending) tried(ctx context.Context, m *messaging.Outgoing, err error) messaging.Outcome {
	s.waits.end(m.To.WAID)
	o := s.judge(ctx, m, err)
	o.Tried = true
	return o
}

// untried is the outcome of a message that did not come so far.
func (s *sending) untried(ctx context.Context, m *messaging.Outgoing, err error) messaging.Outcome {
	o := s.judge(ctx, m, err)
	if o.Verdict == messaging.Deferred && !o.Due.IsZero() {
		s.waits.add(m.To.WAID)
	}
	return o
}

// carry hands one message to WhatsApp and waits for the acknowledgement.
func (s *sending) carry(ctx context.Context, p *person, m *messaging.Outgoing, message *waE2E.Message) error {
	began := time.Now()
	err := s.hand(ctx, p, m.WAMessageID, message)
	if err == nil {
		s.pulse.note(time.Since(began))
	}
	return err
}

// hand hands WhatsApp something under an id and waits for the acknowledgement.
func (s *sending) hand(ctx context.Context, p *person, waID string, message *waE2E.Message) error {
	// When the connection drops, whatsmeow sends the same frame with the next
	// one, and then waits without a limit of its own.
	ctx, cancel := context.WithTimeout(ctx, 2*s.timing.Ack+s.timing.Ping)
	defer cancel()
	ctx, way := s.link.keeper.carry(ctx, p.guarded())
	defer way.release()
	_, err := s.link.client.SendMessage(ctx, p.to, message, whatsmeow.SendRequestExtra{ID: waID, Timeout: s.timing.Ack})
	return err
}

// guarded is the address that a message must be readable for; empty when that
// cannot be told.
func (p *person) guarded() types.JID {
	if p.lid.IsEmpty() {
		return types.JID{}
	}
	return p.lid
}

// alive asks whether the connection still answers. One that does not is ended:
// the socket of a network that has gone looks open for many minutes.
func (s *sending) alive(ctx context.Context) bool {
	limited, cancel := context.WithTimeout(ctx, s.timing.Ping)
	defer cancel()
	answered, _ := internals(s.link.client).SendKeepAlive(limited)
	if answered || ctx.Err() != nil {
		return answered
	}
	s.signal(signal{kind: ended, ending: lost(messaging.ReasonNoTraffic)})
	return false
}
