package wasim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"go.mau.fi/libsignal/ecc"
	groupRecord "go.mau.fi/libsignal/groups/state/record"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/serialize"
	"go.mau.fi/libsignal/session"
	"go.mau.fi/libsignal/state/record"
	signalStore "go.mau.fi/libsignal/state/store"
	"go.mau.fi/libsignal/util/optional"
	"go.mau.fi/whatsmeow/store"
)

// maxOffered bounds the one-time keys of a party that were given away and not
// used: beyond it, bundles have none.
const maxOffered = 256

var (
	errSealing = errors.New("unknown kind of encryption")
	errPadding = errors.New("message is not padded as it should be")
)

// party is the Signal side of a simulated phone: its identity, its sessions
// and its prekeys, all in memory. The identity is a function of the number.
type party struct {
	pair         *identity.KeyPair
	registration uint32
	signed       *record.SignedPreKey
	serializer   *serialize.Serializer

	mu    sync.Mutex // held by the exported work, guards memory
	store memory
}

// memory is what a party remembers. Sessions are kept as structures and made
// anew for each use: a failed decryption must leave no trace in them.
type memory struct {
	*party
	sessions   map[string]*record.SessionStructure
	preKeys    map[uint32]*record.PreKey
	lastPreKey uint32
	senderKeys map[string]*groupRecord.SenderKeyStructure
}

var _ signalStore.SignalProtocol = (*memory)(nil)

func newParty(number string) *party {
	pair := seededKeyPair("identity " + number)
	s := seed("registration " + number)
	p := &party{
		pair:         identity.NewKeyPair(identity.NewKey(pair.PublicKey()), pair.PrivateKey()),
		registration: uint32(s[0])<<8 | uint32(s[1]) | 1,
		serializer:   store.SignalProtobufSerializer,
	}
	const signedID = 1
	signedPair := seededKeyPair("signed prekey " + number)
	signature := p.sign(signedPair.PublicKey().Serialize())
	p.signed = record.NewSignedPreKey(signedID, validFrom().Unix(), signedPair, signature, p.serializer.SignedPreKeyRecord)
	p.store = memory{
		party:      p,
		sessions:   map[string]*record.SessionStructure{},
		preKeys:    map[uint32]*record.PreKey{},
		senderKeys: map[string]*groupRecord.SenderKeyStructure{},
	}
	return p
}

func (p *party) sign(message []byte) [64]byte {
	return ecc.CalculateSignature(p.pair.PrivateKey(), message)
}

func (p *party) publicIdentity() [32]byte { return p.pair.PublicKey().PublicKey().PublicKey() }

// newBundle makes the keys with which a client can begin a session with p.
func (p *party) newBundle() bundle {
	p.mu.Lock()
	defer p.mu.Unlock()
	keys := bundle{
		registration: p.registration,
		identity:     p.publicIdentity(),
		signed: signedPreKey{
			preKey:    preKey{id: p.signed.ID(), pub: publicKey(p.signed.KeyPair())},
			signature: p.signed.Signature(),
		},
	}
	if len(p.store.preKeys) >= maxOffered {
		return keys
	}
	pair, err := ecc.GenerateKeyPair()
	if err != nil {
		return keys // no randomness: the signed prekey will do
	}
	const lastID = 1<<24 - 1 // ids are three bytes, and zero is none
	p.store.lastPreKey = p.store.lastPreKey%lastID + 1
	id := p.store.lastPreKey
	p.store.preKeys[id] = record.NewPreKey(id, pair, p.serializer.PreKeyRecord)
	keys.oneTime = &preKey{id: id, pub: publicKey(pair)}
	return keys
}

// peer names a client's device in a party's memory by account and device, not
// by the address on the wire: phone number and LID reach one session.
func peer(number string, device uint16) *protocol.SignalAddress {
	return protocol.NewSignalAddress("acct:"+number, uint32(device))
}

// open decrypts and unpads one text from a peer.
func (p *party) open(from *protocol.SignalAddress, s sealed) (plain []byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() {
		// The Signal library panics on some texts that a stranger can send.
		if r := recover(); r != nil {
			plain, err = nil, fmt.Errorf("decrypt: %v", r)
		}
	}()
	cipher := p.cipher(from)
	// Everything is in memory; there is nothing to wait for or to give up.
	ctx := context.Background()
	switch s.kind {
	case "pkmsg":
		message, err := protocol.NewPreKeySignalMessageFromBytes(s.data, p.serializer.PreKeySignalMessage, p.serializer.SignalMessage)
		if err != nil {
			return nil, fmt.Errorf("read a prekey message: %w", err)
		}
		if plain, err = cipher.DecryptMessage(ctx, message); err != nil {
			return nil, fmt.Errorf("decrypt a prekey message: %w", err)
		}
	case "msg":
		message, err := protocol.NewSignalMessageFromBytes(s.data, p.serializer.SignalMessage)
		if err != nil {
			return nil, fmt.Errorf("read a message: %w", err)
		}
		if plain, err = cipher.Decrypt(ctx, message); err != nil {
			return nil, fmt.Errorf("decrypt a message: %w", err)
		}
	default:
		return nil, fmt.Errorf("%w: %q", errSealing, s.kind)
	}
	return unpad(plain)
}

// seal pads and encrypts a text for a peer. Without a session, or when renew
// is set, a new one is made from the keys that take returns.
func (p *party) seal(to *protocol.SignalAddress, plain []byte, renew bool, take func() bundle) (sealed, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ctx := context.Background() // as in open
	if _, ok := p.store.sessions[to.String()]; renew || !ok {
		builder := session.NewBuilderFromSignal(&p.store, to, p.serializer)
		if err := builder.ProcessBundle(ctx, signalBundle(take(), to.DeviceID())); err != nil {
			return sealed{}, fmt.Errorf("begin a session with %s: %w", to, err)
		}
	}
	text, err := p.cipher(to).Encrypt(ctx, pad(plain))
	if err != nil {
		return sealed{}, fmt.Errorf("encrypt for %s: %w", to, err)
	}
	kind := "msg"
	if text.Type() == protocol.PREKEY_TYPE {
		kind = "pkmsg"
	}
	return sealed{kind: kind, data: text.Serialize()}, nil
}

func (p *party) cipher(with *protocol.SignalAddress) *session.Cipher {
	return session.NewCipher(session.NewBuilderFromSignal(&p.store, with, p.serializer), with)
}

func signalBundle(keys bundle, device uint32) *prekey.Bundle {
	oneTimeID := optional.NewEmptyUint32()
	var oneTime ecc.ECPublicKeyable
	if keys.oneTime != nil {
		oneTimeID = optional.NewOptionalUint32(keys.oneTime.id)
		oneTime = ecc.NewDjbECPublicKey(keys.oneTime.pub)
	}
	return prekey.NewBundle(keys.registration, device, oneTimeID, keys.signed.id, oneTime,
		ecc.NewDjbECPublicKey(keys.signed.pub), keys.signed.signature,
		identity.NewKey(ecc.NewDjbECPublicKey(keys.identity)))
}

// pad hides a text's length: n bytes of value n, n between 1 and 15.
func pad(plain []byte) []byte {
	n := randomBytes(1)[0]%15 + 1
	return append(bytes.Clone(plain), bytes.Repeat([]byte{n}, int(n))...)
}

func unpad(padded []byte) ([]byte, error) {
	if len(padded) == 0 {
		return nil, errPadding
	}
	n := int(padded[len(padded)-1])
	if n == 0 || n > len(padded) {
		return nil, errPadding
	}
	return padded[:len(padded)-n], nil
}
