package runs

import (
	"context"
	"errors"

	"portaria/internal/fault"
)

// happenings tells of events.
func (p *player) happenings(events []heard) []Happening {
	if len(events) == 0 {
		return nil
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
	return out
}

// problemOf puts an error into a report. What is no fault is not shown.
func problemOf(err error) *Problem {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &Problem{Code: "TIMEOUT", Message: "The run took too long."}
	}
	if f := fault.As(err); f != nil {
		return &Problem{Code: f.Code(), Message: f.Message()}
	}
	return &Problem{Code: "INTERNAL", Message: "Something went wrong in the server; its log says what."}
}
