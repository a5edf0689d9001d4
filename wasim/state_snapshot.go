package wasim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	groupRecord "go.mau.fi/libsignal/groups/state/record"
	"go.mau.fi/libsignal/state/record"
	"google.golang.org/protobuf/proto"
)

// snapshot gathers what the state file holds. Each account is as it was at one
// moment; all of them together only when the server has stopped.
func (s *Server) snapshot() (*savedState, error) {
	saved := &savedState{IDs: s.ids.Load(), Arrivals: s.arrivals.Load()}
	accounts := s.accountsOf("")
	slices.SortFunc(accounts, func(x, y *account) int { return cmp.Compare(x.number, y.number) })
	for _, a := range accounts {
		one, err := a.save()
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", a.number, err)
		}
		saved.Accounts = append(saved.Accounts, one)
	}
	saved.Groups, saved.Made = s.groups.save()
	return saved, nil
}

func (a *account) save() (savedAccount, error) {
	saved := savedAccount{Number: a.number}
	var err error
	if saved.Party, err = a.party.save(); err != nil {
		return saved, err
	}
	for _, d := range a.companions() {
		saved.Devices = append(saved.Devices, d.save())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	saved.PushName, saved.LastDevice = a.pushName, a.lastDevice
	saved.Behaviour = savedBehaviour{
		Missing: a.behaviour.missing, Off: a.behaviour.off, Unread: a.behaviour.unread, Plays: a.behaviour.plays,
		Blocks: a.behaviour.blocks, Name: a.behaviour.name, Answers: a.behaviour.fixed,
	}
	for _, r := range a.received[max(0, len(a.received)-maxSavedReceived):] {
		message, err := proto.Marshal(r.Message)
		if err != nil {
			return saved, fmt.Errorf("message %s: %w", r.WAMessageID, err)
		}
		saved.Received = append(saved.Received, savedReceived{
			ID: r.WAMessageID, From: r.From, Device: r.Device, Group: r.Group, Message: message,
			At: r.At, Order: r.Order, Retries: r.Retries, Copies: r.Copies,
		})
	}
	for _, m := range a.held {
		saved.Held = append(saved.Held, m.save())
	}
	for _, id := range a.sentOrder[max(0, len(a.sentOrder)-maxSavedSent):] {
		saved.Sent = append(saved.Sent, a.sent[id].save())
	}
	return saved, nil
}

func (m *arrival) save() savedArrival {
	saved := savedArrival{
		From: m.from.account.number, Device: m.from.id, ID: m.id, To: m.to, Order: m.order, At: m.at,
	}
	for _, text := range m.sealed {
		saved.Sealed = append(saved.Sealed, savedSealed{Kind: text.kind, Data: text.data, Count: text.count})
	}
	return saved
}

func (m *sentMessage) save() savedSent {
	saved := savedSent{
		ID: m.status.ID, Plain: m.plain, Kind: m.kind, MediaType: m.mediaType, Edit: m.edit, Category: m.category,
		Retries: m.retries, Delivered: m.status.Delivered, Read: m.status.Read, Played: m.status.Played,
	}
	if m.to != nil {
		saved.To = m.to.number
	}
	if m.group != nil {
		saved.Group = m.group.id
	}
	return saved
}

func (d *device) save() savedDevice {
	d.mu.Lock()
	defer d.mu.Unlock()
	saved := savedDevice{
		ID: d.id, Noise: d.noise, Registration: d.keys.registration, Identity: d.keys.identity,
		Signed: savedKey{d.keys.signed.id, d.keys.signed.pub}, Signature: d.keys.signed.signature,
		Asked: d.asked, Told: d.told, UsesPN: slices.Sorted(maps.Keys(d.usesPN)),
	}
	for _, key := range d.oneTime {
		saved.OneTime = append(saved.OneTime, savedKey{key.id, key.pub})
	}
	for e := d.pending.Front(); e != nil; e = e.Next() {
		saved.Pending = append(saved.Pending, e.Value.(*pendingStanza).plain)
	}
	return saved
}

func (p *party) save() (savedParty, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	saved := savedParty{
		Sessions: map[string][]byte{}, SenderKeys: map[string][]byte{}, PreKeys: map[uint32][]byte{},
		LastPreKey: p.store.lastPreKey,
	}
	for name, kept := range p.store.sessions {
		session, err := record.NewSessionFromStructure(kept, p.serializer.Session, p.serializer.State)
		if err != nil {
			return saved, fmt.Errorf("session with %s: %w", name, err)
		}
		saved.Sessions[name] = session.Serialize()
	}
	for name, kept := range p.store.senderKeys {
		key, err := groupRecord.NewSenderKeyFromStruct(kept, p.serializer.SenderKeyRecord, p.serializer.SenderKeyState)
		if err != nil {
			return saved, fmt.Errorf("sender key %s: %w", name, err)
		}
		saved.SenderKeys[name] = key.Serialize()
	}
	for id, key := range p.store.preKeys {
		saved.PreKeys[id] = key.Serialize()
	}
	return saved, nil
}

func (b *groupBook) save() (saved []savedGroup, made uint64) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, name := range slices.Sorted(maps.Keys(b.groups)) {
		saved = append(saved, b.groups[name].save())
	}
	return saved, b.made
}

func (g *Group) save() savedGroup {
	g.mu.RLock()
	defer g.mu.RUnlock()
	saved := savedGroup{
		ID: g.id, Creator: g.creator.number, Created: g.created,
		Subject: g.subject, SubjectBy: g.subjectBy.number, SubjectAt: g.subjectAt,
	}
	for _, m := range g.members {
		saved.Members = append(saved.Members, savedMember{m.account.number, m.role})
	}
	return saved
}
