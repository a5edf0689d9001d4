package outbox

import (
	"strings"

	"portaria/internal/fault"
	"portaria/messaging"
)

// ErrInvalidRecipient is the fault of a `to` that cannot be an address.
var ErrInvalidRecipient = fault.New(fault.Invalid, "INVALID_RECIPIENT",
	"The recipient is not a phone number in international form, nor a WhatsApp id.")

// ErrSandboxRecipient is the fault of a live message to the sandbox's range.
var ErrSandboxRecipient = fault.New(fault.Invalid, "SANDBOX_RECIPIENT",
	"Numbers from +1 500 555 0000 to 9999 exist only in the sandbox: use a test key.")

// maxRecipientBytes is longer than any address.
const maxRecipientBytes = 128

// ParseRecipient reads what a caller wrote as `to`: an E.164 number with or
// without + and punctuation, or a WhatsApp id. Numbers must be possible for
// their country; whether one is on WhatsApp only the network knows. The
// Brazilian ninth digit is left as written, never guessed.
func ParseRecipient(input string) (messaging.Address, error) {
	if len(input) > maxRecipientBytes {
		return messaging.Address{}, ErrInvalidRecipient
	}
	trimmed := strings.TrimSpace(input)
	user, server, isID := strings.Cut(trimmed, "@")
	if !isID {
		digits, ok := phoneDigits(trimmed)
		if !ok || !possibleNumber(digits) {
			return messaging.Address{}, ErrInvalidRecipient
		}
		return messaging.Address{Input: input, WAID: digits + "@" + messaging.UserServer}, nil
	}
	waID, ok := parseID(user, server)
	if !ok {
		return messaging.Address{}, ErrInvalidRecipient
	}
	return messaging.Address{Input: input, WAID: waID}, nil
}

func parseID(user, server string) (string, bool) {
	switch server {
	case messaging.UserServer, "c.us":
		return user + "@" + messaging.UserServer, onlyDigits(user) && possibleNumber(user)
	case messaging.GroupServer:
		creator, created, old := strings.Cut(user, "-")
		if old {
			return user + "@" + server, bounded(creator) && bounded(created)
		}
		return user + "@" + server, bounded(user)
	case messaging.LIDServer, messaging.NewsletterServer:
		return user + "@" + server, bounded(user)
	default:
		return "", false
	}
}

// phoneDigits takes the punctuation off a number as people write it.
func phoneDigits(s string) (string, bool) {
	s = strings.TrimPrefix(s, "+")
	if onlyDigits(s) {
		return s, true
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		case strings.ContainsRune(" -.()/\u00a0\u2011", r):
		default:
			return "", false
		}
	}
	return b.String(), true
}

func bounded(s string) bool { return len(s) >= 5 && len(s) <= 24 && onlyDigits(s) }

func onlyDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
