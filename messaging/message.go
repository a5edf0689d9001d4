package messaging

import "time"

// Direction says who wrote a message.
type Direction string

// The directions.
const (
	Outbound Direction = "outbound"
	Inbound  Direction = "inbound"
)

// Priority decides who goes first in an instance's lane. Lower goes first.
type Priority int8

// The priorities.
const (
	High   Priority = 0
	Normal Priority = 1
	Low    Priority = 2
)

// Priorities is the number of priorities: a lane keeps one queue for each.
const Priorities = 3

// Message is one message of one instance, as the API shows it.
type Message struct {
	ID          string
	WorkspaceID string
	Environment Environment
	InstanceID  string
	Direction   Direction
	Peer        Address // the recipient of an outbound message, the sender of an inbound one
	Content     Content
	Metadata    []byte // a JSON object of the caller's, or nil
	Priority    Priority
	WAMessageID string
	KeyID       string // the key that sent it; empty for inbound
	Lineage     string // the first key of that key's rotations
	BulkID      string
	Sandbox     *Override // what the caller asked the sandbox to do
	CreatedAt   time.Time
	SendAt      time.Time // zero: at once
	ExpiresAt   time.Time
	EditedAt    time.Time // when its author last changed it; zero: never
	RevokedAt   time.Time // when its author deleted it for everyone; zero: never
	State
}

// Override is what a caller asks of the sandbox for one message.
type Override struct {
	Outcome string           `json:"outcome,omitempty"`  // a status to end at: sent, delivered, read or failed
	Code    string           `json:"code,omitempty"`     // the error code of a failed outcome
	DelayMS map[string]int64 `json:"delay_ms,omitempty"` // by status: sent, delivered, read
}
