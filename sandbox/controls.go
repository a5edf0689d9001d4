package sandbox

import (
	"cmp"
	"context"
	"crypto/subtle"
	"strings"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// ErrPaired is the fault of scanning for an instance that is connected.
var ErrPaired = fault.New(fault.Conflict, "INSTANCE_ALREADY_CONNECTED", "The instance is connected already.")

// ErrWrongCode is the fault of typing another code than the one that is shown.
var ErrWrongCode = fault.New(fault.Conflict, "PAIRING_CODE_WRONG", "This is not the code that the instance shows.")

// Scan is the simulated phone: it scans the QR that an instance shows, or types
// its code, and so links itself. A code is typed on the phone that it was asked
// for; a QR is scanned by the phone that the instance had, if it had one. code is
// what is scanned or typed; empty: whatever is shown. Faults: ErrNotPairing,
// ErrPaired, ErrWrongCode.
func (d *Driver) Scan(ctx context.Context, instance messaging.TestInstance, code string) error {
	facts := instance.Instance()
	switch facts.State { //nolint:exhaustive // the others are not paired, alike
	case messaging.InstancePairing:
	case messaging.InstanceConnected:
		return ErrPaired
	default:
		return ErrNotPairing
	}
	if code != "" {
		if err := d.shows(ctx, &facts, code); err != nil {
			return err
		}
	}
	phone := cmp.Or(facts.PairPhone, facts.Phone)
	if phone == "" {
		phone = messaging.DrawSandboxPhone(ctx)
	}
	change := d.changeOf(&facts, messaging.InstanceConnected, "")
	change.Done, change.Linked = facts.AskedAt, &messaging.Link{ID: phone, Phone: phone}
	return d.reporter.Report(ctx, change)
}

// shows refuses a code that is not the one that an instance shows.
func (d *Driver) shows(ctx context.Context, facts *messaging.Instance, code string) error {
	if d.pairings == nil {
		return ErrNotPairing
	}
	shown, err := d.pairings.FindPairing(ctx, facts.WorkspaceID, messaging.Test, facts.ID)
	if err != nil {
		return err
	}
	plain := strings.NewReplacer("-", "", " ", "")
	typed := strings.ToUpper(plain.Replace(code))
	if shown.Code != "" && subtle.ConstantTimeCompare([]byte(typed), []byte(plain.Replace(shown.Code))) == 1 ||
		shown.QR != "" && subtle.ConstantTimeCompare([]byte(code), []byte(shown.QR)) == 1 {
		return nil
	}
	return ErrWrongCode
}

// Drop cuts the connection of an instance. It comes back by itself after a time,
// or with Reconnect when that is zero. Fault: ErrNotOnline.
func (d *Driver) Drop(ctx context.Context, instance messaging.TestInstance, lasts time.Duration) error {
	facts := instance.Instance()
	if facts.State != messaging.InstanceConnected {
		return ErrNotOnline
	}
	change := d.changeOf(&facts, messaging.InstanceDisconnected, messaging.ReasonNetworkUnreachable)
	if lasts > 0 {
		change.Until = change.At.Add(lasts)
	}
	return d.reporter.Report(ctx, change)
}

// Reconnect brings back the connection of an instance that was dropped, or whose
// ban is lifted with it. Faults: ErrNotDown; for one that nobody wants connected,
// or that has no phone, too.
func (d *Driver) Reconnect(ctx context.Context, instance messaging.TestInstance) error {
	facts := instance.Instance()
	switch facts.State { //nolint:exhaustive // the others are not down
	case messaging.InstanceDisconnected, messaging.InstanceConnecting, messaging.InstanceRestricted, messaging.InstanceBanned:
	default:
		return ErrNotDown
	}
	if facts.Desired != messaging.DesiredConnected || !facts.Linked() {
		return ErrNotDown
	}
	return d.reporter.Report(ctx, d.changeOf(&facts, messaging.InstanceConnected, ""))
}

// ErrNotDown is the fault of bringing back a connection that was not lost.
var ErrNotDown = fault.New(fault.Conflict, "CONFLICT",
	"Only an instance that is linked, and that lost the connection that its owner wants, can be reconnected.")

// Logout has the phone remove the instance from its linked devices. Fault:
// ErrNotLinked.
func (d *Driver) Logout(ctx context.Context, instance messaging.TestInstance) error {
	facts := instance.Instance()
	if !facts.Linked() {
		return ErrNotLinked
	}
	change := d.changeOf(&facts, messaging.InstanceLoggedOut, messaging.ReasonDeviceRemoved)
	change.Linked = new(messaging.Link) // the owner still wants it connected
	return d.reporter.Report(ctx, change)
}

// ErrNotLinked is the fault of what needs a phone that is linked.
var ErrNotLinked = fault.New(fault.Conflict, "CONFLICT", "No phone is linked to the instance.")

// Ban has the network ban an instance's number: for a time, after which the
// connection comes back by itself, or for good when that is zero. Fault:
// ErrNotLinked.
func (d *Driver) Ban(ctx context.Context, instance messaging.TestInstance, lasts time.Duration) error {
	facts := instance.Instance()
	if !facts.Linked() {
		return ErrNotLinked
	}
	change := d.changeOf(&facts, messaging.InstanceBanned, messaging.ReasonBanned)
	if lasts > 0 {
		change = d.changeOf(&facts, messaging.InstanceRestricted, messaging.ReasonTemporaryBan)
		change.Until = change.At.Add(lasts)
	}
	return d.reporter.Report(ctx, change)
}

// changeOf is the record of another state of an instance, now.
func (d *Driver) changeOf(facts *messaging.Instance, state messaging.InstanceState, reason string) messaging.InstanceChange {
	return messaging.InstanceChange{
		WorkspaceID: facts.WorkspaceID, Environment: messaging.Test, InstanceID: facts.ID,
		Type: messaging.InstanceEvent(state), State: state, Reason: reason, At: d.clocks.Of(facts.WorkspaceID, facts.ID).Now(),
	}
}

// Revived is the record that connects an instance as it was when it was made,
// with the number that it had.
func (d *Driver) Revived(facts *messaging.Instance) messaging.InstanceChange {
	change := d.changeOf(facts, messaging.InstanceConnected, "")
	change.Done, change.Linked = facts.AskedAt, &messaging.Link{ID: facts.Phone, Phone: facts.Phone}
	return change
}

// Unasked is the record that ends the pairing of an instance that never had a
// number.
func (d *Driver) Unasked(facts *messaging.Instance) messaging.InstanceChange {
	change := d.changeOf(facts, messaging.InstanceCreated, "")
	change.Done, change.Undone = facts.AskedAt, true
	return change
}
