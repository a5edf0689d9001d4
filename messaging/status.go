package messaging

import "time"

// Status is where a message stands.
//
//	scheduled ─┐
//	queued ⇄ sending → sent → delivered → read → played
//	held ──────┤
//	           └→ failed | expired | canceled
//
// The four on the left alternate freely; from sent on a status only rises; the
// three ends are never left.
type Status string

// The statuses of API.md section 6.
const (
	StatusScheduled Status = "scheduled"
	StatusQueued    Status = "queued"
	StatusHeld      Status = "held"
	StatusSending   Status = "sending"
	StatusSent      Status = "sent"
	StatusDelivered Status = "delivered"
	StatusRead      Status = "read"
	StatusPlayed    Status = "played"
	StatusFailed    Status = "failed"
	StatusExpired   Status = "expired"
	StatusCanceled  Status = "canceled"
	StatusReceived  Status = "received" // of an inbound message
)

// Statuses lists every status, in the order of a message's life.
var Statuses = []Status{
	StatusScheduled, StatusQueued, StatusHeld, StatusSending, StatusSent, StatusDelivered, StatusRead, StatusPlayed,
	StatusFailed, StatusExpired, StatusCanceled, StatusReceived,
}

// Valid reports whether s is one of the statuses.
func (s Status) Valid() bool { return s.rank() >= 0 }

// Waiting reports whether the network has not taken the message yet.
func (s Status) Waiting() bool { return s.rank() == rankWaiting }

// Ended reports whether s is an end that is never left without having been sent.
func (s Status) Ended() bool { return s.rank() == rankEnd }

// Carried reports whether the network has taken the message.
func (s Status) Carried() bool { r := s.rank(); return r > rankWaiting && r < rankEnd }

// Reached reports whether a message that stands at s has got as far as want,
// or to an end from which it never will.
func (s Status) Reached(want Status) bool { return s.rank() >= want.rank() }

const (
	rankWaiting = 0
	rankEnd     = 9
)

func (s Status) rank() int {
	switch s {
	case StatusScheduled, StatusQueued, StatusHeld, StatusSending:
		return rankWaiting
	case StatusSent:
		return 1
	case StatusDelivered:
		return 2
	case StatusRead:
		return 3
	case StatusPlayed:
		return 4
	case StatusReceived:
		return 5
	case StatusFailed, StatusExpired, StatusCanceled:
		return rankEnd
	default:
		return -1
	}
}

// SendError says why a message failed, expired or was canceled, or what delays
// it. Codes are those of API.md section 6.
type SendError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// State is the part of a message that changes after it was accepted.
type State struct {
	Status      Status     `json:"status"`
	Error       *SendError `json:"error,omitempty"`
	Attempts    int        `json:"attempts"`
	SentAt      time.Time  `json:"sent_at,omitzero"`
	DeliveredAt time.Time  `json:"delivered_at,omitzero"`
	ReadAt      time.Time  `json:"read_at,omitzero"`
	PlayedAt    time.Time  `json:"played_at,omitzero"`
	FailedAt    time.Time  `json:"failed_at,omitzero"`
}

// Apply moves the state by one change and returns the statuses that this
// newly recorded, in order: none for a change that comes late or twice. A
// receipt for a message that was not marked as sent records sent first: it
// proves that the network took the message.
//
// The statuses that alternate (scheduled, queued, held, sending) are recorded
// whenever they differ from the present one.
func (s *State) Apply(c StatusChange) []Status {
	if s.Status.Ended() {
		return nil
	}
	switch c.Status {
	case StatusScheduled, StatusQueued, StatusHeld, StatusSending:
		return s.applyWaiting(c)
	case StatusSent, StatusDelivered, StatusRead, StatusPlayed:
		return s.applyReceipt(c)
	case StatusFailed, StatusExpired, StatusCanceled:
		return s.applyEnd(c)
	case StatusReceived:
	}
	return nil
}

func (s *State) applyWaiting(c StatusChange) []Status {
	if !s.Status.Waiting() {
		return nil
	}
	s.Attempts = max(s.Attempts, c.Attempts)
	s.Error = c.Error
	if s.Status == c.Status {
		return nil
	}
	s.Status = c.Status
	return []Status{c.Status}
}

func (s *State) applyReceipt(c StatusChange) (recorded []Status) {
	if s.SentAt.IsZero() {
		s.SentAt = c.At
		recorded = append(recorded, StatusSent)
	}
	s.Error = nil
	s.Attempts = max(s.Attempts, c.Attempts, 1)
	if stamp := s.stamp(c.Status); stamp != nil && stamp.IsZero() {
		*stamp = c.At
		recorded = append(recorded, c.Status)
	}
	if c.Status.rank() > s.Status.rank() {
		s.Status = c.Status
	}
	return recorded
}

// applyEnd ends a message that the network has not taken. What was carried
// cannot fail any more.
func (s *State) applyEnd(c StatusChange) []Status {
	if !s.Status.Waiting() {
		return nil
	}
	s.Status, s.Error, s.FailedAt = c.Status, c.Error, c.At
	s.Attempts = max(s.Attempts, c.Attempts)
	return []Status{c.Status}
}

// stamp returns where the time of a receipt is kept; nil for sent, which
// applyReceipt has set already.
func (s *State) stamp(status Status) *time.Time {
	switch status { //nolint:exhaustive // only receipts have a time of their own
	case StatusDelivered:
		return &s.DeliveredAt
	case StatusRead:
		return &s.ReadAt
	case StatusPlayed:
		return &s.PlayedAt
	default:
		return nil
	}
}
