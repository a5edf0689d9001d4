package gateway

import (
	"context"
	"time"

	"portaria/messaging"
	"portaria/sandbox/runs"
)

// SandboxControls does to a test instance what its phone and its network do.
// Faults: sandbox.ErrNotPairing, ErrWrongCode, ErrNotOnline, ErrNotDown,
// ErrNotLinked.
type SandboxControls interface {
	// Scan links a phone. code is what it scans or types; empty: what is shown.
	Scan(ctx context.Context, i messaging.TestInstance, code string) error
	// Drop cuts the connection, for a time or, when that is zero, until Reconnect.
	Drop(ctx context.Context, i messaging.TestInstance, lasts time.Duration) error
	Reconnect(ctx context.Context, i messaging.TestInstance) error
	// Logout removes the device, as on the phone.
	Logout(ctx context.Context, i messaging.TestInstance) error
	// Ban bans the number, for a time or, when that is zero, for good.
	Ban(ctx context.Context, i messaging.TestInstance, lasts time.Duration) error
}

// SandboxContacts are the people who write to test instances. Faults:
// sandbox.ErrNotOnline, fault.ErrConflict.
type SandboxContacts interface {
	Receive(ctx context.Context, i messaging.TestInstance, from messaging.Address, content messaging.Content) (messaging.Message, error)
	ReceiveEdit(ctx context.Context, i messaging.TestInstance, m *messaging.Message, content messaging.Content) error
	ReceiveRevoke(ctx context.Context, i messaging.TestInstance, m *messaging.Message) error
	ReceiveCall(ctx context.Context, i messaging.TestInstance, call messaging.Call) (messaging.Call, error)
}

// SandboxRuns plays scripts.
type SandboxRuns interface {
	// Run plays a script and returns what came of it, passed or not. Fault:
	// runs.ErrInProgress.
	Run(ctx context.Context, s runs.Script) (runs.Run, error)
	// Find returns a run of the tenancy; fault.ErrNotFound.
	Find(ctx context.Context, t messaging.Tenancy, id string) (runs.Run, error)
}

// SandboxWorld is a workspace's test world as a whole.
type SandboxWorld interface {
	// Reset clears it: what happened goes, what was set up stays. Fault:
	// runs.ErrInProgress.
	Reset(ctx context.Context, t messaging.Tenancy) error
	// SeedSource returns what seeded ids are made of besides the seed: something that
	// is the same for a workspace of the same name elsewhere.
	SeedSource(ctx context.Context, workspace string) (string, error)
	// NextSeed counts a request that draws its ids from a seed; the first is 0.
	NextSeed(ctx context.Context, workspace, seed string) (int64, error)
	// InstanceShowing returns the test instance whose QR shows a text;
	// fault.ErrNotFound.
	InstanceShowing(ctx context.Context, qr string) (messaging.Instance, error)
}
