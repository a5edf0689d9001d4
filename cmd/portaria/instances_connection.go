package main

import (
	"context"
	"time"

	"portaria/instances"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/store"
)

// These commands ask by one write to the database; the server that runs on it
// does what is asked within a second.

const (
	// takenUpWithin is how long a running server may take to begin what was
	// asked: it looks four times a second.
	takenUpWithin = 5 * time.Second
	// lookEvery is how often a command looks at what the server has done.
	lookEvery = 200 * time.Millisecond
)

// errNobodyActs is the fault of a wish that no server has taken up.
var errNobodyActs = fault.New(fault.Unavailable, "SERVER_NOT_RUNNING",
	"No server takes this up: start `portaria serve` on this database. What was asked is kept, and done then.")

// instancesConnectCmd connects an instance.
type instancesConnectCmd struct{ instanceRef }

// Run implements the command.
func (cmd *instancesConnectCmd) Run(ctx context.Context, c *Config, io streams) error {
	return cmd.ask(ctx, c, io, connecting())
}

// instancesDisconnectCmd disconnects an instance.
type instancesDisconnectCmd struct{ instanceRef }

// Run implements the command.
func (cmd *instancesDisconnectCmd) Run(ctx context.Context, c *Config, io streams) error {
	return cmd.ask(ctx, c, io, disconnecting())
}

// instancesRestartCmd makes a connection anew.
type instancesRestartCmd struct{ instanceRef }

// Run implements the command.
func (cmd *instancesRestartCmd) Run(ctx context.Context, c *Config, io streams) error {
	return cmd.ask(ctx, c, io, restarting())
}

// instancesLogoutCmd unlinks a phone.
type instancesLogoutCmd struct{ instanceRef }

// Help implements kong.HelpProvider.
func (instancesLogoutCmd) Help() string {
	return `The phone is unlinked and the session forgotten. Messages wait: linking the same number again sends them, another
one fails them INSTANCE_LOGGED_OUT.

  portaria instances logout shop --environment live`
}

// Run implements the command.
func (cmd *instancesLogoutCmd) Run(ctx context.Context, c *Config, io streams) error {
	return cmd.ask(ctx, c, io, loggingOut())
}

// act is something that is asked of an instance's connection.
type act struct {
	done string // what it is called once it is done
	ask  func(m *instances.Manager, ctx context.Context, t messaging.Tenancy, id string) (messaging.Instance, error)
	// settled reports whether the server has done it, or begun what takes longer.
	settled func(i *messaging.Instance) bool
}

func connecting() act {
	return act{
		done: "Asked to connect",
		ask: func(m *instances.Manager, ctx context.Context, t messaging.Tenancy, id string) (messaging.Instance, error) {
			return m.Connect(ctx, t, id, "")
		},
		settled: func(i *messaging.Instance) bool {
			return i.Ask == messaging.AskNothing || i.State == messaging.InstancePairing || i.State == messaging.InstanceConnecting
		},
	}
}

func disconnecting() act {
	return act{done: "Disconnected", ask: (*instances.Manager).Disconnect, settled: isApart}
}

func restarting() act {
	return act{
		done: "Restarted", ask: (*instances.Manager).Restart,
		settled: func(i *messaging.Instance) bool {
			return i.Ask == messaging.AskNothing || i.State == messaging.InstanceConnecting
		},
	}
}

func loggingOut() act {
	return act{
		done: "Logged out", ask: (*instances.Manager).Logout,
		settled: func(i *messaging.Instance) bool { return i.Ask == messaging.AskNothing && !i.Linked() && isApart(i) },
	}
}

// isApart reports whether an instance has no connection and wants none.
func isApart(i *messaging.Instance) bool {
	return i.State != messaging.InstanceConnected && i.State != messaging.InstanceConnecting && i.State != messaging.InstancePairing
}

// ask asks for an act and waits until a server has taken it up.
func (r instanceRef) ask(ctx context.Context, c *Config, io streams, a act) error {
	return r.withManager(ctx, c, io, func(s *store.Store, m *instances.Manager, t messaging.Tenancy, i messaging.Instance) error {
		i, err := a.ask(m, ctx, t, i.ID)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, takenUpWithin)
		defer cancel()
		err = look(ctx, func() (done bool, err error) {
			i, err = s.FindInstance(ctx, i.WorkspaceID, i.Environment, i.ID)
			return a.settled(&i), err
		})
		if ctx.Err() != nil {
			return errNobodyActs
		}
		if err != nil {
			return err
		}
		return printInstance(c, io, a.done, i)
	})
}

// look calls f now and then until it is done or ctx ends.
func look(ctx context.Context, f func() (done bool, err error)) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if done, err := f(); done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
