package sandbox

import (
	"context"
	"time"

	"portaria/messaging"
)

// Store keeps what the simulated network carried and what it still owes.
type Store interface {
	// Carry stores messages that the network takes, in their order and in one
	// durable step, and answers for each what is kept. A message that the
	// instance carried before under the same WhatsApp id is left as it is.
	Carry(ctx context.Context, batch []Carried) ([]Taken, error)
	// Settle forgets that anything is owed for these messages.
	Settle(ctx context.Context, keys []CarriageKey) error
	// Owed returns up to limit carriages for which something is still owed, in
	// the order of their keys, beginning behind the key after.
	Owed(ctx context.Context, after CarriageKey, limit int) ([]Carried, error)
}

// PairingStore keeps the codes that are shown.
type PairingStore interface {
	// ShowPairing keeps the code that an instance shows now, until its state
	// changes or its owner asks for something else.
	ShowPairing(ctx context.Context, p messaging.Pairing) error
	// FindPairing returns the code of an instance; a fault of the kind
	// fault.Conflict when there is none.
	FindPairing(ctx context.Context, workspace string, env messaging.Environment, instanceID string) (messaging.Pairing, error)
}

// ClockStore keeps the clocks of test worlds.
type ClockStore interface {
	// SandboxClock returns a workspace's clock; a Real one without offset when
	// none was saved.
	SandboxClock(ctx context.Context, workspace string) (SavedClock, error)
	// SaveSandboxClock stores a workspace's clock in place of what was saved.
	SaveSandboxClock(ctx context.Context, workspace string, saved SavedClock) error
}

// Carried is a message as the network takes it. Carriage.Position is drawn by
// the store.
type Carried struct {
	WorkspaceID string
	Owes        bool // something is still to be reported after Carry
	messaging.Carriage
}

// Key returns what the network knows the message by.
func (c *Carried) Key() CarriageKey {
	return CarriageKey{InstanceID: c.InstanceID, WAMessageID: c.WAMessageID}
}

// Taken is the store's answer for one carried message.
type Taken struct {
	Owed      bool      // something is still owed for it
	CarriedAt time.Time // when it was carried first
}

// CarriageKey is what the simulated network knows a message by.
type CarriageKey struct {
	InstanceID  string
	WAMessageID string
}

// SavedClock is a clock as it survives the process.
type SavedClock struct {
	Mode     Mode
	Offset   time.Duration // added to the machine's time unless frozen
	FrozenAt time.Time     // where a frozen clock stands; zero otherwise
}
