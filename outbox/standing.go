package outbox

import (
	"context"

	"portaria/messaging"
	"portaria/outbox/pace"
)

// Standing is what a lane has before it.
type Standing struct {
	Waiting int // messages that wait, for whatever reason
	// Rules is the pace of the instance, and Book what its number has sent; both
	// are nil when it has none. They are the caller's.
	Rules *pace.Rules
	Book  *pace.Ledger
}

// Standing returns what waits for an instance, and the pace at which it will be
// sent.
func (d *Dispatcher) Standing(ctx context.Context, i messaging.Instance) (s Standing, err error) {
	ref := LaneRef{WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID}
	if s.Waiting, err = d.store.Waiting(ctx, ref); err != nil {
		return s, err
	}
	rules, on := pace.Of(&i)
	if !on {
		return s, nil
	}
	s.Rules = &rules
	if s.Book, err = d.readBook(ctx, ref, i.Phone); err != nil {
		return s, err
	}
	s.Book.Settle(d.clocks(ref).Now())
	return s, nil
}
