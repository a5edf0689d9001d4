package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"portaria/messaging"
)

// recoverPage is how many carriages Recover reads at once.
const recoverPage = 1000

// Options are the parts of a driver.
type Options struct {
	Store    Store
	Pairings PairingStore // nil: pairings have no code to show
	Reporter messaging.Reporter
	Clocks   *Clocks
	Logger   *slog.Logger // nil: slog.Default
}

// Driver is the simulated network. It opens a channel for every test instance;
// a channel is as connected as its instance was when it was opened, so the
// manager opens it anew when the instance's state changes.
type Driver struct {
	store    Store
	pairings PairingStore
	reporter messaging.Reporter
	clocks   *Clocks
	log      *slog.Logger
	pump     *pump
}

var _ messaging.Driver[messaging.TestInstance] = (*Driver)(nil)

// New returns a driver. Recover is to be called once before messages are sent.
func New(options Options) (*Driver, error) {
	if options.Store == nil || options.Reporter == nil || options.Clocks == nil {
		return nil, errors.New("sandbox: a driver needs a store, a reporter and clocks")
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	return &Driver{
		store:    options.Store,
		pairings: options.Pairings,
		reporter: options.Reporter,
		clocks:   options.Clocks,
		log:      options.Logger,
		pump:     newPump(options.Reporter, options.Store, options.Logger),
	}, nil
}

// Name implements messaging.Driver.
func (d *Driver) Name() messaging.DriverName { return messaging.DriverSandbox }

// Open implements messaging.Driver. It does what the owner asks for; that leads
// to another state, and so to another channel. An instance that ought to be
// connected and lost its connection gets it back by itself, half a second after
// it lost it, unless it was dropped (Drop) or banned: then at the end of that.
// The channel of one that is not connected carries nothing.
func (d *Driver) Open(ctx context.Context, instance messaging.TestInstance) (messaging.Channel, error) {
	facts := instance.Instance()
	wanted := facts.Desired != messaging.DesiredDisconnected && facts.Ask == messaging.AskNothing
	c := &channel{
		driver:    d,
		clock:     d.clocks.Of(facts.WorkspaceID, facts.ID),
		workspace: facts.WorkspaceID,
		instance:  facts.ID,
		connected: facts.State == messaging.InstanceConnected && wanted,
	}
	if facts.Ask != messaging.AskNothing {
		if err := c.obey(ctx, &facts); err != nil {
			return nil, err
		}
		return c, nil
	}
	if at, ok := comesBack(&facts); ok {
		c.reconnectAt(at)
	}
	return c, nil
}

// comesBack returns when an instance that ought to be connected gets its
// connection back by itself; false when it does not.
func comesBack(facts *messaging.Instance) (at time.Time, ok bool) {
	if facts.Desired != messaging.DesiredConnected {
		return at, false
	}
	switch facts.State { //nolint:exhaustive // the others are not down, or for good
	case messaging.InstanceDisconnected, messaging.InstanceConnecting:
		if facts.StateReason != messaging.ReasonNetworkUnreachable {
			return facts.StateSince.Add(reconnectAfter), true
		}
	case messaging.InstanceRestricted:
	default:
		return at, false
	}
	return facts.StateUntil, !facts.StateUntil.IsZero()
}

// Recover takes up again what the network owed when the process ended. What
// was due in the meantime is told at once, at the times it was due.
func (d *Driver) Recover(ctx context.Context) error {
	type home struct{ workspace, instance string }
	owed := make(map[home][]dated)
	for after := (CarriageKey{}); ; {
		page, err := d.store.Owed(ctx, after, recoverPage)
		if err != nil {
			return fmt.Errorf("recover sandbox: %w", err)
		}
		for i := range page {
			c := &page[i]
			after = c.Key()
			at := home{c.WorkspaceID, c.InstanceID}
			owed[at] = appendSteps(owed[at], new(debt), c)
		}
		if len(page) < recoverPage {
			break
		}
	}
	for at, all := range owed {
		d.schedule(d.clocks.Of(at.workspace, at.instance), at.workspace, at.instance, all)
	}
	return nil
}

// Idle waits until the driver has nothing in hand for a workspace or, when it is
// given the id of one, for an instance: everything that their clocks have called
// for is recorded.
func (d *Driver) Idle(ctx context.Context, id string) error { return d.pump.idle(ctx, id) }

// Forget has the network forget what it owes in a workspace: this process tells
// nothing of it any more, nor, once the store has forgotten it too, does another.
func (d *Driver) Forget(workspace string) { d.pump.forget(workspace) }

// Close ends all reports. What is still owed is taken up by the next Recover.
// Channels are closed by who opened them.
func (d *Driver) Close() error {
	d.pump.close()
	return nil
}

// schedule asks an instance's clock to call when what is owed becomes due.
func (d *Driver) schedule(clock messaging.Clock, workspace, instance string, all []dated) {
	era := d.pump.era(workspace)
	for _, b := range bundles(workspace, instance, all) {
		b.era = era
		clock.At(b.due, func() { d.pump.collect(b) })
	}
}
