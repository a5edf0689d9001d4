package wasim

import (
	"context"

	groupRecord "go.mau.fi/libsignal/groups/state/record"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/state/record"
)

// The methods of memory are what the Signal library asks of a store. They are
// called with the party's lock held.

// GetIdentityKeyPair returns the party's own identity.
func (m *memory) GetIdentityKeyPair() *identity.KeyPair { return m.pair }

// GetLocalRegistrationID returns the party's registration id.
func (m *memory) GetLocalRegistrationID() uint32 { return m.registration }

// SaveIdentity forgets the identity at once: see IsTrustedIdentity.
func (m *memory) SaveIdentity(context.Context, *protocol.SignalAddress, *identity.Key) error {
	return nil
}

// IsTrustedIdentity trusts everybody. Who a peer is was proved by its Noise key
// when it logged in, and a device number is never used again.
func (m *memory) IsTrustedIdentity(context.Context, *protocol.SignalAddress, *identity.Key) (bool, error) {
	return true, nil
}

// LoadPreKey returns a one-time key, or nil when it was used.
func (m *memory) LoadPreKey(_ context.Context, id uint32) (*record.PreKey, error) {
	return m.preKeys[id], nil
}

// StorePreKey keeps a one-time key.
func (m *memory) StorePreKey(_ context.Context, id uint32, key *record.PreKey) error {
	m.preKeys[id] = key
	return nil
}

// ContainsPreKey reports whether a one-time key is unused.
func (m *memory) ContainsPreKey(_ context.Context, id uint32) (bool, error) {
	_, ok := m.preKeys[id]
	return ok, nil
}

// RemovePreKey forgets a one-time key that was used.
func (m *memory) RemovePreKey(_ context.Context, id uint32) error {
	delete(m.preKeys, id)
	return nil
}

// LoadSignedPreKey returns the only signed prekey, or nil for another's id.
func (m *memory) LoadSignedPreKey(_ context.Context, id uint32) (*record.SignedPreKey, error) {
	if id != m.signed.ID() {
		return nil, nil
	}
	return m.signed, nil
}

// LoadSignedPreKeys returns the only signed prekey.
func (m *memory) LoadSignedPreKeys(context.Context) ([]*record.SignedPreKey, error) {
	return []*record.SignedPreKey{m.signed}, nil
}

// StoreSignedPreKey keeps nothing: the signed prekey is a function of the number.
func (m *memory) StoreSignedPreKey(context.Context, uint32, *record.SignedPreKey) error { return nil }

// ContainsSignedPreKey reports whether id is that of the signed prekey.
func (m *memory) ContainsSignedPreKey(_ context.Context, id uint32) (bool, error) {
	return id == m.signed.ID(), nil
}

// RemoveSignedPreKey removes nothing, as StoreSignedPreKey keeps nothing.
func (m *memory) RemoveSignedPreKey(context.Context, uint32) error { return nil }

// LoadSession returns a copy of a session, or a new empty one: the library
// fills it.
func (m *memory) LoadSession(_ context.Context, with *protocol.SignalAddress) (*record.Session, error) {
	kept, ok := m.sessions[with.String()]
	if !ok {
		return record.NewSession(m.serializer.Session, m.serializer.State), nil
	}
	return record.NewSessionFromStructure(kept, m.serializer.Session, m.serializer.State)
}

// GetSubDeviceSessions returns nothing; nobody asks.
func (m *memory) GetSubDeviceSessions(context.Context, string) ([]uint32, error) { return nil, nil }

// StoreSession keeps a session.
func (m *memory) StoreSession(_ context.Context, with *protocol.SignalAddress, s *record.Session) error {
	m.sessions[with.String()] = s.Structure()
	return nil
}

// ContainsSession reports whether there is a session.
func (m *memory) ContainsSession(_ context.Context, with *protocol.SignalAddress) (bool, error) {
	_, ok := m.sessions[with.String()]
	return ok, nil
}

// DeleteSession forgets a session.
func (m *memory) DeleteSession(_ context.Context, with *protocol.SignalAddress) error {
	delete(m.sessions, with.String())
	return nil
}

// DeleteAllSessions forgets every session.
func (m *memory) DeleteAllSessions(context.Context) error {
	clear(m.sessions)
	return nil
}

// StoreSenderKey keeps the state of a sender in a group.
func (m *memory) StoreSenderKey(_ context.Context, name *protocol.SenderKeyName, key *groupRecord.SenderKey) error {
	m.senderKeys[senderKeyID(name)] = key.Structure()
	return nil
}

// LoadSenderKey returns the state of a sender in a group, or a new empty one.
func (m *memory) LoadSenderKey(_ context.Context, name *protocol.SenderKeyName) (*groupRecord.SenderKey, error) {
	kept, ok := m.senderKeys[senderKeyID(name)]
	if !ok {
		return groupRecord.NewSenderKey(m.serializer.SenderKeyRecord, m.serializer.SenderKeyState), nil
	}
	return groupRecord.NewSenderKeyFromStruct(kept, m.serializer.SenderKeyRecord, m.serializer.SenderKeyState)
}

func senderKeyID(name *protocol.SenderKeyName) string {
	return name.GroupID() + "|" + name.Sender().String()
}
