package auth

import (
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"log/slog"

	"portaria/internal/fault"
	"portaria/messaging"
)

// The shape of a token: sk_live_ or sk_test_, the key's public id, the secret,
// and a checksum of all that stands before it. 58 characters stay below the 72
// bytes that bcrypt looks at, so no part of the secret is ignored.
const (
	livePrefix  = "sk_live_"
	testPrefix  = "sk_test_"
	prefixLen   = len(livePrefix)
	publicIDLen = 12
	secretLen   = 32
	checksumLen = 6
	checksumAt  = prefixLen + publicIDLen + secretLen
	tokenLen    = checksumAt + checksumLen
	last4Len    = 4
)

// alphabet is base62 in the order of its digits.
const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// ErrMalformedToken says that a text cannot be a token: its length, alphabet,
// prefix or checksum is wrong. The door answers ErrUnauthorized instead.
var ErrMalformedToken = fault.New(fault.Unauthenticated, "UNAUTHORIZED", "This is not a Portaria token: its form or its checksum is wrong.")

// Token is an API key's secret. Whatever prints or logs it shows Display
// instead; only Reveal gives the text away.
type Token struct{ text string }

// Mint draws a new token from the system's random source.
func Mint(environment messaging.Environment) Token {
	text := make([]byte, 0, tokenLen)
	text = append(text, "sk_"+string(environment)+"_"...)
	text = appendRandom(text, publicIDLen+secretLen)
	sum := encodeChecksum(checksum(string(text)))
	return Token{string(append(text, sum[:]...))}
}

// appendRandom appends n characters of the alphabet. Bytes from 248 on are
// drawn again: 256 is not a multiple of 62, and the first eight characters
// would come more often.
func appendRandom(text []byte, n int) []byte {
	const fair = 256 / len(alphabet) * len(alphabet)
	var random [64]byte
	for {
		rand.Read(random[:])
		for _, b := range random {
			if n == 0 {
				return text
			}
			if int(b) < fair {
				text = append(text, alphabet[int(b)%len(alphabet)])
				n--
			}
		}
	}
}

// Parse checks a text's form and checksum, which costs no look-up and, when
// they are right, no allocation. Fault: ErrMalformedToken.
func Parse(text string) (Token, error) {
	if len(text) != tokenLen || (text[:prefixLen] != livePrefix && text[:prefixLen] != testPrefix) {
		return Token{}, ErrMalformedToken
	}
	for i := prefixLen; i < tokenLen; i++ {
		if !base62[text[i]] {
			return Token{}, ErrMalformedToken
		}
	}
	if sum := encodeChecksum(checksum(text[:checksumAt])); string(sum[:]) != text[checksumAt:] {
		return Token{}, ErrMalformedToken
	}
	return Token{text}, nil
}

// base62 tells the characters of the alphabet from all others.
var base62 = func() (in [256]bool) {
	for i := range len(alphabet) {
		in[alphabet[i]] = true
	}
	return in
}()

// checksum is CRC-32 (IEEE) of a string. crc32.ChecksumIEEE wants a slice that
// escapes, which would be the only allocation of a request's authentication.
func checksum(text string) uint32 {
	sum := ^uint32(0)
	for i := range len(text) {
		sum = crc32.IEEETable[byte(sum)^text[i]] ^ sum>>8
	}
	return ^sum
}

// encodeChecksum writes a checksum in base62, padded with zeros on the left.
func encodeChecksum(sum uint32) (out [checksumLen]byte) {
	const base = uint32(len(alphabet))
	for i := checksumLen - 1; i >= 0; i-- {
		out[i] = alphabet[sum%base]
		sum /= base
	}
	return out
}

// Reveal returns the secret text: for the answer that shows it once, and for
// hashing.
func (t Token) Reveal() string { return t.text }

// KeyID returns the id of the token's key as the API names it.
func (t Token) KeyID() string { return string(messaging.KeyPrefix) + t.publicID() }

// Environment returns the world that the token says it belongs to.
func (t Token) Environment() messaging.Environment {
	if t.text[:prefixLen] == livePrefix {
		return messaging.Live
	}
	return messaging.Test
}

func (t Token) publicID() string { return t.text[prefixLen : prefixLen+publicIDLen] }

func (t Token) last4() string { return t.text[tokenLen-last4Len:] }

// display is how a key is shown to people who may not see its secret.
func display(environment messaging.Environment, publicID, last4 string) string {
	return "sk_" + string(environment) + "_" + publicID + "…" + last4
}

// String returns the token without its secret, as sk_live_<id>…<last 4>.
func (t Token) String() string {
	if t.text == "" {
		return ""
	}
	return display(t.Environment(), t.publicID(), t.last4())
}

// Format redacts under every verb of package fmt: without it, %d and %#v would
// print the unexported text.
func (t Token) Format(f fmt.State, _ rune) { fmt.Fprint(f, t.String()) }

// LogValue redacts the token in logs.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText redacts the token in JSON and other encodings.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
