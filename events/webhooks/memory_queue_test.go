package webhooks_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"portaria/events/webhooks"
	"portaria/messaging"
)

func (m *memory) AllEndpoints(context.Context) ([]webhooks.Endpoint, error) {
	if err := m.begin("AllEndpoints"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return slices.Clone(m.endpoints), nil
}

func (m *memory) EndpointEpoch(context.Context) (int64, error) {
	if err := m.begin("EndpointEpoch"); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	return m.epoch, nil
}

// pending returns the rows of a queue that are a node's and still to be
// delivered, of which keep says true, at most limit.
func (m *memory) pending(node, webhookID string, limit int, keep func(*memoryRow) bool) (out []webhooks.Delivery) {
	q := m.queues[webhookID]
	if q == nil {
		return nil
	}
	for q.begin < len(q.rows) && q.rows[q.begin].State != webhooks.Pending {
		q.begin++
	}
	for _, row := range q.rows[q.begin:] {
		if row.State == webhooks.Pending && row.Node == node && keep(row) {
			if out = append(out, row.Delivery); len(out) == limit {
				break
			}
		}
	}
	return out
}

func (m *memory) Due(_ context.Context, node, webhookID string, now time.Time, limit int) ([]webhooks.Delivery, error) {
	if err := m.begin("Due"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	out := m.pending(node, webhookID, limit, func(r *memoryRow) bool { return !r.Due.After(now) })
	slices.SortStableFunc(out, func(a, b webhooks.Delivery) int { return a.Due.Compare(b.Due) })
	return out, nil
}

func (m *memory) Waiting(_ context.Context, node, webhookID string, limit int) ([]webhooks.Delivery, error) {
	if err := m.begin("Waiting"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return m.pending(node, webhookID, limit, func(*memoryRow) bool { return true }), nil
}

func (m *memory) NextDue(_ context.Context, node, webhookID string) (next time.Time, err error) {
	if err := m.begin("NextDue"); err != nil {
		return next, err
	}
	defer m.mu.Unlock()
	for _, d := range m.pending(node, webhookID, -1, func(*memoryRow) bool { return true }) {
		if next.IsZero() || d.Due.Before(next) {
			next = d.Due
		}
	}
	return next, nil
}

func (m *memory) Attempted(_ context.Context, a webhooks.Attempt) error {
	if err := m.begin("Attempted"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	row := m.row(a.WebhookID, a.ID)
	if row == nil || row.State != webhooks.Pending || row.Node != a.Node {
		return nil
	}
	if a.Unwanted {
		q := m.queues[a.WebhookID]
		q.begin = 0
		q.rows = slices.DeleteFunc(q.rows, func(r *memoryRow) bool { return r == row })
		return nil
	}
	row.Delivery = a.Delivery
	return nil
}

func (m *memory) EventsAt(_ context.Context, w messaging.World, sequences []int64) (out []messaging.Event, err error) {
	if err := m.begin("EventsAt"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	sequences = slices.Sorted(slices.Values(sequences))
	for _, s := range sequences {
		if e := m.events[w][s-1]; e.ID != "" { // empty: swept away
			out = append(out, e)
		}
	}
	return out, nil
}

func (m *memory) SetFailing(_ context.Context, told webhooks.Endpoint, since time.Time) error {
	return m.change("SetFailing", told.ID, func(e *webhooks.Endpoint) {
		if e.URL == told.URL {
			e.FailingSince = since
		}
	})
}

func (m *memory) Disable(_ context.Context, e webhooks.Endpoint, reason string, at time.Time) error {
	return m.change("Disable", e.ID, func(e *webhooks.Endpoint) {
		if e.Enabled {
			e.Enabled, e.DisabledReason, e.DisabledAt = false, reason, at
		}
	})
}

func (m *memory) change(op, id string, change func(*webhooks.Endpoint)) error {
	if err := m.begin(op); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for i := range m.endpoints {
		if m.endpoints[i].ID == id {
			change(&m.endpoints[i])
			m.epoch++
		}
	}
	return nil
}

func (m *memory) Renew(_ context.Context, node string, until time.Time) (bool, error) {
	if err := m.begin("Renew"); err != nil {
		return false, err
	}
	defer m.mu.Unlock()
	if m.taken[node] {
		delete(m.taken, node)
		return false, nil
	}
	m.nodes[node] = until
	return true, nil
}

func (m *memory) Adopt(_ context.Context, node string, now time.Time, alone bool) (ids []string, err error) {
	if err := m.begin("Adopt"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for other, until := range m.nodes {
		if other != node && (alone || !until.After(now)) {
			delete(m.nodes, other)
			m.taken[other] = true
		}
	}
	for id, q := range m.queues {
		found := false
		for _, row := range q.rows {
			if _, owned := m.nodes[row.Node]; row.State == webhooks.Pending && row.Node != node && !owned {
				row.Node, found = node, true
			}
		}
		if found {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (m *memory) Leave(_ context.Context, node string) error {
	if err := m.begin("Leave"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	delete(m.nodes, node)
	return nil
}

// errDown is the error of a store that is not there.
var errDown = errors.New("the store is down")
