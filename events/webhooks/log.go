package webhooks

import (
	"context"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// MaxReplay is how many deliveries one call of ReplayRange queues.
const MaxReplay = 10_000

const (
	testPatience = 5 * time.Second       // how long Test waits for the first try
	testLook     = 25 * time.Millisecond // how often it looks
)

// Test tells an endpoint, and nobody else, an event of type webhook.test. It
// waits a few seconds for the first try and returns the delivery as it stands
// then. Faults: fault.ErrNotFound, ErrDisabled.
func (s *Endpoints) Test(ctx context.Context, t messaging.Tenancy, id string) (Delivery, error) {
	e, err := s.store.Endpoint(ctx, t, id)
	if err != nil {
		return Delivery{}, err
	}
	if !e.Enabled {
		return Delivery{}, ErrDisabled
	}
	queued, err := s.store.QueueTest(ctx, e, s.worldTime(t))
	if err != nil {
		return Delivery{}, err
	}
	return s.tried(ctx, t, queued), nil
}

// tried looks at a delivery until it has been tried. The process that tries it
// may be another one, so the database is asked.
func (s *Endpoints) tried(ctx context.Context, t messaging.Tenancy, d Delivery) Delivery {
	ctx, cancel := context.WithTimeout(ctx, testPatience)
	defer cancel()
	look := time.NewTicker(testLook)
	defer look.Stop()
	for {
		select {
		case <-look.C:
		case <-ctx.Done():
			return d
		}
		now, err := s.store.Delivery(ctx, t, d.WebhookID, d.ID)
		if err != nil {
			continue // the test is queued all the same
		}
		if d = now; d.State != Pending || d.Attempts > 0 {
			return d
		}
	}
}

// Deliveries returns what an endpoint was told, newest first unless the filter
// turns the order. Fault: fault.ErrNotFound.
func (s *Endpoints) Deliveries(ctx context.Context, t messaging.Tenancy, id string, f DeliveryFilter, page messaging.Page) ([]Delivery, error) {
	if _, err := s.store.Endpoint(ctx, t, id); err != nil {
		return nil, err
	}
	return s.store.Deliveries(ctx, t, id, f, page)
}

// Replay queues the event of a delivery once more, under the same webhook-id.
// Faults: fault.ErrNotFound, ErrNotDelivered while the delivery is pending.
func (s *Endpoints) Replay(ctx context.Context, t messaging.Tenancy, id, deliveryID string) (Delivery, error) {
	d, err := s.store.Delivery(ctx, t, id, deliveryID)
	if err != nil {
		return Delivery{}, err
	}
	if d.State == Pending {
		return Delivery{}, ErrNotDelivered
	}
	return s.store.QueueReplay(ctx, d, s.worldTime(t))
}

// ReplayRange queues what a range asks for, oldest first, at most MaxReplay. A
// zero Until is now. Faults: fault.ErrNotFound, fault.ErrValidation.
func (s *Endpoints) ReplayRange(ctx context.Context, t messaging.Tenancy, id string, r Range) (Replayed, error) {
	e, err := s.store.Endpoint(ctx, t, id)
	if err != nil {
		return Replayed{}, err
	}
	now := s.worldTime(t)
	if r.Until.IsZero() {
		r.Until = now
	}
	var fields fault.Fields
	if r.Since.IsZero() {
		fields.Add("since", "required", "is required")
	} else if r.Until.Before(r.Since) {
		fields.Add("until", "range", "must not lie before since")
	}
	if err := fields.Err(); err != nil {
		return Replayed{}, err
	}
	return s.store.QueueReplays(ctx, e, r, now, MaxReplay)
}
