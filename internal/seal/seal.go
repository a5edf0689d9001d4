// Package seal encrypts small secrets that are kept in the database, so that a
// copy of it is worth nothing without the installation's key.
//
// A sealed text is AES-256-GCM with a random nonce, under a key that is derived
// from the installation's. It is bound to its place, the names that it was
// sealed with: moved to another row or another column it does not open. It names
// the key that it was made with, so a wrong key is told from a damaged text.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// KeySize is the length of the installation's key in bytes.
const KeySize = 32

// prefix begins every sealed text; the number is that of the scheme.
const prefix = "sealed:1:"

// keyIDSize is how many bytes name a key.
const keyIDSize = 4

var (
	// ErrOtherKey is the error of a text that was sealed with another key.
	ErrOtherKey = errors.New("sealed with another secret key")
	// ErrBroken is the error of a text that was not sealed, was altered, or
	// belongs to another place.
	ErrBroken = errors.New("the sealed text is damaged or belongs elsewhere")
)

// Box seals and opens. It is safe for concurrent use.
type Box struct {
	aead cipher.AEAD
	id   string
}

// New returns the box of an installation's key, which must have KeySize bytes.
func New(key []byte) (*Box, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("seal: the key has %d bytes, not %d", len(key), KeySize)
	}
	derived, err := hkdf.Key(sha256.New, key, nil, "portaria seal 1", KeySize)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	name, err := hkdf.Key(sha256.New, key, nil, "portaria seal 1 key id", keyIDSize)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return &Box{aead: aead, id: hex.EncodeToString(name)}, nil
}

// Seal encrypts a secret for a place. Each call gives another text.
func (b *Box) Seal(secret []byte, place ...string) string {
	return prefix + b.id + ":" + base64.RawURLEncoding.EncodeToString(b.aead.Seal(nil, nil, secret, bound(place)))
}

// Open decrypts what Seal made for the same place. Errors: ErrOtherKey,
// ErrBroken.
func (b *Box) Open(sealed string, place ...string) ([]byte, error) {
	rest, ok := strings.CutPrefix(sealed, prefix)
	id, text, named := strings.Cut(rest, ":")
	switch {
	case !ok || !named:
		return nil, ErrBroken
	case id != b.id:
		return nil, ErrOtherKey
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, ErrBroken
	}
	secret, err := b.aead.Open(nil, nil, raw, bound(place))
	if err != nil {
		return nil, ErrBroken
	}
	return secret, nil
}

// bound joins the names of a place so that no two places look the same.
func bound(place []string) (joined []byte) {
	for _, name := range place {
		joined = binary.BigEndian.AppendUint32(joined, uint32(len(name)))
		joined = append(joined, name...)
	}
	return joined
}
