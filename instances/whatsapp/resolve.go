package whatsapp

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/types"

	"portaria/messaging"
)

// askedPerSecond and askedAtOnce bound how many numbers an instance asks about:
// WhatsApp takes one that asks without end for a harvester.
const (
	askedPerSecond = 50
	askedAtOnce    = 1000
)

// person returns what is known of a recipient. Faults: errNotOnWhatsApp,
// errUnknownYet, errUnreadable.
func (s *sending) person(to messaging.Address) (person, error) {
	p, known := s.people.find(to.WAID, s.now())
	switch {
	case !known:
		return p, errUnknownYet
	case !p.exists:
		return p, errNotOnWhatsApp
	case !p.ready:
		return p, errUnreadable
	default:
		return p, nil
	}
}

// prepare finds out about all recipients of a batch at once: a look-up costs as
// much as a message. What it cannot find out is left unknown.
func (s *sending) prepare(ctx context.Context, batch []messaging.Outgoing) {
	limited, cancel := context.WithTimeout(ctx, s.timing.Lookup)
	defer cancel()
	unknown := make(map[string]types.JID)
	for i := range batch {
		to := batch[i].To
		if _, known := s.people.find(to.WAID, s.now()); known {
			continue
		}
		jid, err := types.ParseJID(to.WAID)
		switch {
		case err != nil:
			s.people.put(to.WAID, person{until: s.now().Add(absentFor)})
		case jid.Server == types.DefaultUserServer:
			unknown[to.WAID] = jid
		case jid.Server == types.HiddenUserServer:
			s.people.put(to.WAID, person{to: jid, lid: jid, exists: true, until: s.now().Add(knownFor)})
		default:
			s.people.put(to.WAID, person{to: jid, exists: true, ready: true, until: s.now().Add(knownFor)})
		}
	}
	if err := s.resolve(limited, unknown); err != nil {
		s.lookupFailed(ctx, err)
		return
	}
	if err := s.greet(limited, batch); err != nil {
		s.lookupFailed(ctx, err)
	}
}

// lookupFailed notes why recipients stay unknown, and ends a connection that has
// gone deaf.
func (s *sending) lookupFailed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	s.log.Warn("recipients not looked up", "error", err)
	if !isDisconnect(err) {
		s.alive(ctx)
	}
}

// resolve finds the addresses of numbers: in what the session has seen, or by
// asking WhatsApp.
func (s *sending) resolve(ctx context.Context, unknown map[string]types.JID) error {
	ask := make(map[string]types.JID)
	for waID, pn := range unknown {
		lid, err := s.link.client.Store.LIDs.GetLIDForPN(ctx, pn)
		switch {
		case err != nil:
			return fmt.Errorf("known numbers: %w", err)
		case !lid.IsEmpty():
			s.people.put(waID, person{to: pn, lid: lid, exists: true, until: s.now().Add(knownFor)})
		case s.asks.AllowN(time.Now(), 1):
			ask[waID] = pn
		}
	}
	if len(ask) == 0 {
		return nil
	}
	answers, err := s.askAbout(ctx, s.link, ask)
	if err != nil {
		return err
	}
	if err := s.link.complete(ctx, answers); err != nil {
		return err
	}
	for waID, p := range answers {
		s.people.put(waID, p)
	}
	return nil
}

// complete asks for the ids that sessions are named by, where an answer had
// none.
func (l *link) complete(ctx context.Context, answers map[string]person) error {
	var ask []types.JID
	for _, p := range answers {
		if p.exists && p.lid.IsEmpty() {
			ask = append(ask, p.to)
		}
	}
	if len(ask) == 0 {
		return nil
	}
	users, err := l.client.GetUserInfo(ctx, ask)
	if err != nil {
		return fmt.Errorf("ids of numbers: %w", err)
	}
	for waID, p := range answers {
		if p.exists && p.lid.IsEmpty() {
			p.lid = users[p.to].LID
			answers[waID] = p
		}
	}
	return nil
}

// askAbout asks WhatsApp about numbers, in one question. A Brazilian one is
// asked about with its ninth digit and without: WhatsApp knows it by the one
// under which it was registered, and people write the other.
func (c *channel) askAbout(ctx context.Context, l *link, numbers map[string]types.JID) (map[string]person, error) {
	var question []string
	for _, pn := range numbers {
		question = append(question, "+"+pn.User)
		if other := ninthDigit(pn.User); other != "" {
			question = append(question, "+"+other)
		}
	}
	answers, err := l.client.IsOnWhatsApp(ctx, question)
	if err != nil {
		return nil, fmt.Errorf("ask about numbers: %w", err)
	}
	said := make(map[string]person, len(answers))
	for i := range answers {
		a := &answers[i]
		p := person{exists: a.IsIn}
		for _, jid := range []types.JID{a.JID, a.PhoneNumber} {
			switch jid.Server {
			case types.HiddenUserServer:
				p.lid = jid
			case types.DefaultUserServer:
				p.to = jid
			}
		}
		if p.to.IsEmpty() {
			p.to = p.lid
		}
		said[strings.TrimPrefix(a.Query, "+")] = p
	}
	found := make(map[string]person, len(numbers))
	for waID, pn := range numbers {
		if p, ok := choose(said, pn.User, c.now()); ok {
			found[waID] = p
		}
	}
	return found, nil
}

// choose takes the answer about a number as it was written, or else about its
// other form; false when WhatsApp said nothing of either.
func choose(said map[string]person, number string, now time.Time) (person, bool) {
	written, ok := said[number]
	other, okOther := said[ninthDigit(number)]
	if !written.exists && other.exists {
		written, ok = other, okOther
	}
	written.until = now.Add(knownFor)
	if !written.exists {
		written.until = now.Add(absentFor)
	}
	return written, ok
}

// brazil is the country code, and what follows are two digits of the area.
const (
	brazil         = "55"
	brazilShort    = len("55DDNNNNNNNN")
	brazilLong     = len("55DD9NNNNNNNN")
	brazilAreaCode = len("55DD")
)

// ninthDigit returns the other form of a Brazilian mobile number: without its
// ninth digit, or with it; "" when there is none.
func ninthDigit(number string) string {
	if !strings.HasPrefix(number, brazil) {
		return ""
	}
	switch {
	case len(number) == brazilLong && number[brazilAreaCode] == '9':
		return number[:brazilAreaCode] + number[brazilAreaCode+1:]
	case len(number) == brazilShort && number[brazilAreaCode] >= '6':
		return number[:brazilAreaCode] + "9" + number[brazilAreaCode:]
	default:
		return ""
	}
}
