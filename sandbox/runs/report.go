package runs

import (
	"context"
	"errors"

	"portaria/internal/fault"
)

// happenings tells of the first events of some, and how many more there are.
func (p *player) happenings(events []heard) (told []Happening, more int) {
	if len(events) == 0 {
		return nil, 0
	}
	if len(events) > MaxEvents {
		events, more = events[:MaxEvents], len(events)-MaxEvents
	}
	out := make([]Happening, len(events))
	for i := range events {
		e := &events[i]
		out[i] = Happening{ID: e.ID, Type: e.Type, At: e.Timestamp.Sub(p.run.Began), MessageID: e.MessageID}
		switch {
		case e.State.Error != nil:
			out[i].Says = e.State.Error.Code
		case e.Instance != nil:
			out[i].Says = e.Instance.StateReason
		}
	}
	return out, more
}

// problemOf puts an error into a report. What is no fault is not shown.
func problemOf(err error) *Problem {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &Problem{Code: "TIMEOUT", Message: "The request's time was up: a run may take a minute of real time."}
	}
	if f := fault.As(err); f != nil {
		return &Problem{Code: f.Code(), Message: f.Message() + fieldsOf(f)}
	}
	return &Problem{Code: "INTERNAL", Message: "Something went wrong in the server; its log says what."}
}

// fieldsOf says what is wrong with the fields of a request, if that is the fault.
func fieldsOf(f *fault.Fault) (said string) {
	fields, _ := f.Details()["fields"].([]fault.Field)
	for _, one := range fields {
		said += " " + one.Field + ": " + one.Message + "."
	}
	return said
}
