package wasim

import (
	"context"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/appstate"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/proto/waServerSync"
	"go.mau.fi/whatsmeow/store"
	waLog "go.mau.fi/whatsmeow/util/log"
	"google.golang.org/protobuf/proto"
)

// pushNameVersion is the number of the only patch that a phone ever makes.
const pushNameVersion = 1

// PushName sets the name that the account shows to others. Clients that are
// linked from now on learn it, as from a real phone, by app state; without it
// they have none, and whatsmeow's SendPresence fails. A client that has learned
// a name keeps it. The name costs each client a dozen requests after its first
// login, so it is off by default.
func (p *Phone) PushName(name string) *Phone {
	patch, err := pushNamePatch(p.account.number, name)
	if err != nil {
		// The name and the keys are ours: it cannot fail for what a test gives.
		panic("wasim: write a push name: " + err.Error())
	}
	p.account.mu.Lock()
	defer p.account.mu.Unlock()
	p.account.pushName = patch
	return p
}

// activate is a client that is ready for messages. The phone tells a new
// companion the key of the app state, upon which it asks for the state.
func activate(c *conn, _ *waBinary.Node) ([]waBinary.Node, error) {
	c.device.account.shareAppState(c.device)
	return nil, nil
}

// shareAppState sends a companion the key of the app state, once.
func (a *account) shareAppState(d *device) {
	a.mu.Lock()
	named := a.pushName != nil
	a.mu.Unlock()
	d.mu.Lock()
	told := d.told
	d.told = told || named
	d.mu.Unlock()
	if !named || told {
		return
	}
	message := &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
		Type: waE2E.ProtocolMessage_APP_STATE_SYNC_KEY_SHARE.Enum(),
		AppStateSyncKeyShare: &waE2E.AppStateSyncKeyShare{Keys: []*waE2E.AppStateSyncKey{{
			KeyID:   &waE2E.AppStateSyncKeyId{KeyID: appStateKeyID()},
			KeyData: appStateKeyData(a.number),
		}}},
	}}
	if err := a.sendPeer(d, message); err != nil {
		a.srv.log.Warn("app state key cannot be shared", "number", a.number, "device", d.id, "error", err)
	}
}

// sendPeer sends a message of the phone to one of its companions.
func (a *account) sendPeer(d *device, message *waE2E.Message) error {
	plain, err := proto.Marshal(message)
	if err != nil {
		return fmt.Errorf("write a message: %w", err)
	}
	sent := newSent(message, plain, a.number)
	sent.to, sent.category = a, "peer"
	a.keepSent(sent)
	a.outgoing.Lock()
	defer a.outgoing.Unlock()
	return a.sendTo(d, sent, false, d.takeBundle)
}

// syncAppState answers every collection as it was asked for, because nothing
// is new, but for the one that holds the push name.
func syncAppState(c *conn, iq *waBinary.Node) ([]waBinary.Node, error) {
	a := c.device.account
	a.mu.Lock()
	patch := a.pushName
	a.mu.Unlock()
	var collections []waBinary.Node
	for _, asked := range children(child(iq, "sync")) {
		name, version := str(&asked, "name"), str(&asked, "version")
		answer := waBinary.Node{Tag: "collection", Attrs: waBinary.Attrs{"name": name, "version": version}}
		if patch != nil && name == string(appstate.WAPatchCriticalBlock) && (version == "" || version == "0") {
			answer.Attrs["version"] = pushNameVersion
			answer.Content = []waBinary.Node{{Tag: "patches", Content: []waBinary.Node{{Tag: "patch", Content: patch}}}}
		}
		collections = append(collections, answer)
	}
	return []waBinary.Node{{Tag: "sync", Content: collections}}, nil
}

func appStateKeyID() []byte { return []byte{0, 0, 0, 0, 0, 1} }

func appStateKeyData(number string) *waE2E.AppStateSyncKeyData {
	key := seed("app state " + number)
	return &waE2E.AppStateSyncKeyData{
		KeyData: key[:],
		Fingerprint: &waE2E.AppStateSyncKeyFingerprint{
			RawID: proto.Uint32(1), CurrentIndex: proto.Uint32(0), DeviceIndexes: []uint32{0},
		},
		Timestamp: proto.Int64(validFrom().UnixMilli()),
	}
}

// pushNamePatch writes the first change of an empty app state: the name.
func pushNamePatch(number, name string) ([]byte, error) {
	keys := &store.Device{AppState: &store.NoopStore{}, AppStateKeys: &phoneKey{number: number}}
	change := appstate.BuildSettingPushName(name)
	change.Timestamp = time.Now()
	raw, err := appstate.NewProcessor(keys, waLog.Noop).EncodePatch(context.Background(), appStateKeyID(), appstate.HashState{}, change)
	if err != nil {
		return nil, err
	}
	var patch waServerSync.SyncdPatch
	if err := proto.Unmarshal(raw, &patch); err != nil {
		return nil, err
	}
	// Servers number the patches; the author has signed for the number.
	patch.Version = &waServerSync.SyncdVersion{Version: proto.Uint64(pushNameVersion)}
	return proto.Marshal(&patch)
}

// phoneKey is the only app state key of a phone.
type phoneKey struct {
	store.NoopStore
	number string
}

// GetAppStateSyncKey returns the key, whatever its id.
func (k *phoneKey) GetAppStateSyncKey(context.Context, []byte) (*store.AppStateSyncKey, error) {
	data := appStateKeyData(k.number)
	return &store.AppStateSyncKey{Data: data.KeyData, Timestamp: data.GetTimestamp()}, nil
}
