package wasim

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.mau.fi/libsignal/ecc"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"portaria/internal/fault"
)

// What linking can end with.
var (
	ErrQR          = fault.New(fault.Invalid, "WASIM_QR_INVALID", "This text is not a WhatsApp QR code.")
	ErrQRUnknown   = fault.New(fault.NotFound, "WASIM_QR_UNKNOWN", "No client shows this QR code now.")
	ErrLinkRefused = fault.New(fault.Conflict, "WASIM_LINK_REFUSED", "The client refused to be linked.")
	ErrLinkLost    = fault.New(fault.Unavailable, "WASIM_LINK_LOST", "The client went away while it was being linked.")
	ErrDevices     = fault.New(fault.Conflict, "WASIM_DEVICES_FULL", "The account cannot have more devices.")
)

// refCount is how many codes a client gets: it shows the first for 60 seconds
// and the others for 20 each.
const refCount = 6

// The bytes that are put before what a signature of a device's identity covers.
func accountSignaturePrefix() []byte { return []byte{6, 0} }
func deviceSignaturePrefix() []byte  { return []byte{6, 1} }

// linking is what the server knows of a client that is not linked.
type linking struct {
	refs  []string
	keys  bundle // all but the one-time key
	taken atomic.Bool
	code  *codeLink // nil until the client asks for a code; guarded by Server.linkingMu
}

// beginLinking gives a client the codes to show.
func (c *conn) beginLinking() {
	keys, ok := registrationKeys(c)
	if !ok {
		c.log.Warn("registration with keys that do not fit")
		c.finish((&LoginFault{Reason: 400}).stanza())
		return
	}
	c.linking = &linking{keys: keys}
	refs := make([]waBinary.Node, refCount)
	for i := range refs {
		ref := "2@" + base64.RawURLEncoding.EncodeToString(randomBytes(32))
		c.linking.refs = append(c.linking.refs, ref)
		refs[i] = waBinary.Node{Tag: "ref", Content: []byte(ref)}
	}
	c.srv.linkingMu.Lock()
	c.srv.linking[c.keys.static] = c
	c.srv.linkingMu.Unlock()
	c.send(c.srv.linkIQ(waBinary.Node{Tag: "pair-device", Content: refs}))
}

// linkIQ is a request of the server to a client that is being linked. The
// client's clock is set by t.
func (s *Server) linkIQ(content waBinary.Node) waBinary.Node {
	return waBinary.Node{
		Tag: "iq",
		Attrs: waBinary.Attrs{
			"from": serverJID(), "type": "set", "xmlns": "md", "id": s.nextID(), "t": now(),
		},
		Content: []waBinary.Node{content},
	}
}

func (s *Server) forgetLinking(c *conn) {
	s.linkingMu.Lock()
	defer s.linkingMu.Unlock()
	if s.linking[c.keys.static] == c {
		delete(s.linking, c.keys.static)
	}
}

// registrationKeys reads the keys that a client wants to be linked with.
func registrationKeys(c *conn) (bundle, bool) {
	data := c.keys.payload.GetDevicePairingData()
	identity, value := data.GetEIdent(), data.GetESkeyVal()
	if len(data.GetERegid()) != 4 || len(identity) != 32 || len(value) != 32 || len(data.GetESkeyID()) != 3 {
		return bundle{}, false
	}
	keys := bundle{registration: binary.BigEndian.Uint32(data.GetERegid()), identity: [32]byte(identity)}
	signed, ok := newSignedPreKey(keys.identity, data.GetESkeyID(), value, data.GetESkeySig())
	keys.signed = signed
	return keys, ok
}

// qrCode is what the text of a QR code says.
type qrCode struct {
	ref             string
	noise, identity [32]byte
	secret          []byte
}

// parseQR reads the text of a QR code, with or without the address that newer
// clients put before it.
func parseQR(text string) (qrCode, error) {
	if _, after, ok := strings.Cut(text, "#"); ok {
		text = after
	}
	parts := strings.Split(text, ",")
	if len(parts) < 4 || parts[0] == "" {
		return qrCode{}, ErrQR
	}
	code := qrCode{ref: parts[0]}
	keys := make([][]byte, 3)
	for i := range keys {
		key, err := base64.StdEncoding.DecodeString(parts[i+1])
		if err != nil || len(key) != 32 {
			return qrCode{}, ErrQR
		}
		keys[i] = key
	}
	code.noise, code.identity, code.secret = [32]byte(keys[0]), [32]byte(keys[1]), keys[2]
	return code, nil
}

// showing returns the client that shows this code.
func (s *Server) showing(code qrCode) (*conn, error) {
	s.linkingMu.Lock()
	c := s.linking[code.noise]
	s.linkingMu.Unlock()
	if c == nil || c.linking.keys.identity != code.identity || !slices.Contains(c.linking.refs, code.ref) {
		return nil, ErrQRUnknown
	}
	return c, nil
}

