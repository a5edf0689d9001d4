package wasim

import (
	"fmt"

	groupRecord "go.mau.fi/libsignal/groups/state/record"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// restore makes the server know what was saved. It is called before anybody is
// served, so it takes no locks but those of what it calls.
func (s *Server) restore(saved *savedState) error {
	s.ids.Store(saved.IDs)
	s.arrivals.Store(saved.Arrivals)
	for i := range saved.Accounts {
		if err := s.restoreAccount(&saved.Accounts[i], saved.Exact); err != nil {
			return fmt.Errorf("account %s: %w", saved.Accounts[i].Number, err)
		}
	}
	if err := s.restoreGroups(saved); err != nil {
		return err
	}
	// Messages name accounts, devices and groups, which are all there by now.
	for i := range saved.Accounts {
		one := &saved.Accounts[i]
		if err := s.restoreMessages(s.accounts[one.Number], one); err != nil {
			return fmt.Errorf("messages of %s: %w", one.Number, err)
		}
	}
	return nil
}

func (s *Server) restoreAccount(saved *savedAccount, exact bool) error {
	a := s.account(saved.Number)
	if a == nil {
		return ErrNumber
	}
	b := saved.Behaviour
	if b.Answers != "" {
		(&Contact{a}).Answers(b.Answers)
	}
	a.behaviour.missing, a.behaviour.off, a.behaviour.unread = b.Missing, b.Off, b.Unread
	a.behaviour.plays, a.behaviour.blocks, a.behaviour.name = b.Plays, b.Blocks, b.Name
	a.pushName, a.lastDevice = saved.PushName, saved.LastDevice
	for i := range saved.Devices {
		d, err := a.restoreDevice(&saved.Devices[i])
		if err != nil {
			return fmt.Errorf("device %d: %w", saved.Devices[i].ID, err)
		}
		a.devices[d.id] = d
	}
	return a.party.restore(&saved.Party, exact)
}

func (a *account) restoreDevice(saved *savedDevice) (*device, error) {
	d := newDevice(a, saved.ID, saved.Noise, bundle{
		registration: saved.Registration, identity: saved.Identity,
		signed: signedPreKey{preKey: preKey{saved.Signed.ID, saved.Signed.Pub}, signature: saved.Signature},
	})
	d.asked, d.told = saved.Asked, saved.Told
	for _, key := range saved.OneTime {
		d.oneTime = append(d.oneTime, preKey{key.ID, key.Pub})
	}
	for _, number := range saved.UsesPN {
		d.usesPN[number] = struct{}{}
	}
	for _, plain := range saved.Pending {
		n, err := readNode(plain)
		if err != nil {
			return nil, fmt.Errorf("a stanza that waits: %w", err)
		}
		key := keyOf(n)
		d.index[key] = d.pending.PushBack(&pendingStanza{key: key, plain: plain})
	}
	return d, nil
}

// restore makes a party remember. The sessions of a state that is not exact
// are left out: see stateFile.
func (p *party) restore(saved *savedParty, exact bool) error {
	p.store.lastPreKey = saved.LastPreKey
	for id, text := range saved.PreKeys {
		key, err := record.NewPreKeyFromBytes(text, p.serializer.PreKeyRecord)
		if err != nil {
			return fmt.Errorf("prekey %d: %w", id, err)
		}
		p.store.preKeys[id] = key
	}
	if !exact {
		return nil
	}
	for name, text := range saved.Sessions {
		session, err := record.NewSessionFromBytes(text, p.serializer.Session, p.serializer.State)
		if err != nil {
			return fmt.Errorf("session with %s: %w", name, err)
		}
		p.store.sessions[name] = session.Structure()
	}
	for name, text := range saved.SenderKeys {
		key, err := groupRecord.NewSenderKeyFromBytes(text, p.serializer.SenderKeyRecord, p.serializer.SenderKeyState)
		if err != nil {
			return fmt.Errorf("sender key %s: %w", name, err)
		}
		p.store.senderKeys[name] = key.Structure()
	}
	return nil
}

func (s *Server) restoreGroups(saved *savedState) error {
	s.groups.made = saved.Made
	s.groups.groups = map[string]*Group{}
	for _, one := range saved.Groups {
		g := &Group{
			srv: s, id: one.ID, created: one.Created, creator: s.account(one.Creator),
			subject: one.Subject, subjectBy: s.account(one.SubjectBy), subjectAt: one.SubjectAt,
		}
		for _, m := range one.Members {
			g.members = append(g.members, &member{s.account(m.Number), m.Role})
			if g.members[len(g.members)-1].account == nil {
				return fmt.Errorf("group %s: %w", one.ID, ErrNumber)
			}
		}
		if g.creator == nil || g.subjectBy == nil || g.id.Server != types.GroupServer {
			return fmt.Errorf("group %s: %w", one.ID, ErrNumber)
		}
		s.groups.groups[g.id.User] = g
	}
	return nil
}

func (s *Server) restoreMessages(a *account, saved *savedAccount) error {
	for _, one := range saved.Received {
		message := &waE2E.Message{}
		if err := proto.Unmarshal(one.Message, message); err != nil {
			return fmt.Errorf("message %s: %w", one.ID, err)
		}
		a.known[messageKey{one.From, one.ID}] = len(a.received)
		a.received = append(a.received, Received{
			WAMessageID: one.ID, From: one.From, Device: one.Device, To: a.number, Group: one.Group, Message: message,
			At: one.At, Order: one.Order, Retries: one.Retries, Copies: one.Copies,
		})
	}
	for _, one := range saved.Held {
		sender := s.account(one.From)
		if sender == nil || sender.companion(one.Device) == nil {
			continue // it was unlinked: nobody could be asked for what cannot be opened
		}
		m := arrival{from: sender.companion(one.Device), id: one.ID, to: one.To, order: one.Order, at: one.At, phone: a}
		for _, text := range one.Sealed {
			m.sealed = append(m.sealed, sealed{kind: text.Kind, data: text.Data, count: text.Count})
		}
		a.held = append(a.held, m)
	}
	for _, one := range saved.Sent {
		s.restoreSent(a, one)
	}
	return nil
}

func (s *Server) restoreSent(a *account, saved savedSent) {
	m := sentMessage{
		plain: saved.Plain, kind: saved.Kind, mediaType: saved.MediaType, edit: saved.Edit, category: saved.Category,
		retries: saved.Retries, group: s.groups.find(saved.Group),
		status: Sent{ID: saved.ID, To: saved.Group.String(), Delivered: saved.Delivered, Read: saved.Read, Played: saved.Played},
	}
	if m.group == nil {
		if m.to = s.account(saved.To); m.to == nil {
			return // it was for a group that is gone
		}
		m.status.To = saved.To
	}
	a.keepSent(m)
}
