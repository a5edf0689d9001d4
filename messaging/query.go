package messaging

import "time"

// Page asks for a part of a list: at most Limit rows behind Cursor. A cursor
// is the id (or sequence) of the last row seen; empty starts at the head.
type Page struct {
	Limit  int
	Cursor string
}

// MessageFilter narrows a list of messages. Zero fields do not narrow.
type MessageFilter struct {
	InstanceID string
	Direction  Direction
	Status     Status
	To         string // a WhatsApp id
	BulkID     string
	Lineage    string // only rows sent by this key lineage
	Since      time.Time
	Until      time.Time
}

// EventFilter narrows a list of events. After, when set, turns the order:
// oldest first, beginning behind that event.
type EventFilter struct {
	Type       EventType
	InstanceID string
	MessageID  string
	After      string
}

// Claim is the place of an Idempotency-Key in a write. A store method that is
// given one writes it in the transaction of what it answers, so that no crash
// can part the two.
type Claim struct {
	Scope       string // SHA-256, in hex, of lineage, method, resolved path and key
	RequestHash string // SHA-256, in hex, of the body
	Status      int    // the answer's HTTP status
	Body        []byte // the answer's body, secrets replaced by null
}

// RequestLog is one row of api_logs. It never holds tokens, texts, query
// strings or whole phone numbers.
type RequestLog struct {
	ID          int64
	WorkspaceID string
	Environment Environment
	At          time.Time
	RequestID   string
	KeyID       string
	Lineage     string
	Method      string
	Route       string // the pattern, not the path
	Status      int
	ErrorCode   string
	Duration    time.Duration
	InstanceID  string
	IP          string
	UserAgent   string
}

// LogFilter narrows a list of request logs. Zero fields do not narrow.
type LogFilter struct {
	KeyID      string
	Lineage    string
	InstanceID string
	Status     int
	Since      time.Time
	AfterID    int64 // oldest first, behind this row; for following
}

// Carriage is one message as the simulated network carried it.
type Carriage struct {
	Position    int64
	WAMessageID string
	MessageID   string
	InstanceID  string
	To          Address
	Content     Content
	Sandbox     *Override
	CarriedAt   time.Time
}
