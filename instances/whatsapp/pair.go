package whatsapp

import (
	"context"
	"errors"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"portaria/messaging"
)

const (
	// firstQR and nextQR are how long WhatsApp accepts the codes that it sends
	// with a connection: six of them, 160 s in all.
	firstQR = time.Minute
	nextQR  = 20 * time.Second
	// settling is how long the server may take to end the connection in which a
	// phone was linked.
	settling = 10 * time.Second
	// pairName is what the phone shows while a code is typed in. The server
	// refuses names that are no browser's.
	pairName = "Chrome (Linux)"
)

var (
	errPairRefused = errors.New("the network refused the pairing")
	errPairDropped = errors.New("the connection ended")
)

// pair shows codes until a phone is linked, and returns its link; nil when none
// was.
func (c *channel) pair(ctx context.Context) *link {
	limited, cancel := context.WithDeadline(ctx, c.pairUntil())
	defer cancel()
	defer c.hidePairing()
	reason, blocked := messaging.ReasonPairingTimeout, false
	for failures := 0; limited.Err() == nil; failures++ {
		linked, err := c.pairOnce(limited)
		if err == nil {
			return c.linked(ctx, linked)
		}
		if errors.Is(err, errPairRefused) {
			reason = messaging.ReasonPairingFailed
			break
		}
		if limited.Err() == nil {
			c.log.Info("pairing goes on with another connection", "error", err)
			blocked = proxyFailed(err)
		}
		c.pause(limited, backoff(failures, c.timing.ReconnectMin, c.timing.ReconnectMax))
	}
	if blocked && reason == messaging.ReasonPairingTimeout { // there was no code to scan
		reason = messaging.ReasonProxyUnreachable
	}
	if ctx.Err() == nil {
		c.tell(ctx, messaging.InstanceChange{
			Type: messaging.EventInstanceDisconnected, State: messaging.InstanceCreated, Reason: reason, Done: c.asked(),
		})
	}
	return nil
}

// pairUntil returns when nobody waits for a code any more. An ask that was left
// by an earlier process keeps its own time: codes must not begin to appear an
// hour later, when nobody looks.
func (c *channel) pairUntil() time.Time {
	until := c.now().Add(c.timing.Pairing)
	if asked := c.facts.AskedAt.Add(2 * c.timing.Pairing); !c.facts.AskedAt.IsZero() && asked.Before(until) {
		return asked
	}
	return until
}

// pairOnce shows the codes of one connection. It returns the number that was
// linked.
func (c *channel) pairOnce(ctx context.Context) (types.JID, error) {
	hearing, deaf := context.WithCancel(ctx)
	defer deaf()
	said := make(chan any, 16)
	client := c.newClient(c.driver.o.Sessions.fresh())
	client.AddEventHandler(func(evt any) {
		select {
		case said <- evt:
		case <-hearing.Done():
		}
	})
	hangUp, err := c.dial(ctx, client)
	if err != nil {
		return types.JID{}, err
	}
	defer hangUp()
	until, _ := ctx.Deadline()
	show := codes{channel: c, client: client, until: until, change: time.NewTimer(c.timing.Pairing)}
	defer show.change.Stop()
	over := false // the server has ended the connection; that may be heard before the success
	for {
		select {
		case <-ctx.Done():
			return types.JID{}, ctx.Err()
		case <-show.change.C:
			if err := show.next(ctx); err != nil {
				return types.JID{}, err
			}
		case evt := <-said:
			if linked, ok := evt.(*events.PairSuccess); ok {
				if !over {
					c.settle(ctx, said)
				}
				return linked.ID, nil
			}
			over = over || isRestart(evt)
			if err := show.hear(ctx, evt); err != nil {
				return types.JID{}, err
			}
		}
	}
}

// isRestart reports whether the server has asked for a new connection.
func isRestart(evt any) bool {
	_, ok := evt.(*events.ManualLoginReconnect)
	return ok
}

