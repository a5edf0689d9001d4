package bulk

import (
	"time"

	"portaria/messaging"
)

// Draft is a bulk as a caller asks for it, checked for shape but not yet
// accepted. All fields but Name, Metadata, Pay and ClaimFor must be set.
type Draft struct {
	Tenancy   messaging.Tenancy
	KeyID     string
	Lineage   string
	Instances []messaging.Instance // at least one, each once
	Name      string
	Content   messaging.Content // the template; see Compile
	Metadata  []byte            // a JSON object, or nil
	Options   messaging.BulkOptions
	Rows      Rows
	// Pay takes what the bulk costs its key: it is called once, with the number of
	// recipients that will be sent to, before anything is stored. Its error refuses
	// the bulk. nil: nothing is paid.
	Pay func(recipients int) error
	// ClaimFor, when set, makes the Idempotency-Key's claim once the bulk has its
	// id and its counts; it is stored in the transaction that makes the bulk real.
	ClaimFor func(messaging.Bulk) (*messaging.Claim, error)
}

// Rehearsal is what would become of a bulk. Nothing of it is stored.
type Rehearsal struct {
	Refused bool  // Accept would refuse the bulk for its rows, whatever can be paid
	Total   int64 // rows
	Valid   int64 // rows that become a message, as things stand
	Invalid int64 // rows that cannot be sent; unless Options.SkipInvalid they refuse the bulk
	Skipped int64 // rows that are not sent for another reason; the three add up to Total
	// Outcomes counts rows by where they would end: a status (read, sent …), or a
	// code (NOT_ON_WHATSAPP, DUPLICATE …). Of a live recipient only "accepted" can
	// be told.
	Outcomes map[string]int64
	Faults   []RowFault // the first 100

	Starts   time.Time     // when the first message would go
	Ends     time.Time     // when the last one would; zero: unknown, as no instance is connected
	Duration time.Duration // between the two; zero when Ends is
	// RequestTokens is what a bulk of so many recipients costs in requests, beside
	// its own; the key's burst bounds it (API.md section 7).
	RequestTokens int64
	MessageTokens int64 // tokens of --messages-per-minute
}
