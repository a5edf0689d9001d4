// Package fault is the vocabulary of expected failures: a kind that says what
// sort of failure it is, a stable code that programs rely on, and a sentence
// for people.
//
// Each room declares its own faults as package variables with New. One file in
// gateway maps kinds to HTTP; the dispatcher asks the same kinds whether to try
// again. An error that is no fault is a bug or an outage: it is logged, and its
// text never reaches a caller.
package fault

import (
	"errors"
	"maps"
	"time"
)

// Kind is the sort of a failure. The set is closed.
type Kind uint8

// The kinds. Unavailable and RateLimited are temporary: the same call may
// succeed later. All others are final for the same input.
const (
	Internal Kind = iota
	Malformed
	Invalid
	Unauthenticated
	Forbidden
	NotFound
	MethodNotAllowed
	Conflict
	TooLarge
	HeadersTooLarge
	UnsupportedMedia
	RateLimited
	Unavailable
)

// Temporary reports whether trying again later can help.
func (k Kind) Temporary() bool { return k == RateLimited || k == Unavailable }

// Fault is an expected failure. It is immutable: the With methods return
// copies, so package variables can be shared.
type Fault struct {
	kind       Kind
	code       string
	message    string
	details    map[string]any
	retryAfter time.Duration
	cause      error
}

// New declares a fault. The code is upper snake case and never changes once
// published; the message is a full sentence.
func New(kind Kind, code, message string) *Fault {
	return &Fault{kind: kind, code: code, message: message}
}

// Error implements error with the code and the sentence.
func (f *Fault) Error() string {
	if f.cause != nil {
		return f.code + ": " + f.message + ": " + f.cause.Error()
	}
	return f.code + ": " + f.message
}

// Unwrap returns the cause given to Because, or nil.
func (f *Fault) Unwrap() error { return f.cause }

// Is makes errors.Is match every copy of a declared fault by its code.
func (f *Fault) Is(target error) bool {
	t, ok := target.(*Fault)
	return ok && t.code == f.code
}

// Kind returns the sort of failure.
func (f *Fault) Kind() Kind { return f.kind }

// Code returns the stable code.
func (f *Fault) Code() string { return f.code }

// Message returns the sentence for people.
func (f *Fault) Message() string { return f.message }

// Details returns what programs may want to know more; nil when there is nothing.
func (f *Fault) Details() map[string]any { return f.details }

// RetryAfter returns how long to wait before another try; zero when unknown.
func (f *Fault) RetryAfter() time.Duration { return f.retryAfter }

// Saying returns a copy with another sentence.
func (f *Fault) Saying(message string) *Fault {
	c := *f
	c.message = message
	return &c
}

// With returns a copy with one more detail.
func (f *Fault) With(name string, value any) *Fault {
	c := *f
	c.details = maps.Clone(f.details)
	if c.details == nil {
		c.details = make(map[string]any, 1)
	}
	c.details[name] = value
	return &c
}

// After returns a copy that asks the caller to wait d before another try.
func (f *Fault) After(d time.Duration) *Fault {
	c := *f
	c.retryAfter = d
	return &c
}

// Because returns a copy that wraps cause, which is logged but never answered.
func (f *Fault) Because(cause error) *Fault {
	c := *f
	c.cause = cause
	return &c
}

// As finds the first fault in err's chain; nil when there is none.
func As(err error) *Fault {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f
	}
	return nil
}

// Field is one refused field of an input. Values are never echoed.
type Field struct {
	Field   string `json:"field"`
	Rule    string `json:"rule"`
	Message string `json:"message"`
}

// ErrValidation is the fault of an input that was understood but refused.
// Details carry every refused field under "fields".
var ErrValidation = New(Invalid, "VALIDATION_FAILED", "The request has fields that are not valid.")

// ErrNotFound is the fault of an object that is absent or not visible to the caller.
var ErrNotFound = New(NotFound, "NOT_FOUND", "There is nothing here.")

// ErrConflict is the fault of an act that the object's present state does not allow.
var ErrConflict = New(Conflict, "CONFLICT", "The object's present state does not allow this.")

// ErrBadRequest is the fault of a query, cursor or header that cannot be used.
var ErrBadRequest = New(Malformed, "BAD_REQUEST", "The request cannot be understood.")

// ErrUnavailable is the fault of a part that cannot serve just now.
var ErrUnavailable = New(Unavailable, "UNAVAILABLE", "The service cannot do this just now; try again.")

// ErrShuttingDown is the fault of a request that came while the process stops.
var ErrShuttingDown = New(Unavailable, "SHUTTING_DOWN", "The server is stopping; try again.").After(time.Second)

// Fields collects refused fields and turns them into one fault.
type Fields []Field

// Add notes one refused field.
func (fs *Fields) Add(field, rule, message string) {
	*fs = append(*fs, Field{Field: field, Rule: rule, Message: message})
}

// Err returns ErrValidation with all fields, or nil when there are none.
func (fs Fields) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return ErrValidation.With("fields", []Field(fs))
}