// link makes the client of c a companion of the account. The secret is what
// the client has shown to the phone and nobody else; it proves the phone.
func (a *account) link(ctx context.Context, c *conn, secret []byte) error {
	if !c.linking.taken.CompareAndSwap(false, true) {
		return ErrQRUnknown
	}
	id, err := a.nextDevice()
	if err != nil {
		return err
	}
	identity, container, err := a.vouch(c.linking.keys.identity, id, secret)
	if err != nil {
		return err
	}
	d := newDevice(a, id, c.keys.static, c.linking.keys)
	answer := c.ask(c.srv.linkIQ(waBinary.Node{Tag: "pair-success", Content: []waBinary.Node{
		{Tag: "device-identity", Content: container},
		{Tag: "device", Attrs: waBinary.Attrs{"jid": d.jid(types.DefaultUserServer), "lid": d.jid(types.HiddenUserServer)}},
		{Tag: "platform", Attrs: waBinary.Attrs{"name": "android"}},
	}}))
	select {
	case n := <-answer:
		if err := checkDeviceSignature(n, identity, c.linking.keys.identity); err != nil {
			c.drop()
			return err
		}
	case <-c.ctx.Done():
		return ErrLinkLost
	case <-ctx.Done():
		return ctx.Err()
	}
	a.mu.Lock()
	a.devices[id] = d
	a.mu.Unlock()
	if err := a.srv.state.flush(); err != nil {
		a.srv.log.Error("a new device may be forgotten", "number", a.number, "device", id, "error", err)
	}
	c.finish(streamError(restartCode, "")) // now log in
	return nil
}

func (a *account) nextDevice() (uint16, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lastDevice >= maxDevice {
		return 0, ErrDevices
	}
	a.lastDevice++
	return a.lastDevice, nil
}

// vouch signs a companion's identity as the phone does.
func (a *account) vouch(companion [32]byte, id uint16, secret []byte) (*waAdv.ADVSignedDeviceIdentity, []byte, error) {
	details, err := proto.Marshal(&waAdv.ADVDeviceIdentity{
		RawID:       proto.Uint32(binary.BigEndian.Uint32(randomBytes(4))),
		Timestamp:   proto.Uint64(uint64(time.Now().Unix())),
		KeyIndex:    proto.Uint32(uint32(id)),
		AccountType: waAdv.ADVEncryptionType_E2EE.Enum(),
		DeviceType:  waAdv.ADVEncryptionType_E2EE.Enum(),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("write a device identity: %w", err)
	}
	key := a.party.publicIdentity()
	signature := a.party.sign(slices.Concat(accountSignaturePrefix(), details, companion[:]))
	identity := &waAdv.ADVSignedDeviceIdentity{
		Details: details, AccountSignatureKey: key[:], AccountSignature: signature[:],
	}
	signed, err := proto.Marshal(identity)
	if err != nil {
		return nil, nil, fmt.Errorf("write a signed identity: %w", err)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(signed)
	container, err := proto.Marshal(&waAdv.ADVSignedDeviceIdentityHMAC{Details: signed, HMAC: mac.Sum(nil)})
	if err != nil {
		return nil, nil, fmt.Errorf("write the container of an identity: %w", err)
	}
	return identity, container, nil
}

// checkDeviceSignature reads a client's answer to pair-success: it must have
// signed the identity that the phone vouched for.
func checkDeviceSignature(answer *waBinary.Node, vouched *waAdv.ADVSignedDeviceIdentity, companion [32]byte) error {
	if str(answer, "type") != "result" {
		refusal := child(answer, "error")
		return ErrLinkRefused.With("code", str(refusal, "code")).With("text", str(refusal, "text"))
	}
	var signed waAdv.ADVSignedDeviceIdentity
	raw := body(child(child(answer, "pair-device-sign"), "device-identity"))
	if err := proto.Unmarshal(raw, &signed); err != nil {
		return ErrLinkRefused.Because(err)
	}
	covered := slices.Concat(deviceSignaturePrefix(), vouched.Details, companion[:], vouched.AccountSignatureKey)
	if !verify(companion, covered, signed.GetDeviceSignature()) {
		return ErrLinkRefused.With("text", "the device's signature is wrong")
	}
	return nil
}

// newSignedPreKey checks that a signed prekey was signed by its identity.
func newSignedPreKey(identity [32]byte, id, value, signature []byte) (signedPreKey, bool) {
	if len(id) != 3 || len(value) != 32 {
		return signedPreKey{}, false
	}
	if !verify(identity, append([]byte{ecc.DjbType}, value...), signature) {
		return signedPreKey{}, false
	}
	key := preKey{id: binary.BigEndian.Uint32(append([]byte{0}, id...)), pub: [32]byte(value)}
	return signedPreKey{preKey: key, signature: [64]byte(signature)}, true
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
