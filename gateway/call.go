package gateway

import (
	"context"
	"net/http"
	"slices"
	"time"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/messaging"
)

// Call is what a handler knows of its request beside the decoded input: who
// asks, what may be seen, and which instance is meant.
type Call struct {
	Grant     *auth.Grant
	Tenancy   messaging.Tenancy
	RequestID string

	// Instance is the instance of a row that takes it from the path or from
	// the key.
	Instance messaging.Instance
	// InstanceID is the instance's id; of a row that takes it from the query it
	// is empty when none was asked for.
	InstanceID string
	// ID is the {id} of the path, and DeliveryID its {delivery}.
	ID         string
	DeliveryID string
	// Lineage narrows what the caller sees to the rows of one key lineage;
	// empty opens everything in the tenancy.
	Lineage string
	// Seed is the X-Sandbox-Seed of a request; empty without one.
	Seed string

	exchange *exchange
}

// Idempotent reports whether the caller sent an Idempotency-Key.
func (c *Call) Idempotent() bool { return c.exchange.claim.active() }

// Answer sets the status of the answer, where a handler has more than one.
func (c *Call) Answer(status int) { c.exchange.status = status }

// Claim makes the claim that a store writes in the transaction of what the
// handler does: the answer as it will be sent, under the request's
// Idempotency-Key.
func (c *Call) Claim(data any) (*messaging.Claim, error) {
	x := c.exchange
	if err := x.render(data); err != nil {
		return nil, err
	}
	return x.claim.seal(x.status, x.out), nil
}

// KeepInstead says that the answer holds a secret: what is kept, and shown to a
// repeated request, is data in the answer's place.
func (c *Call) KeepInstead(data any) error {
	x := c.exchange
	if err := x.render(data); err != nil {
		return err
	}
	x.claim.instead = slices.Clone(x.out)
	return nil
}

// ClaimInstead is Claim for an answer that holds a secret, as KeepInstead says.
func (c *Call) ClaimInstead(data any) (*messaging.Claim, error) {
	if err := c.KeepInstead(data); err != nil {
		return nil, err
	}
	return c.exchange.claim.seal(c.exchange.status, c.exchange.claim.instead), nil
}

// SpendMessages takes n tokens of the key's second bucket, when it has one:
// one a recipient.
func (c *Call) SpendMessages(n int) error {
	return c.exchange.spendMessages(n)
}

// Now returns the time of the caller's world, which a sandbox clock may have
// moved.
func (c *Call) Now() time.Time {
	return c.exchange.server.clockOf(c.Tenancy).Now()
}

// Patiently returns a context for waiting up to d. It outlives the request's
// own deadline and ends early when the server stops.
func (c *Call) Patiently(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d)
	forget := context.AfterFunc(c.exchange.server.stopping, cancel)
	return ctx, func() { forget(); cancel() }
}

// sees returns fault.ErrNotFound for a message that the caller may not see:
// foreign messages look like absent ones.
func (c *Call) sees(m messaging.Message) error {
	if c.Lineage != "" && m.Lineage != c.Lineage {
		return fault.ErrNotFound
	}
	return nil
}

// narrow sets what the caller sees, by the row and the grant.
func (c *Call) narrow(sees Visibility) {
	switch sees {
	case SeesTenancy:
	case SeesOwnSends:
		if !c.Grant.Can(auth.MessagesRead) {
			c.Lineage = c.Grant.Lineage
		}
	case SeesOwnRequests:
		if c.Grant.Locked() {
			c.Lineage = c.Grant.Lineage
		}
	}
}

// statusOf returns the row's own status when the handler chose none.
func statusOf(row *Row) int {
	if len(row.Statuses) == 0 {
		return http.StatusOK
	}
	return row.Statuses[0]
}
