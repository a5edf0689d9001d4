package outbox

import (
	"context"
	"fmt"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// Accept checks a draft, stores it durably and hands it to its lane. When it
// returns nil the message survives any crash.
//
// Faults: ErrInvalidRecipient, ErrSandboxRecipient, fault.ErrShuttingDown, and
// what the store answers to a claim that another request won.
func (d *Dispatcher) Accept(ctx context.Context, draft Draft) (messaging.Message, error) {
	m, err := d.message(ctx, &draft)
	if err != nil {
		return messaging.Message{}, err
	}
	a := Acceptance{Message: &m}
	if draft.ClaimFor != nil {
		if a.Claim, err = draft.ClaimFor(m); err != nil {
			return messaging.Message{}, fmt.Errorf("claim: %w", err)
		}
	}
	if err := d.store.Accept(ctx, a, func(position int64) { d.Take(&m, position) }); err != nil {
		return messaging.Message{}, err
	}
	return m, nil
}

// message makes the message that a draft asks for.
func (d *Dispatcher) message(ctx context.Context, draft *Draft) (messaging.Message, error) {
	to, err := ParseRecipient(draft.To)
	if err != nil {
		return messaging.Message{}, err
	}
	env := draft.Tenancy.Environment()
	if env == messaging.Live && to.IsSandboxNumber() {
		return messaging.Message{}, ErrSandboxRecipient
	}
	if env == messaging.Test && d.refuses(to) {
		return messaging.Message{}, ErrInvalidRecipient
	}
	lane := LaneRef{WorkspaceID: draft.Tenancy.Workspace(), Environment: env, InstanceID: draft.Instance.ID}
	now := d.clocks(lane).Now().Truncate(time.Microsecond)
	m := messaging.Message{
		ID: d.ids.Draw(ctx, messaging.MessagePrefix, time.Now()), WorkspaceID: lane.WorkspaceID, Environment: env,
		InstanceID: lane.InstanceID, Direction: messaging.Outbound, Peer: to, Content: draft.Content, Metadata: draft.Metadata,
		Priority: draft.Priority, WAMessageID: messaging.DrawWAMessageID(ctx), KeyID: draft.KeyID, Lineage: draft.Lineage,
		Sandbox: draft.Sandbox, CreatedAt: now, State: messaging.State{Status: messaging.StatusQueued},
	}
	if draft.SendAt.After(now) {
		m.SendAt, m.Status = draft.SendAt.UTC().Truncate(time.Microsecond), messaging.StatusScheduled
	}
	life := draft.ExpiresIn
	if life == 0 {
		life = DefaultExpiry
	}
	m.ExpiresAt = now.Add(life)
	if !m.SendAt.IsZero() {
		m.ExpiresAt = m.SendAt.Add(life)
	}
	return m, nil
}

// Cancel ends a message that waits. Faults: fault.ErrNotFound; fault.ErrConflict
// when the network may have it, or it has ended.
func (d *Dispatcher) Cancel(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Message, error) {
	m, err := d.store.Message(ctx, tenancy, id)
	if err != nil {
		return m, err
	}
	if m.Direction != messaging.Outbound || !m.Status.Waiting() || m.Status == messaging.StatusSending {
		return m, fault.ErrConflict.Saying("Only a message that is scheduled, queued or held can be canceled.").
			With("status", string(m.Status))
	}
	l := d.lane(LaneRef{WorkspaceID: m.WorkspaceID, Environment: m.Environment, InstanceID: m.InstanceID})
	l.freeze()
	defer l.thaw()
	waiter, ok := l.withdraw(id)
	if !ok {
		return m, errOnItsWay
	}
	err = d.reporter.Report(ctx, l.change(id, messaging.StatusChange{
		Status: messaging.StatusCanceled, At: l.clock.Now(),
		Error: &messaging.SendError{Code: "CANCELED", Message: "The message was canceled."},
	}))
	if err != nil {
		l.restore(id, waiter)
		return m, fmt.Errorf("cancel: %w", err)
	}
	l.release(id)
	if waiter != nil {
		if err := d.store.Unpark(ctx, l.ref, m.Priority, m.Peer.WAID); err != nil {
			return m, fmt.Errorf("cancel: %w", err)
		}
		l.refill()
	}
	if m, err = d.store.Message(ctx, tenancy, id); err == nil && m.Status != messaging.StatusCanceled {
		return m, errOnItsWay // it was sent between the look and the withdrawal
	}
	return m, err
}

// errOnItsWay is the fault of canceling a message that the channel has.
var errOnItsWay = fault.ErrConflict.Saying("The message is on its way and cannot be canceled any more.")
