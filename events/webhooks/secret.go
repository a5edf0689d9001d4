package webhooks

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"

	"portaria/internal/seal"
	"portaria/messaging"
)

// secretPrefix begins every signing secret, by the Standard Webhooks
// specification, which also bounds how many bytes of a key may follow.
const (
	secretPrefix = "whsec_"
	secretSize   = 32
	minSecret    = 24
	maxSecret    = 64
)

// ErrNoSecret is the error of a text that is no signing secret.
var ErrNoSecret = errors.New("a signing secret is whsec_ and 24 to 64 bytes in base64")

// Secret is what an endpoint's deliveries are signed with. Whatever prints or
// logs it shows nothing; only Reveal gives the text away.
type Secret struct{ text, key string }

// NewSecret draws a secret from the system's random source.
func NewSecret() Secret {
	var key [secretSize]byte
	rand.Read(key[:])
	return Secret{text: secretPrefix + base64.StdEncoding.EncodeToString(key[:]), key: string(key[:])}
}

// ParseSecret reads a secret as Reveal wrote it. Its error is ErrNoSecret.
func ParseSecret(text string) (Secret, error) {
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	if !ok || strings.ContainsAny(encoded, "\r\n") { // which the decoder would pass over
		return Secret{}, ErrNoSecret
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) < minSecret || len(key) > maxSecret {
		return Secret{}, ErrNoSecret
	}
	return Secret{text: text, key: string(key)}, nil
}

// Reveal returns the secret's text: whsec_ and the key in base64.
func (s Secret) Reveal() string { return s.text }

// String implements fmt.Stringer without telling.
func (Secret) String() string { return "(signing secret)" }

// GoString implements fmt.GoStringer without telling.
func (s Secret) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// sealFor encrypts the secret for an endpoint, to be stored.
func (s Secret) sealFor(box *seal.Box, w *messaging.Webhook) string {
	return box.Seal([]byte(s.text), secretPlace(w)...)
}

// openSecret decrypts a stored secret. Errors: those of seal.Box, ErrNoSecret.
func openSecret(box *seal.Box, w *messaging.Webhook, sealed string) (Secret, error) {
	text, err := box.Open(sealed, secretPlace(w)...)
	if err != nil {
		return Secret{}, err
	}
	return ParseSecret(string(text))
}

// secretPlace is what a sealed secret is bound to.
func secretPlace(w *messaging.Webhook) []string {
	return []string{"webhook", w.WorkspaceID, string(w.Environment), w.ID}
}
