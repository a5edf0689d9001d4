package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

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
// it lost it. The channel of one that is not connected carries nothing.
func (d *Driver) Open(ctx context.Context, instance messaging.TestInstance) (messaging.Channel, error) {
	facts := instance.Instance()
	wanted := facts.Desired != messaging.DesiredDisconnected && facts.Ask == messaging.AskNothing
	c := &channel{
		driver:    d,
		clock:     d.clocks.For(facts.WorkspaceID),
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
	lost := facts.State == messaging.InstanceDisconnected || facts.State == messaging.InstanceConnecting
	if lost && facts.Desired == messaging.DesiredConnected {
		c.reconnectAt(facts.StateSince.Add(reconnectAfter))
	}
	return c, nil
}

// Recover takes up again what the network owed when the process ended. What
// was due in the meantime is told at once, at the times it was due.
func (d *Driver) Recover(ctx context.Context) error {
	owed := make(map[string][]dated) // by workspace
	for after := (CarriageKey{}); ; {
		page, err := d.store.Owed(ctx, after, recoverPage)
		if err != nil {
			return fmt.Errorf("recover sandbox: %w", err)
		}
		for i := range page {
			c := &page[i]
			after = c.Key()
			owed[c.WorkspaceID] = appendSteps(owed[c.WorkspaceID], new(debt), c)
		}
		if len(page) < recoverPage {
			break
		}
	}
	for workspace, all := range owed {
		d.schedule(d.clocks.For(workspace), workspace, all)
	}
	return nil
}

// Idle waits until the driver has nothing in hand for a workspace: everything
// that its clock has called for is recorded.
func (d *Driver) Idle(ctx context.Context, workspace string) error {
	return d.pump.idle(ctx, workspace)
}

// Close ends all reports. What is still owed is taken up by the next Recover.
// Channels are closed by who opened them.
func (d *Driver) Close() error {
	d.pump.close()
	return nil
}

// schedule asks a workspace's clock to call when what is owed becomes due.
func (d *Driver) schedule(clock messaging.Clock, workspace string, all []dated) {
	for _, b := range bundles(workspace, all) {
		clock.At(b.due, func() { d.pump.collect(b) })
	}
}
