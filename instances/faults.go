package instances

import "portaria/internal/fault"

// ErrNotFound is the fault of an instance that is absent or not visible.
var ErrNotFound = fault.New(fault.NotFound, "INSTANCE_NOT_FOUND", "There is no such instance.")

// ErrAlreadyConnected is the fault of asking for a pairing code when a phone is
// linked and connected.
var ErrAlreadyConnected = fault.New(fault.Conflict, "INSTANCE_ALREADY_CONNECTED", "The instance is connected already.")

// ErrNotPairing is the fault of asking for a pairing code when no pairing is
// under way.
var ErrNotPairing = fault.New(fault.Conflict, "INSTANCE_NOT_PAIRING",
	"The instance is not being paired. Ask for a connection first.")

// ErrNotConnected is the fault of an act that needs a connected instance.
var ErrNotConnected = fault.New(fault.Conflict, "INSTANCE_NOT_CONNECTED", "The instance is not connected.")

// ErrNotLinked is the fault of restarting an instance to which no phone is
// linked.
var ErrNotLinked = ErrNotConnected.Saying("No phone is linked to the instance. Ask for a connection first.")
