package webhooks

import (
	"context"
	"time"

	"portaria/messaging"
)

// Endpoint is a webhook with what only this room may know of it.
type Endpoint struct {
	messaging.Webhook

	Secret         string // sealed
	PreviousSecret string // sealed; valid until SecretRotatedUntil; empty: none
}

// Store keeps endpoints and what callers ask of their deliveries. Objects that a
// tenancy does not open wholly are absent: fault.ErrNotFound.
type Store interface {
	// InsertEndpoint stores an endpoint, and its claim in the same transaction.
	// Faults: ErrTooMany when the world has MaxEndpoints; store.ErrIdempotencyRace.
	InsertEndpoint(ctx context.Context, e Endpoint, claim *messaging.Claim) error
	Endpoint(ctx context.Context, t messaging.Tenancy, id string) (Endpoint, error)
	Endpoints(ctx context.Context, t messaging.Tenancy, page messaging.Page) ([]Endpoint, error) // newest first
	// ChangeEndpoint reads an endpoint, lets change alter it, and stores it, with
	// nobody between; an error of change is returned as it is. claimFor, unless
	// nil, makes the claim of the changed endpoint.
	ChangeEndpoint(ctx context.Context, t messaging.Tenancy, id string, change func(*Endpoint) error,
		claimFor func(Endpoint) (*messaging.Claim, error)) (Endpoint, error)
	// DeleteEndpoint forgets an endpoint with its pending deliveries, and returns it.
	DeleteEndpoint(ctx context.Context, t messaging.Tenancy, id string) (Endpoint, error)

	Delivery(ctx context.Context, t messaging.Tenancy, webhookID, id string) (Delivery, error)
	Deliveries(ctx context.Context, t messaging.Tenancy, webhookID string, f DeliveryFilter, page messaging.Page) ([]Delivery, error)
	// QueueTest records an event of type webhook.test at a time of the endpoint's
	// world, with its delivery.
	QueueTest(ctx context.Context, e Endpoint, at time.Time) (Delivery, error)
	// QueueReplay queues the event of a delivery once more.
	QueueReplay(ctx context.Context, d Delivery, at time.Time) (Delivery, error)
	// QueueReplays queues what a range asks for, oldest first, at most limit.
	QueueReplays(ctx context.Context, e Endpoint, r Range, at time.Time, limit int) (Replayed, error)
}

// Range is what is to be replayed to an endpoint: of the events between two
// times those that it hears of, or only those whose deliveries failed and have
// not been delivered since.
type Range struct {
	Since, Until time.Time
	All          bool
}

// Replayed says what a range came to.
type Replayed struct {
	Queued int
	More   bool      // the limit was reached …
	Last   time.Time // … by the event of this time: go on from here
}

// DeliveryFilter narrows a list of deliveries. After, when set, turns the order:
// oldest first, beginning behind that delivery.
type DeliveryFilter struct {
	State DeliveryState
	After string
}

// Queue is what the dispatcher works on, for all workspaces. The rows of a queue
// belong to a node: a process, by the name that it has drawn for itself.
type Queue interface {
	AllEndpoints(ctx context.Context) ([]Endpoint, error)
	// EndpointEpoch grows with every change of an endpoint.
	EndpointEpoch(ctx context.Context) (int64, error)

	// Due returns the pending deliveries of an endpoint that are a node's and due
	// at now, the longest due first.
	Due(ctx context.Context, node, webhookID string, now time.Time, limit int) ([]Delivery, error)
	// Waiting returns the pending deliveries of an endpoint that are a node's, due
	// or not, in the order of their ids.
	Waiting(ctx context.Context, node, webhookID string, limit int) ([]Delivery, error)
	// NextDue returns when the next one is due; zero when none is pending.
	NextDue(ctx context.Context, node, webhookID string) (time.Time, error)
	// Attempted records a try, sharing its commit with others.
	Attempted(ctx context.Context, a Attempt) error
	// EventsAt reads events of a world by their sequences, in order; those that
	// are gone are left out.
	EventsAt(ctx context.Context, w messaging.World, sequences []int64) ([]messaging.Event, error)
	// SetFailing notes since when an endpoint has been failing, if it still leads
	// where it led; zero: no more.
	SetFailing(ctx context.Context, e Endpoint, since time.Time) error
	// Disable switches an endpoint off for a reason, unless it is off, and records
	// the event webhook.disabled.
	Disable(ctx context.Context, e Endpoint, reason string, at time.Time) error
}

// Nodes tells processes that deliver apart. Times are of the machine.
type Nodes interface {
	// Renew makes a node's claims hold until a time. It reports false when others
	// have taken the node for gone meanwhile: its deliveries are theirs.
	Renew(ctx context.Context, node string, until time.Time) (alive bool, err error)
	// Adopt gives a node the pending deliveries of nobody and of nodes whose claims
	// have ended at now, and returns the endpoints concerned. alone says that this
	// process is known to be the only one: all other nodes are gone.
	Adopt(ctx context.Context, node string, now time.Time, alone bool) (webhookIDs []string, err error)
	// Leave ends a node's claims at once.
	Leave(ctx context.Context, node string) error
}
