package webhooks

import "portaria/internal/fault"

// MaxEndpoints is how many endpoints a world may have: each event is matched
// with all of them when it is written.
const MaxEndpoints = 100

// Faults of this room.
var (
	ErrTooMany = fault.New(fault.Conflict, "TOO_MANY_WEBHOOKS", "The environment has as many webhooks as it may have: delete one first.")
	// ErrURLNotAllowed is the fault of a URL that is no endpoint: another scheme
	// than https, or a host that is not public.
	ErrURLNotAllowed = fault.New(fault.Invalid, "URL_NOT_ALLOWED",
		"This URL may not be used: it needs https and a public address, unless the operator allows more.")
	ErrNotDelivered = fault.New(fault.Conflict, "CONFLICT", "This delivery is still under way: there is nothing to repeat.")
)
