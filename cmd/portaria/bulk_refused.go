package main

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
)

// shownFaults is how many refused rows are shown; the JSON has all that the
// server has told.
const shownFaults = 20

// tellRows shows what was wrong with each row, and leaves an error that does not
// say it again.
func tellRows(io streams, err error) error {
	refused, ok := errors.AsType[*refusal](err)
	if !ok {
		return err
	}
	faults := refused.fields()
	if len(faults) < 2 {
		return err // one is told in the sentence itself
	}
	for n, f := range faults {
		if n == shownFaults {
			break
		}
		if f.Field != "file" { // of that the message says the place
			fmt.Fprint(io.err, printable(f.Field), ": ")
		}
		fmt.Fprintln(io.err, printable(f.Message))
	}
	if more := refused.invalid(len(faults)) - shownFaults; more > 0 {
		fmt.Fprintf(io.err, "and %d more\n", more)
	}
	short := *refused
	short.told = true
	return &short
}

// invalid is how many faults there are, of which the server names a part.
func (r *refusal) invalid(named int) int {
	var count int
	if text, err := json.Marshal(r.Details["invalid"]); err == nil && json.Unmarshal(text, &count) == nil {
		return max(count, named)
	}
	return named
}
