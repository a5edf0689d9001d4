package instances

import "portaria/messaging"

// Draft is an instance as its owner asks for it.
type Draft struct {
	ID       string // empty: one is drawn
	Name     string
	Metadata []byte // a JSON object, or nil
	Settings []byte // a JSON object, or nil
	Unpaired bool   // test instances only: begin without a phone
	// ClaimFor, when set, makes the Idempotency-Key's claim once the instance
	// has its id; it is stored in the instance's own transaction.
	ClaimFor func(messaging.Instance) (*messaging.Claim, error)
}

// Patch changes an instance. Metadata and Settings are merged key by key; a
// null value removes its key (RFC 7396). Nil leaves them alone.
type Patch struct {
	Metadata []byte
	Settings []byte
}
