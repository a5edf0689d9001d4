package gateway

import "context"

// paceView is how much of its pace an instance has used.
type paceView struct {
	UsedHour int       `json:"used_hour" description:"Messages sent in the last 60 minutes."`
	UsedDay  int       `json:"used_day" description:"Messages sent in the last 24 hours."`
	NextAt   timestamp `json:"next_at" description:"When the next message may be sent; null: at once."`
	Waiting  int       `json:"waiting" description:"Messages that wait, for whatever reason."`
}

// instancePace shows how much of its pace an instance has used.
func (s *Server) instancePace(ctx context.Context, call *Call, _ nothing) (paceView, error) {
	state, err := s.pacer.Pace(ctx, call.Tenancy, call.InstanceID)
	return paceView{
		UsedHour: state.UsedHour, UsedDay: state.UsedDay, NextAt: timestamp(state.NextAt), Waiting: state.Waiting,
	}, err
}
