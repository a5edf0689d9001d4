package gateway

import (
	"context"
	"time"

	"portaria/auth"
	"portaria/instances"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/sandbox"
)

// Authenticator turns a presented token into a grant.
// Faults: auth.ErrUnauthorized, auth.ErrKeyExpired, auth.ErrBusy.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (*auth.Grant, error)
}

// Sender accepts messages into the durable queue.
type Sender interface {
	Accept(ctx context.Context, draft outbox.Draft) (messaging.Message, error)
	// Cancel ends a message that waits. Faults: fault.ErrConflict when the
	// network has it already or it has ended.
	Cancel(ctx context.Context, tenancy messaging.Tenancy, messageID string) (messaging.Message, error)
}

// Instances keeps the instances of all workspaces.
type Instances interface {
	// Resolve finds an instance by id or name; instances.ErrNotFound.
	Resolve(ctx context.Context, tenancy messaging.Tenancy, ref string) (messaging.Instance, error)
	Create(ctx context.Context, tenancy messaging.Tenancy, draft instances.Draft) (messaging.Instance, error)
	Update(ctx context.Context, tenancy messaging.Tenancy, id string, patch instances.Patch) (messaging.Instance, error)
	Delete(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Instance, error)
	List(ctx context.Context, tenancy messaging.Tenancy, page messaging.Page) ([]messaging.Instance, error)
}

// Reader answers questions about what is stored. Absent and invisible objects
// are fault.ErrNotFound; lists ask for one row more than Page.Limit to know
// whether there is a next page.
type Reader interface {
	Message(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Message, error)
	Messages(ctx context.Context, tenancy messaging.Tenancy, filter messaging.MessageFilter, page messaging.Page) ([]messaging.Message, error)
	Events(ctx context.Context, tenancy messaging.Tenancy, filter messaging.EventFilter, page messaging.Page) ([]messaging.Event, error)
	RequestLogs(ctx context.Context, tenancy messaging.Tenancy, filter messaging.LogFilter, page messaging.Page) ([]messaging.RequestLog, error)
	Carriages(ctx context.Context, tenancy messaging.Tenancy, instanceID string, page messaging.Page) ([]messaging.Carriage, error)
}

// Awaiter waits for a message to get somewhere.
type Awaiter interface {
	// Await returns the message once it has reached want or an end, or as it
	// stands when ctx ends.
	Await(ctx context.Context, tenancy messaging.Tenancy, messageID string, want messaging.Status) (messaging.Message, error)
}

// Clocks controls the clocks of test worlds.
type Clocks interface {
	Show(ctx context.Context, workspace string) (sandbox.ClockState, error)
	SetMode(ctx context.Context, workspace string, mode sandbox.Mode) (sandbox.ClockState, error)
	// Advance moves a frozen or real clock and returns when all that came due
	// has been done, or when ctx ends.
	Advance(ctx context.Context, workspace string, by time.Duration) (sandbox.ClockState, error)
}

// IdempotencyStore keeps the answers of requests with an Idempotency-Key.
type IdempotencyStore interface {
	// Claimed returns what is kept under scope; false when nothing is.
	Claimed(ctx context.Context, tenancy messaging.Tenancy, scope string) (messaging.Claim, bool, error)
	// Keep stores a claim, or replaces the answer of one with the same request.
	Keep(ctx context.Context, tenancy messaging.Tenancy, claim messaging.Claim) error
}

// RequestLogger takes a row of api_logs. It must not block.
type RequestLogger interface {
	Log(row messaging.RequestLog)
}

// Readiness says what keeps the process from serving; nil when nothing does.
type Readiness interface {
	Ready(ctx context.Context) error
}
