package outbox

import (
	"time"

	"portaria/messaging"
)

// Draft is a message as a caller asks for it, checked for shape but not yet
// accepted.
type Draft struct {
	Tenancy   messaging.Tenancy
	Instance  messaging.Instance
	KeyID     string
	Lineage   string
	To        string // as the caller wrote it
	Content   messaging.Content
	Metadata  []byte // a JSON object, or nil
	Priority  messaging.Priority
	SendAt    time.Time     // zero: at once
	ExpiresIn time.Duration // zero: DefaultExpiry
	Sandbox   *messaging.Override
	// ClaimFor, when set, makes the Idempotency-Key's claim once the message
	// has its id; it is stored in the message's own transaction.
	ClaimFor func(messaging.Message) (*messaging.Claim, error)
}

// DefaultExpiry is how long a message may wait for the network when its
// sender does not say (API.md section 6).
const DefaultExpiry = 24 * time.Hour
