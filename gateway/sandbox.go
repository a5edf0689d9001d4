package gateway

import (
	"context"
	"strconv"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox"
)

// listCarriages is the query of GET /v1/sandbox/messages.
type listCarriages struct{ pageQuery }

// readQuery implements queryReader.
func (l *listCarriages) readQuery(q *query) { l.page = q.page(isPosition) }

// listCarriages lists what the simulated network carried.
func (s *Server) listCarriages(ctx context.Context, call *Call, req listCarriages) (List[carriageView], error) {
	rows, err := s.reader.Carriages(ctx, call.Tenancy, call.InstanceID, req.page)
	return listOf(rows, req.page, viewCarriage, func(c messaging.Carriage) string { return strconv.FormatInt(c.Position, 10) }), err
}

// getClock shows the sandbox clock.
func (s *Server) getClock(ctx context.Context, call *Call, _ nothing) (clockView, error) {
	state, err := s.clocks.Show(ctx, call.Tenancy.Workspace())
	return viewClock(state), err
}

// setClock is the body of PUT /v1/sandbox/clock.
type setClock struct {
	Mode string `json:"mode" required:"true" enum:"real,instant,frozen"`
}

// validate implements validator.
func (c *setClock) validate(_ *Call, fields *fault.Fields) error {
	switch sandbox.Mode(c.Mode) {
	case sandbox.Real, sandbox.Instant, sandbox.Frozen:
	case "":
		fields.Add("mode", "required", "is required")
	default:
		fields.Add("mode", "enum", "must be real, instant or frozen")
	}
	return nil
}

// setClock sets how the sandbox clock runs.
func (s *Server) setClock(ctx context.Context, call *Call, req setClock) (clockView, error) {
	state, err := s.clocks.SetMode(ctx, call.Tenancy.Workspace(), sandbox.Mode(req.Mode))
	return viewClock(state), err
}

// advanceClock is the body of POST /v1/sandbox/clock/advance.
type advanceClock struct {
	Seconds *float64 `json:"seconds" required:"true" nullable:"false" minimum:"0" maximum:"31622400" description:"At most 366 days; fractions are allowed."`
}

// maxAdvanceSeconds is the longest way at once: 366 days.
const maxAdvanceSeconds = 366 * 24 * 60 * 60

// validate implements validator.
func (a *advanceClock) validate(_ *Call, fields *fault.Fields) error {
	switch {
	case a.Seconds == nil:
		fields.Add("seconds", "required", "is required")
	case *a.Seconds < 0 || *a.Seconds > maxAdvanceSeconds:
		fields.Add("seconds", "range", "must lie between 0 and 31622400")
	}
	return nil
}

// advanceClock moves the sandbox clock.
func (s *Server) advanceClock(ctx context.Context, call *Call, req advanceClock) (clockView, error) {
	by := time.Duration(*req.Seconds * float64(time.Second))
	state, err := s.clocks.Advance(ctx, call.Tenancy.Workspace(), by)
	return viewClock(state), err
}
