package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"portaria/internal/fault"
)

// The faults of the door itself.
var (
	ErrInvalidJSON = fault.New(fault.Malformed, "INVALID_JSON",
		"The body is not valid JSON: one object in UTF-8, no name twice, nothing behind it.")
	ErrInstanceRequired = fault.New(fault.Malformed, "INSTANCE_REQUIRED",
		"This key is not locked to exactly one instance: post to /v1/instances/{instance}/messages.")
	ErrMethodNotAllowed = fault.New(fault.MethodNotAllowed, "METHOD_NOT_ALLOWED",
		"This route does not take that method; the Allow header names those it takes.")
	ErrPayloadTooLarge = fault.New(fault.TooLarge, "PAYLOAD_TOO_LARGE",
		"The body is larger than this route takes.")
	ErrHeadersTooLarge = fault.New(fault.HeadersTooLarge, "HEADERS_TOO_LARGE",
		"The request's headers are larger than 16 KiB.")
	ErrUnsupportedMedia = fault.New(fault.UnsupportedMedia, "UNSUPPORTED_MEDIA_TYPE",
		"The body must be JSON: send Content-Type: application/json.")
	ErrUnsupportedMessage = fault.New(fault.Invalid, "UNSUPPORTED_MESSAGE_TYPE",
		"Messages of this type cannot be sent.")
	ErrIdempotencyReused = fault.New(fault.Invalid, "IDEMPOTENCY_KEY_REUSED",
		"This Idempotency-Key was used with another body.")
	ErrIdempotencyInProgress = fault.New(fault.Conflict, "IDEMPOTENCY_IN_PROGRESS",
		"A request with this Idempotency-Key is being answered; try again.")

	errInternal = fault.New(fault.Internal, "INTERNAL",
		"Something went wrong on our side; the request_id finds it in the log.")
	errNoRoute = fault.ErrNotFound.Saying("There is no such route.")
)

// httpStatus is the one place that turns kinds of faults into HTTP.
func httpStatus(kind fault.Kind) int {
	switch kind {
	case fault.Malformed:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case fault.Conflict:
		return http.StatusConflict
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.UnsupportedMedia:
		return http.StatusUnsupportedMediaType
	case fault.Invalid:
		return http.StatusUnprocessableEntity
	case fault.RateLimited:
		return http.StatusTooManyRequests
	case fault.HeadersTooLarge:
		return http.StatusRequestHeaderFieldsTooLarge
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Internal:
		return http.StatusInternalServerError
	default:
		return http.StatusInternalServerError
	}
}

// answerable turns any error into the fault that callers see, and says whether
// err must be logged because the answer hides it.
func answerable(err error) (f *fault.Fault, hidden bool) {
	f = fault.As(err)
	switch {
	case f != nil && f.Kind() == fault.Internal:
		return errInternal, true
	case f != nil && f.Kind() == fault.Unavailable:
		return unavailable(f)
	case f != nil:
		return f, f.Unwrap() != nil
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fault.ErrUnavailable.After(time.Second), true
	default:
		return errInternal, true
	}
}

// unavailable keeps the faults of the machine room (an unreachable database, a
// full disk) from strangers: their sentences are for the operator. Callers are
// told to come back.
func unavailable(f *fault.Fault) (*fault.Fault, bool) {
	hidden := f.Unwrap() != nil
	if _, public := portuguese(f.Code()); !public {
		f, hidden = fault.ErrUnavailable, true
	}
	if f.RetryAfter() <= 0 {
		f = f.After(time.Second)
	}
	return f, hidden
}

// engineFault translates what Fiber and fasthttp refuse by themselves.
func engineFault(err error) error {
	var refusal *fiber.Error
	if !errors.As(err, &refusal) {
		return err
	}
	switch refusal.Code {
	case http.StatusNotFound:
		return errNoRoute
	case http.StatusMethodNotAllowed:
		return ErrMethodNotAllowed
	case http.StatusRequestHeaderFieldsTooLarge:
		return ErrHeadersTooLarge
	case http.StatusRequestEntityTooLarge:
		return ErrPayloadTooLarge
	case http.StatusRequestTimeout:
		return fault.ErrBadRequest.Saying("The request did not arrive in time.")
	default:
		return fault.ErrBadRequest.Saying("The request is not HTTP that this server understands.")
	}
}
