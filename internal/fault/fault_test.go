package fault_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"portaria/internal/fault"
)

var errLocked = fault.New(fault.Conflict, "LOCKED", "It is locked.")

// Package variables are shared by all goroutines: what one request adds to a
// fault must not show in another's.
func TestCopiesLeaveTheDeclaredFaultAlone(t *testing.T) {
	made := errLocked.With("door", 3).After(time.Second).Saying("Door 3 is locked.").Because(errors.New("rust"))
	again := made.With("floor", 1)
	if errLocked.Details() != nil || errLocked.RetryAfter() != 0 || errLocked.Message() != "It is locked." || errLocked.Unwrap() != nil {
		t.Errorf("the declared fault became %+v", errLocked)
	}
	if len(made.Details()) != 1 || len(again.Details()) != 2 {
		t.Errorf("details = %v and %v", made.Details(), again.Details())
	}
	if got := made.Error(); got != "LOCKED: Door 3 is locked.: rust" {
		t.Errorf("Error() = %q", got)
	}
}

func TestCopiesAreRecognisedThroughWrapping(t *testing.T) {
	cause := errors.New("rust")
	err := fmt.Errorf("open: %w", errLocked.Because(cause))
	if !errors.Is(err, errLocked) || !errors.Is(err, cause) || errors.Is(err, fault.ErrNotFound) {
		t.Errorf("%v is not what it was made of", err)
	}
	if f := fault.As(err); f == nil || f.Code() != "LOCKED" || f.Kind() != fault.Conflict {
		t.Errorf("As = %v", f)
	}
	if fault.As(cause) != nil || fault.As(nil) != nil {
		t.Error("an error that is no fault was taken for one")
	}
}

func TestFieldsBecomeOneFault(t *testing.T) {
	var fields fault.Fields
	if fields.Err() != nil {
		t.Error("no fields, but a fault")
	}
	fields.Add("to", "required", "is required")
	fields.Add("text", "required", "is required")
	f := fault.As(fields.Err())
	if f == nil || f.Code() != "VALIDATION_FAILED" || len(f.Details()["fields"].([]fault.Field)) != 2 {
		t.Errorf("Err() = %v", f)
	}
}

func TestOnlyWhatPassesIsTemporary(t *testing.T) {
	for k := fault.Internal; k <= fault.Unavailable; k++ {
		if want := k == fault.RateLimited || k == fault.Unavailable; k.Temporary() != want {
			t.Errorf("kind %d is temporary: %v", k, k.Temporary())
		}
	}
}
