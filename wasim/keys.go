package wasim

import (
	"crypto/sha256"
	"encoding/binary"

	"go.mau.fi/libsignal/ecc"
)

// seed derives the private material for one purpose. It is a function of the
// purpose alone: certificates and identities must be equal in every process,
// or a client that outlives the simulator would meet strangers.
func seed(purpose string) [32]byte {
	return sha256.Sum256([]byte("portaria wasim, never a secret: " + purpose))
}

// seededKeyPair is the X25519 key pair for one purpose.
func seededKeyPair(purpose string) *ecc.ECKeyPair {
	s := seed(purpose)
	return ecc.CreateKeyPair(s[:])
}

// publicKey returns the 32 bytes of the public half.
func publicKey(pair *ecc.ECKeyPair) [32]byte { return pair.PublicKey().PublicKey() }

// preKey is a one-time key that somebody offers for new sessions.
type preKey struct {
	id  uint32
	pub [32]byte
}

// signedPreKey is the key for new sessions when the one-time keys are used up.
type signedPreKey struct {
	preKey
	signature [64]byte
}

// bundle is what is needed to begin a session with a device.
type bundle struct {
	registration uint32
	identity     [32]byte
	oneTime      *preKey // nil when there is none left
	signed       signedPreKey
}

// uint24 is how WhatsApp writes the ids of keys.
func uint24(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v)[1:] }
