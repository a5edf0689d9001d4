package wasim

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"google.golang.org/protobuf/proto"
)

// noisePattern is 32 bytes long on purpose: it is used as the first hash as it
// is.
const noisePattern = "Noise_XX_25519_AESGCM_SHA256\x00\x00\x00\x00"

var errHandshake = errors.New("handshake message is not what it should be")

// noiseState is the responder's transcript of a handshake. It is Noise XX but
// for one thing: the empty payload of the first message is not hashed, which is
// why a stock library does not understand whatsmeow.
type noiseState struct {
	hash  [32]byte
	chain [32]byte
	aead  cipher.AEAD
	count uint32
}

func newNoiseState(prologue []byte) (*noiseState, error) {
	n := &noiseState{}
	copy(n.hash[:], noisePattern)
	n.chain = n.hash
	var err error
	if n.aead, err = newGCM(n.hash[:]); err != nil {
		return nil, err
	}
	n.mixHash(prologue)
	return n, nil
}

func (n *noiseState) mixHash(data []byte) {
	h := sha256.New()
	h.Write(n.hash[:])
	h.Write(data)
	h.Sum(n.hash[:0])
}

// mixKey folds the secret shared by a private and a public key into the chain.
func (n *noiseState) mixKey(private *ecdh.PrivateKey, public []byte) error {
	pub, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return fmt.Errorf("%w: %w", errHandshake, err)
	}
	secret, err := private.ECDH(pub)
	if err != nil {
		return fmt.Errorf("%w: %w", errHandshake, err)
	}
	chain, key, err := n.expand(secret)
	if err != nil {
		return err
	}
	n.chain = [32]byte(chain)
	n.count = 0
	n.aead, err = newGCM(key)
	return err
}

func (n *noiseState) expand(secret []byte) (first, second []byte, err error) {
	out, err := hkdf.Key(sha256.New, secret, n.chain[:], "", 64)
	if err != nil {
		return nil, nil, fmt.Errorf("derive noise keys: %w", err)
	}
	return out[:32], out[32:], nil
}

func (n *noiseState) encrypt(plain []byte) []byte {
	sealed := n.aead.Seal(nil, nonce(n.count), plain, n.hash[:])
	n.count++
	n.mixHash(sealed)
	return sealed
}

func (n *noiseState) decrypt(sealed []byte) ([]byte, error) {
	plain, err := n.aead.Open(nil, nonce(n.count), sealed, n.hash[:])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHandshake, err)
	}
	n.count++
	n.mixHash(sealed)
	return plain, nil
}

// transport is one direction of an established connection.
type transport struct {
	aead  cipher.AEAD
	count uint32
}

func (t *transport) seal(plain []byte) []byte {
	sealed := t.aead.Seal(nil, nonce(t.count), plain, nil)
	t.count++
	return sealed
}

// open decrypts in place.
func (t *transport) open(sealed []byte) ([]byte, error) {
	plain, err := t.aead.Open(sealed[:0], nonce(t.count), sealed, nil)
	t.count++
	return plain, err
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func nonce(count uint32) []byte {
	return binary.BigEndian.AppendUint32(make([]byte, 8, 12), count)
}

// peerStream is what a handshake needs of a connection.
type peerStream interface {
	opening() ([]byte, error)
	next(limit int) ([]byte, error)
	write(body []byte) error
}

// greeting is the outcome of a handshake: who the client is, proved by its
// static key, what it wants, and the keys of both directions.
type greeting struct {
	static   [32]byte
	payload  *waWa6.ClientPayload
	incoming transport
	outgoing transport
}

// shakeHands answers a client's handshake.
func (id *noiseIdentity) shakeHands(peer peerStream) (*greeting, error) {
	prologue, err := peer.opening()
	if err != nil {
		return nil, err
	}
	noise, err := newNoiseState(prologue)
	if err != nil {
		return nil, err
	}
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("draw an ephemeral key: %w", err)
	}
	if err := id.hello(noise, peer, ephemeral); err != nil {
		return nil, err
	}
	return finish(noise, peer, ephemeral)
}

// hello reads the client's first message and answers with the server's keys
// and certificates.
func (id *noiseIdentity) hello(noise *noiseState, peer peerStream, ephemeral *ecdh.PrivateKey) error {
	message, err := readHandshake(peer)
	if err != nil {
		return err
	}
	theirs := message.GetClientHello().GetEphemeral()
	noise.mixHash(theirs)
	noise.mixHash(ephemeral.PublicKey().Bytes())
	if err := noise.mixKey(ephemeral, theirs); err != nil {
		return err
	}
	pub := publicKey(id.static)
	static := noise.encrypt(pub[:])
	private := id.static.PrivateKey().Serialize()
	staticKey, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		return fmt.Errorf("read the static key: %w", err)
	}
	if err := noise.mixKey(staticKey, theirs); err != nil {
		return err
	}
	answer, err := proto.Marshal(&waWa6.HandshakeMessage{ServerHello: &waWa6.HandshakeMessage_ServerHello{
		Ephemeral: ephemeral.PublicKey().Bytes(),
		Static:    static,
		Payload:   noise.encrypt(id.chain),
	}})
	if err != nil {
		return fmt.Errorf("write the server hello: %w", err)
	}
	return peer.write(answer)
}

// finish reads who the client is and derives the keys of the connection.
func finish(noise *noiseState, peer peerStream, ephemeral *ecdh.PrivateKey) (*greeting, error) {
	message, err := readHandshake(peer)
	if err != nil {
		return nil, err
	}
	static, err := noise.decrypt(message.GetClientFinish().GetStatic())
	if err != nil {
		return nil, err
	}
	if err := noise.mixKey(ephemeral, static); err != nil {
		return nil, err
	}
	plain, err := noise.decrypt(message.GetClientFinish().GetPayload())
	if err != nil {
		return nil, err
	}
	g := &greeting{static: [32]byte(static), payload: &waWa6.ClientPayload{}}
	if err := proto.Unmarshal(plain, g.payload); err != nil {
		return nil, fmt.Errorf("%w: %w", errHandshake, err)
	}
	incoming, outgoing, err := noise.expand(nil)
	if err != nil {
		return nil, err
	}
	if g.incoming.aead, err = newGCM(incoming); err != nil {
		return nil, err
	}
	g.outgoing.aead, err = newGCM(outgoing)
	return g, err
}

func readHandshake(peer peerStream) (*waWa6.HandshakeMessage, error) {
	frame, err := peer.next(maxHelloFrame)
	if err != nil {
		return nil, fmt.Errorf("read a handshake message: %w", err)
	}
	message := &waWa6.HandshakeMessage{}
	if err := proto.Unmarshal(frame, message); err != nil {
		return nil, fmt.Errorf("%w: %w", errHandshake, err)
	}
	return message, nil
}

// verify checks a signature as the Signal protocol makes them.
func verify(key [32]byte, message, signature []byte) bool {
	return len(signature) == 64 && ecc.VerifySignature(ecc.NewDjbECPublicKey(key), message, [64]byte(signature))
}
