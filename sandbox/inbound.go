package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// ErrNotOnline is the fault of what needs a test instance that is connected.
var ErrNotOnline = fault.New(fault.Conflict, "INSTANCE_NOT_CONNECTED", "The instance is not connected.")

// Receive has a contact write to a test instance: a message of any kind, or a
// reaction. It is recorded when Receive returns. Fault: ErrNotOnline.
func (d *Driver) Receive(ctx context.Context, instance messaging.TestInstance, from messaging.Address, content messaging.Content) (messaging.Message, error) {
	facts, now, err := d.online(instance)
	if err != nil {
		return messaging.Message{}, err
	}
	m := messaging.Message{
		ID: messaging.DrawID(ctx, messaging.MessagePrefix, time.Now()), WorkspaceID: facts.WorkspaceID, Environment: messaging.Test,
		InstanceID: facts.ID, Direction: messaging.Inbound, Peer: from, Content: content, Priority: messaging.Normal,
		WAMessageID: messaging.DrawWAMessageID(ctx), CreatedAt: now, State: messaging.State{Status: messaging.StatusReceived},
	}
	if err := d.reporter.Report(ctx, messaging.InboundMessage{Message: m}); err != nil {
		return messaging.Message{}, fmt.Errorf("inbound: %w", err)
	}
	return m, nil
}

// ReceiveEdit has the author of an inbound message change it.
// Faults: ErrNotOnline, fault.ErrConflict for a message that is not a contact's.
func (d *Driver) ReceiveEdit(ctx context.Context, instance messaging.TestInstance, m *messaging.Message, content messaging.Content) error {
	facts, now, err := d.about(instance, m)
	if err != nil {
		return err
	}
	return d.reporter.Report(ctx, messaging.MessageEdit{
		WorkspaceID: facts.WorkspaceID, Environment: messaging.Test, InstanceID: facts.ID, WAMessageID: m.WAMessageID,
		Author: m.Peer, Content: content, At: now,
	})
}

// ReceiveRevoke has the author of an inbound message delete it for everyone.
// Faults as for ReceiveEdit.
func (d *Driver) ReceiveRevoke(ctx context.Context, instance messaging.TestInstance, m *messaging.Message) error {
	facts, now, err := d.about(instance, m)
	if err != nil {
		return err
	}
	return d.reporter.Report(ctx, messaging.MessageRevoke{
		WorkspaceID: facts.WorkspaceID, Environment: messaging.Test, InstanceID: facts.ID, WAMessageID: m.WAMessageID, Author: m.Peer, At: now,
	})
}

// ReceiveCall has a contact call a test instance. It gives the call its id and its
// time. Fault: ErrNotOnline.
func (d *Driver) ReceiveCall(ctx context.Context, instance messaging.TestInstance, call messaging.Call) (messaging.Call, error) {
	facts, now, err := d.online(instance)
	if err != nil {
		return call, err
	}
	sum := sha256.Sum256([]byte(messaging.DrawWAMessageID(ctx)))
	call.ID, call.At = strings.ToUpper(hex.EncodeToString(sum[:16])), now
	return call, d.reporter.Report(ctx, messaging.CallReceived{
		WorkspaceID: facts.WorkspaceID, Environment: messaging.Test, InstanceID: facts.ID, Call: call,
	})
}

// online returns the facts of an instance that is connected, and its time.
func (d *Driver) online(instance messaging.TestInstance) (facts messaging.Instance, now time.Time, err error) {
	facts = instance.Instance()
	if facts.State != messaging.InstanceConnected {
		return facts, now, ErrNotOnline
	}
	return facts, d.clocks.Of(facts.WorkspaceID, facts.ID).Now(), nil
}

// about is online for what happens to a message of a contact.
func (d *Driver) about(instance messaging.TestInstance, m *messaging.Message) (facts messaging.Instance, now time.Time, err error) {
	if facts, now, err = d.online(instance); err != nil {
		return facts, now, err
	}
	if m.Direction != messaging.Inbound || m.InstanceID != facts.ID {
		return facts, now, fault.ErrConflict.Saying("Only a message that a contact sent to this instance can be changed by the contact.")
	}
	return facts, now, nil
}
