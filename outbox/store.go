package outbox

import (
	"context"
	"time"

	"portaria/messaging"
	"portaria/outbox/pace"
)

// Store is what the queue needs of a database.
type Store interface {
	Intake
	Backlog
	Book
}

// Intake stores what is accepted.
type Intake interface {
	// Accept stores a message, its place in the outbox, its first event and its
	// claim in one durable commit. accepted is called after that commit and
	// before Accept returns, in the order of the commits; it must not block.
	Accept(ctx context.Context, a Acceptance, accepted func(position int64)) error
	// Message finds a message; fault.ErrNotFound.
	Message(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Message, error)
	// Unpark makes the rows of a lane due that wait only for another message to
	// the same recipient.
	Unpark(ctx context.Context, lane LaneRef, priority messaging.Priority, waID string) error
}

// Backlog reads what waits.
type Backlog interface {
	// Lanes lists the instances that have rows in the outbox.
	Lanes(ctx context.Context) ([]LaneRef, error)
	// Due returns the rows of one lane and priority that are due at now, in
	// their order, at most limit.
	Due(ctx context.Context, lane LaneRef, priority messaging.Priority, now time.Time, limit int) ([]Parcel, error)
	// Later returns the rows of a lane that are not due at now.
	Later(ctx context.Context, lane LaneRef, now time.Time) ([]Waiter, error)
	// Expired returns ids of messages of a lane whose time had run out at now,
	// at most limit, and when the lane must be looked at again: the earliest
	// later expiry or due time, zero when there is none.
	Expired(ctx context.Context, lane LaneRef, now time.Time, limit int) (ids []string, next time.Time, err error)
}

// Book counts what waits, and what paced instances have sent.
type Book interface {
	// Spent returns what a number has sent through an instance within the last
	// day or a little more, in order of time, and when it first sent; zero if it
	// never did. messaging.PaceSpent records both.
	Spent(ctx context.Context, lane LaneRef, phone string) (spent []Spent, began time.Time, err error)
	// Waiting returns how many rows of a lane wait.
	Waiting(ctx context.Context, lane LaneRef) (int, error)
}

// Acceptance is a message with what must be stored in its transaction.
type Acceptance struct {
	Message *messaging.Message
	Claim   *messaging.Claim // nil without an Idempotency-Key
}

// LaneRef names a lane: one instance.
type LaneRef struct {
	WorkspaceID string                `db:"workspace_id"`
	Environment messaging.Environment `db:"environment"`
	InstanceID  string                `db:"instance_id"`
}

// Parcel is a message in a lane: what the channel is handed, and its place.
type Parcel struct {
	messaging.Outgoing
	Priority  messaging.Priority
	Position  int64
	ExpiresAt time.Time
}

// Waiter is a message that waits for a time of its own.
type Waiter struct {
	MessageID string
	Priority  messaging.Priority
	WAID      string
	Position  int64
	Due       time.Time
	// Blocks says that nothing to the same recipient may pass. A message that
	// the network has but did not acknowledge blocks no one, nor does one that
	// waits only for another.
	Blocks bool
	// Unacked says that the network has the message but did not acknowledge it.
	Unacked bool
}

// Spent is what a number has sent, as the book keeps it.
type Spent = pace.Spent