// hear takes an event of a pairing that has not succeeded yet. Its error ends
// the connection.
func (s *codes) hear(ctx context.Context, evt any) error {
	switch e := evt.(type) {
	case *events.QR:
		return s.begin(ctx, e.Codes)
	case *events.PairError:
		s.channel.log.Warn("pairing failed", "error", e.Error)
		return errPairRefused
	case *events.ClientOutdated, *events.ConnectFailure, *events.TemporaryBan, *events.LoggedOut:
		return errPairRefused
	case *events.Disconnected:
		return errPairDropped
	default:
		return nil
	}
}

// settle waits until the server ends the connection: it does so when it has
// stored the device, and before that a login would be refused.
func (c *channel) settle(ctx context.Context, said <-chan any) {
	patience := time.NewTimer(settling)
	defer patience.Stop()
	for {
		select {
		case evt := <-said:
			switch evt.(type) {
			case *events.ManualLoginReconnect, *events.Disconnected:
				return
			}
		case <-patience.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// linked records which phone was linked, and returns its link.
func (c *channel) linked(ctx context.Context, jid types.JID) *link {
	c.tell(ctx, messaging.InstanceChange{
		State: messaging.InstanceConnecting, Linked: &messaging.Link{ID: jid.String(), Phone: jid.User}, Done: c.asked(),
	})
	for failures := 0; ctx.Err() == nil; failures++ {
		l, err := c.recall(ctx, jid.String())
		if err == nil {
			return l
		}
		c.log.Error("session not read", "error", err)
		c.pause(ctx, backoff(failures, c.timing.ReconnectMin, c.timing.ReconnectMax))
	}
	return nil
}

// codes shows the codes of one connection, one after the other.
type codes struct {
	channel *channel
	client  *whatsmeow.Client
	until   time.Time   // of the whole pairing
	change  *time.Timer // when the next one is to be shown
	left    []string
	first   bool
}

// begin takes the codes that the server sent. When the owner wants to type a
// code on the phone, one is asked for instead.
func (s *codes) begin(ctx context.Context, all []string) error {
	if phone := s.channel.facts.PairPhone; phone != "" {
		return s.typed(ctx, phone)
	}
	s.left, s.first = all, true
	return s.next(ctx)
}

// next shows the next code.
func (s *codes) next(ctx context.Context) error {
	if len(s.left) == 0 {
		return errPairDropped // the server closes the connection of its own accord
	}
	lasts := nextQR
	if s.first {
		lasts = firstQR
	}
	code := s.left[0]
	s.left, s.first = s.left[1:], false
	s.change.Reset(lasts)
	return s.show(ctx, messaging.Pairing{QR: code, ExpiresAt: s.channel.now().Add(lasts)})
}

func (s *codes) typed(ctx context.Context, phone string) error {
	ask, cancel := context.WithTimeout(ctx, s.channel.timing.Connect)
	defer cancel()
	code, err := s.client.PairPhone(ask, phone, true, whatsmeow.PairClientChrome, pairName)
	if err != nil {
		if _, refused := errors.AsType[*whatsmeow.IQError](err); refused || errors.Is(err, whatsmeow.ErrPhoneNumberTooShort) ||
			errors.Is(err, whatsmeow.ErrPhoneNumberIsNotInternational) {
			s.channel.log.Warn("no pairing code", "error", err)
			return errPairRefused
		}
		return err
	}
	return s.show(ctx, messaging.Pairing{Code: code, ExpiresAt: s.until})
}

// show lets the owner see a code, and then records that the instance is being
// paired: whoever hears of it finds the code.
func (s *codes) show(ctx context.Context, p messaging.Pairing) error {
	c := s.channel
	p.WorkspaceID, p.Environment, p.InstanceID = c.facts.WorkspaceID, c.facts.Environment, c.facts.ID
	if err := c.driver.o.Pairings.ShowPairing(ctx, p); err != nil {
		return err
	}
	c.tell(ctx, messaging.InstanceChange{Type: messaging.EventInstancePairing, State: messaging.InstancePairing})
	return nil
}

// hidePairing takes the code away. It also does when the channel closes.
func (c *channel) hidePairing() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), c.timing.Lookup)
	defer cancel()
	if err := c.driver.o.Pairings.HidePairing(ctx, c.facts.WorkspaceID, c.facts.Environment, c.facts.ID); err != nil {
		c.log.Error("pairing code not hidden", "error", err)
	}
}
