package wasim_test

import (
	"context"
	"crypto/rand"
	"maps"
	"sync"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
)

// memStore is a whatsmeow store in memory: what the Signal sessions need is
// kept, the rest is forgotten as by the store that it embeds.
type memStore struct {
	store.NoopStore

	mu         sync.Mutex
	identities map[string][32]byte
	sessions   map[string][]byte
	preKeys    map[uint32]*keys.PreKey
	lastPreKey uint32
	uploaded   uint32
	lids       map[string]string // PN to LID
	pns        map[string]string // LID to PN
	senderKeys map[string][]byte
	deleted    bool
}

// keysAtOnce is how many one-time keys a client has at first. It asks for 812,
// whose making would be most of a test's time, above all under the race detector.
const keysAtOnce = 16

var (
	_ store.AllStores       = (*memStore)(nil)
	_ store.DeviceContainer = (*memStore)(nil)
)

// newDevice returns a device that is not linked, with keys of its own.
func newDevice() *store.Device {
	m := &memStore{
		identities: map[string][32]byte{}, sessions: map[string][]byte{}, preKeys: map[uint32]*keys.PreKey{},
		lids: map[string]string{}, pns: map[string]string{}, senderKeys: map[string][]byte{},
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	identity := keys.NewKeyPair()
	d := &store.Device{
		NoiseKey: keys.NewKeyPair(), IdentityKey: identity, SignedPreKey: identity.CreateSignedPreKey(1),
		RegistrationID: uint32(secret[0]) + 1, AdvSecretKey: secret, Initialized: true, LIDs: m, Container: m,
	}
	d.SetAllStores(m)
	return d
}

func (m *memStore) PutIdentity(_ context.Context, address string, key [32]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.identities[address] = key
	return nil
}

func (m *memStore) DeleteIdentity(_ context.Context, address string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.identities, address)
	return nil
}

func (m *memStore) IsTrustedIdentity(_ context.Context, address string, key [32]byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.identities[address]
	return !ok || known == key, nil
}

func (m *memStore) GetSession(_ context.Context, address string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sessions[address], nil
}

func (m *memStore) HasSession(_ context.Context, address string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sessions[address] != nil, nil
}

func (m *memStore) GetManySessions(_ context.Context, addresses []string) (map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make(map[string][]byte, len(addresses))
	for _, address := range addresses {
		found[address] = m.sessions[address]
	}
	return found, nil
}

func (m *memStore) PutSession(_ context.Context, address string, session []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions[address] = session
	return nil
}

func (m *memStore) PutManySessions(_ context.Context, sessions map[string][]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.Copy(m.sessions, sessions)
	return nil
}

func (m *memStore) DeleteSession(_ context.Context, address string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, address)
	return nil
}

// forgetSessions is a client that has lost its sessions, as after a restore.
func (m *memStore) forgetSessions() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.sessions)
}

// DeleteDevice is called when the client has learned that it is unlinked.
func (m *memStore) DeleteDevice(context.Context, *store.Device) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deleted = true
	return nil
}

func (m *memStore) isDeleted() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.deleted
}

func (m *memStore) generate() *keys.PreKey {
	m.lastPreKey++
	key := keys.NewPreKey(m.lastPreKey)
	m.preKeys[key.KeyID] = key
	return key
}

func (m *memStore) GetOrGenPreKeys(_ context.Context, count uint32) ([]*keys.PreKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	count = min(count, keysAtOnce)
	var list []*keys.PreKey
	for id := m.uploaded + 1; id <= m.lastPreKey && uint32(len(list)) < count; id++ {
		if key := m.preKeys[id]; key != nil {
			list = append(list, key)
		}
	}
	for uint32(len(list)) < count {
		list = append(list, m.generate())
	}
	return list, nil
}

func (m *memStore) GenOnePreKey(context.Context) (*keys.PreKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := m.generate()
	m.uploaded = key.KeyID
	return key, nil
}

func (m *memStore) GetPreKey(_ context.Context, id uint32) (*keys.PreKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.preKeys[id], nil
}

func (m *memStore) RemovePreKey(_ context.Context, id uint32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.preKeys, id)
	return nil
}

func (m *memStore) MarkPreKeysAsUploaded(_ context.Context, upTo uint32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uploaded = max(m.uploaded, upTo)
	return nil
}

func (m *memStore) UploadedPreKeyCount(context.Context) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for id := range m.preKeys {
		if id <= m.uploaded {
			n++
		}
	}
	return n, nil
}

func (m *memStore) PutSenderKey(_ context.Context, group, user string, session []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.senderKeys[group+"|"+user] = session
	return nil
}

func (m *memStore) GetSenderKey(_ context.Context, group, user string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.senderKeys[group+"|"+user], nil
}

func (m *memStore) PutLIDMapping(_ context.Context, lid, pn types.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lids[pn.User], m.pns[lid.User] = lid.User, pn.User
	return nil
}

func (m *memStore) PutManyLIDMappings(ctx context.Context, mappings []store.LIDMapping) error {
	for _, one := range mappings {
		if err := m.PutLIDMapping(ctx, one.LID, one.PN); err != nil {
			return err
		}
	}
	return nil
}

func (m *memStore) GetPNForLID(_ context.Context, lid types.JID) (types.JID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return other(m.pns[lid.User], lid, types.DefaultUserServer), nil
}

func (m *memStore) GetLIDForPN(_ context.Context, pn types.JID) (types.JID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return other(m.lids[pn.User], pn, types.HiddenUserServer), nil
}

func (m *memStore) GetManyLIDsForPNs(ctx context.Context, pns []types.JID) (map[types.JID]types.JID, error) {
	found := map[types.JID]types.JID{}
	for _, pn := range pns {
		if lid, err := m.GetLIDForPN(ctx, pn); err == nil && !lid.IsEmpty() {
			found[pn] = lid
		}
	}
	return found, nil
}

func other(user string, j types.JID, server string) types.JID {
	if user == "" {
		return types.EmptyJID
	}
	return types.JID{User: user, Device: j.Device, Server: server}
}
