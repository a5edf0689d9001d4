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
	// ErrDisabled is the fault of a test of a webhook that is told nothing now.
	ErrDisabled = fault.New(fault.Conflict, "WEBHOOK_DISABLED", "The webhook is disabled: enable it first.")
	// ErrInstanceNotAllowed is the fault of a caller who would hear of instances
	// that it may not see.
	ErrInstanceNotAllowed = fault.New(fault.Forbidden, "INSTANCE_NOT_ALLOWED", "This API key is not allowed to use that instance.")
)
