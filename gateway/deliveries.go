package gateway

import (
	"context"
	"time"

	"portaria/events/webhooks"
	"portaria/internal/fault"
	"portaria/messaging"
)

// listDeliveries is the query of an endpoint's deliveries.
type listDeliveries struct {
	pageQuery

	State string `query:"state" enum:"pending,delivered,failed"`
	After string `query:"after" description:"A delivery's id: turns the order, oldest first, beginning behind it."`

	filter webhooks.DeliveryFilter
}

// readQuery implements queryReader.
func (l *listDeliveries) readQuery(q *query) {
	l.page = q.page(isID(messaging.DeliveryPrefix))
	l.filter.State = webhooks.DeliveryState(q.enum("state",
		string(webhooks.Pending), string(webhooks.Delivered), string(webhooks.Failed)))
	l.filter.After = q.id("after", messaging.DeliveryPrefix)
	if l.filter.After != "" && l.page.Cursor != "" {
		// In that order a page begins behind its cursor like behind after.
		l.filter.After, l.page.Cursor = l.page.Cursor, ""
	}
}

// listDeliveries lists what an endpoint was told.
func (s *Server) listDeliveries(ctx context.Context, call *Call, req listDeliveries) (List[deliveryView], error) {
	if err := call.namesWebhook(); err != nil {
		return List[deliveryView]{}, err
	}
	rows, err := s.deliveries.Deliveries(ctx, call.Tenancy, call.ID, req.filter, req.page)
	return listOf(rows, req.page, viewDelivery, func(d webhooks.Delivery) string { return d.ID }), err
}

// replayDelivery queues the event of a delivery once more.
func (s *Server) replayDelivery(ctx context.Context, call *Call, _ nothing) (deliveryView, error) {
	if err := call.namesWebhook(); err != nil {
		return deliveryView{}, err
	}
	if !messaging.ValidID(messaging.DeliveryPrefix, call.DeliveryID) {
		return deliveryView{}, fault.ErrNotFound
	}
	queued, err := s.deliveries.Replay(ctx, call.Tenancy, call.ID, call.DeliveryID)
	return viewDelivery(queued), err
}

// replayWebhook is the body of a request for what an endpoint was not told.
type replayWebhook struct {
	Since   string `json:"since" required:"true" format:"date-time"`
	Until   string `json:"until,omitzero" format:"date-time" description:"Now by default."`
	Include string `json:"include,omitzero" enum:"failed,all" default:"failed" description:"failed: deliveries that have failed, by when they were made. all: every event that the webhook hears of, by when it happened."`

	span webhooks.Range
}

// validate implements validator.
func (r *replayWebhook) validate(_ *Call, fields *fault.Fields) error {
	if r.Since == "" {
		fields.Add("since", "required", "is required")
	}
	for _, at := range []struct {
		name, text string
		time       *time.Time
	}{{"since", r.Since, &r.span.Since}, {"until", r.Until, &r.span.Until}} {
		if at.text == "" {
			continue
		}
		parsed, err := time.Parse(time.RFC3339, at.text)
		if err != nil {
			fields.Add(at.name, "time", "must be an RFC 3339 time with a zone, as 2026-01-31T12:00:00Z")
		}
		*at.time = parsed.UTC()
	}
	switch r.Include {
	case "all":
		r.span.All = true
	case "", "failed":
	default:
		fields.Add("include", "enum", "must be failed or all")
	}
	return nil
}

// replayWebhook queues the deliveries of a time once more.
func (s *Server) replayWebhook(ctx context.Context, call *Call, req replayWebhook) (replayedView, error) {
	if err := call.namesWebhook(); err != nil {
		return replayedView{}, err
	}
	done, err := s.deliveries.ReplayRange(ctx, call.Tenancy, call.ID, req.span)
	return replayedView{Queued: done.Queued, More: done.More, Last: timestamp(done.Last)}, err
}
