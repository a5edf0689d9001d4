package auth

import (
	"time"

	"portaria/internal/fault"
)

// The refusals of the door, as API.md section 4 lists them.
var (
	// ErrUnauthorized answers an absent, malformed, unknown, wrong or revoked
	// token. It is one fault so that nobody learns which of them it was.
	ErrUnauthorized = fault.New(fault.Unauthenticated, "UNAUTHORIZED", "A valid API key is required.")

	// ErrKeyExpired is only answered to who has proven to hold the secret.
	ErrKeyExpired = fault.New(fault.Unauthenticated, "KEY_EXPIRED", "This API key has expired.")

	// ErrBusy says that too many keys wait for their first verification.
	ErrBusy = fault.New(fault.Unavailable, "AUTH_BUSY", "Too many keys are being verified just now; try again.").After(time.Second)

	// ErrInsufficientScope: the key lacks a scope that the route needs.
	ErrInsufficientScope = fault.New(fault.Forbidden, "INSUFFICIENT_SCOPE", "This API key does not have the scope that this needs.")

	// ErrInstanceNotAllowed: the instance is outside the key's list, existing or not.
	ErrInstanceNotAllowed = fault.New(fault.Forbidden, "INSTANCE_NOT_ALLOWED", "This API key is not allowed to use that instance.")

	// ErrInstanceLocked: an act on the whole workspace with a key that is locked to instances.
	ErrInstanceLocked = fault.New(fault.Forbidden, "KEY_IS_INSTANCE_LOCKED", "This API key is locked to instances and cannot act on the workspace.")

	// ErrWrongEnvironment: the route or scope does not exist in the key's environment.
	ErrWrongEnvironment = fault.New(fault.Forbidden, "WRONG_ENVIRONMENT", "This is not available in the environment of this API key.")

	// ErrRateLimited: the key's bucket is empty.
	ErrRateLimited = fault.New(fault.RateLimited, "RATE_LIMITED", "This API key has used up its rate limit; try again later.")
)
