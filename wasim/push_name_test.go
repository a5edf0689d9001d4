package wasim_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/appstate"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"portaria/wasim"
)

// stateStore is the part of a whatsmeow store that the app state needs, in
// memory; the rest is memStore's.
type stateStore struct {
	store.NoopStore

	mu       sync.Mutex
	keys     map[string]store.AppStateSyncKey
	versions map[string]uint64
	hashes   map[string][128]byte
	macs     map[string][]byte
}

// withAppState makes a device whose client keeps the app state.
func withAppState() *store.Device {
	m := &stateStore{
		keys: map[string]store.AppStateSyncKey{}, versions: map[string]uint64{},
		hashes: map[string][128]byte{}, macs: map[string][]byte{},
	}
	device := newDevice()
	device.AppState, device.AppStateKeys = m, m
	return device
}

func (m *stateStore) PutAppStateSyncKey(_ context.Context, id []byte, key store.AppStateSyncKey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys[string(id)] = key
	return nil
}

func (m *stateStore) GetAppStateSyncKey(_ context.Context, id []byte) (*store.AppStateSyncKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key, ok := m.keys[string(id)]
	if !ok {
		return nil, nil
	}
	return &key, nil
}

func (m *stateStore) PutAppStateVersion(_ context.Context, name string, version uint64, hash [128]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.versions[name], m.hashes[name] = version, hash
	return nil
}

func (m *stateStore) GetAppStateVersion(_ context.Context, name string) (uint64, [128]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.versions[name], m.hashes[name], nil
}

func (m *stateStore) DeleteAppStateVersion(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.versions, name)
	delete(m.hashes, name)
	maps.DeleteFunc(m.macs, func(key string, _ []byte) bool { return strings.HasPrefix(key, name+"|") })
	return nil
}

func (m *stateStore) PutAppStateMutationMACs(_ context.Context, name string, _ uint64, mutations []store.AppStateMutationMAC) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range mutations {
		m.macs[name+"|"+string(one.IndexMAC)] = one.ValueMAC
	}
	return nil
}

func (m *stateStore) GetAppStateMutationMAC(_ context.Context, name string, index []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.macs[name+"|"+string(index)], nil
}

// awaitAppState waits until the client has asked for everything: one that
// leaves before it has done so logs errors.
func awaitAppState(c *client) {
	c.t.Helper()
	for range appstate.AllPatchNames {
		await[*events.AppStateSyncComplete](c)
	}
}

// TestClientLearnsItsName from the phone, by app state, and can then be
// present; at its next login it is not told again.
func TestClientLearnsItsName(t *testing.T) {
	s := start(t, wasim.Options{})
	c := newClient(t, s, withAppState())
	c.pair(s.Phone(own).PushName("Padaria Estrela"))
	awaitAppState(c)
	if got := c.Store.PushName; got != "Padaria Estrela" {
		t.Errorf("the client is called %q", got)
	}
	if err := c.SendPresence(t.Context(), types.PresenceAvailable); err != nil {
		t.Errorf("presence: %v", err)
	}
	eventually(t, "the queue is empty", func() bool { return s.Phone(own).Pending(1) == 0 })
	c.reconnect()
	if got := await[*events.OfflineSyncPreview](c); got.Total != 0 {
		t.Errorf("%d stanzas waited for the client", got.Total)
	}
	if err := c.FetchAppState(t.Context(), appstate.WAPatchCriticalBlock, true, false); err != nil {
		t.Errorf("the whole app state again: %v", err)
	}
	if err := c.FetchAppState(t.Context(), appstate.WAPatchCriticalBlock, false, false); err != nil {
		t.Errorf("what is new in it: %v", err)
	}
	c.mustText(friend, "hello")
	wantTexts(t, s.Contact(friend).Received, "hello")
}

// TestClientHasNoNameByDefault: the dozen requests are for those who want them.
func TestClientHasNoNameByDefault(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	if err := c.SendPresence(t.Context(), types.PresenceAvailable); !errors.Is(err, whatsmeow.ErrNoPushName) {
		t.Errorf("presence without a name: %v", err)
	}
}
