package instances

import "portaria/internal/fault"

// ErrNotFound is the fault of an instance that is absent or not visible.
var ErrNotFound = fault.New(fault.NotFound, "INSTANCE_NOT_FOUND", "There is no such instance.")
