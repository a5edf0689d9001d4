package webhooks_test

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"portaria/events/webhooks"
	"portaria/internal/fault"
	"portaria/messaging"
)

// memory is a store of webhooks, queue and nodes without a database.
type memory struct {
	mu        sync.Mutex
	endpoints []webhooks.Endpoint
	epoch     int64
	events    map[messaging.World][]messaging.Event
	queues    map[string]*memoryQueue
	nodes     map[string]time.Time
	taken     map[string]bool // nodes that were deleted by others
	node      string          // whose work new deliveries are
	queued    func([]string)
	ids       messaging.IDSource
	now       func() time.Time
	claims    []*messaging.Claim
	fail      func(op string) error // asked before each call; nil: nothing fails
}

type memoryQueue struct {
	rows  []*memoryRow // in the order of their ids
	begin int          // the rows before are not pending
}

type memoryRow struct{ webhooks.Delivery }

var (
	_ webhooks.Store = (*memory)(nil)
	_ webhooks.Queue = (*memory)(nil)
	_ webhooks.Nodes = (*memory)(nil)
)

func newMemory(now func() time.Time) *memory {
	return &memory{
		events: make(map[messaging.World][]messaging.Event), queues: make(map[string]*memoryQueue), nodes: make(map[string]time.Time),
		taken: make(map[string]bool), now: now, queued: func([]string) {},
	}
}

func (m *memory) begin(op string) error {
	m.mu.Lock()
	if m.fail != nil {
		if err := m.fail(op); err != nil {
			m.mu.Unlock()
			return err
		}
	}
	return nil
}

// setFail has calls fail; nil: no more.
func (m *memory) setFail(fail func(op string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = fail
}

// deliverAs is what a process calls before it writes.
func (m *memory) deliverAs(node string, queued func([]string)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.node, m.queued = node, queued
}

// write records an event and queues its deliveries.
func (m *memory) write(e messaging.Event) messaging.Event {
	m.mu.Lock()
	ids := m.record(&e)
	tell := m.queued
	m.mu.Unlock()
	tell(ids)
	return e
}

func (m *memory) record(e *messaging.Event) (ids []string) {
	world := messaging.World{WorkspaceID: e.WorkspaceID, Environment: e.Environment}
	e.Sequence = int64(len(m.events[world]) + 1)
	e.ID = messaging.NewEventID(e.Sequence, e.Timestamp)
	m.events[world] = append(m.events[world], *e)
	for i := range m.endpoints {
		w := &m.endpoints[i].Webhook
		if w.WorkspaceID == e.WorkspaceID && w.Environment == e.Environment && w.Hears(e) {
			m.queue(w, e, e.Timestamp.Add(webhooks.PolicyOf(w).FirstWait()), false)
			ids = append(ids, w.ID)
		}
	}
	return ids
}

func (m *memory) queue(w *messaging.Webhook, e *messaging.Event, due time.Time, direct bool) webhooks.Delivery {
	row := &memoryRow{webhooks.Delivery{
		World: messaging.World{WorkspaceID: e.WorkspaceID, Environment: e.Environment},
		ID:    m.ids.Next(messaging.DeliveryPrefix, time.Now()), WebhookID: w.ID,
		Sequence: e.Sequence, EventID: e.ID, EventType: e.Type, InstanceID: e.InstanceID, Direct: direct, Node: m.node,
		CreatedAt: due, State: webhooks.Pending, Due: due,
	}}
	q := m.queues[w.ID]
	if q == nil {
		q = new(memoryQueue)
		m.queues[w.ID] = q
	}
	q.rows = append(q.rows, row)
	return row.Delivery
}

func (m *memory) find(t messaging.Tenancy, id string) *webhooks.Endpoint {
	for i := range m.endpoints {
		e := &m.endpoints[i]
		if e.ID != id || e.WorkspaceID != t.Workspace() || e.Environment != t.Environment() {
			continue
		}
		open := t.Allowlist()
		if !open.All() && (e.Instances == nil || slices.ContainsFunc(e.Instances, func(id string) bool { return !open.Opens(id) })) {
			return nil
		}
		return e
	}
	return nil
}

func (m *memory) InsertEndpoint(_ context.Context, e webhooks.Endpoint, claim *messaging.Claim) error {
	if err := m.begin("InsertEndpoint"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.endpoints = append(m.endpoints, e)
	m.claims = append(m.claims, claim)
	m.epoch++
	return nil
}

func (m *memory) Endpoint(_ context.Context, t messaging.Tenancy, id string) (webhooks.Endpoint, error) {
	if err := m.begin("Endpoint"); err != nil {
		return webhooks.Endpoint{}, err
	}
	defer m.mu.Unlock()
	if e := m.find(t, id); e != nil {
		return *e, nil
	}
	return webhooks.Endpoint{}, fault.ErrNotFound
}

func (m *memory) Endpoints(_ context.Context, t messaging.Tenancy, page messaging.Page) (out []webhooks.Endpoint, err error) {
	if err := m.begin("Endpoints"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for _, e := range slices.Backward(m.endpoints) {
		if m.find(t, e.ID) != nil && (page.Cursor == "" || e.ID < page.Cursor) && len(out) < page.Limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func (m *memory) ChangeEndpoint(
	_ context.Context, t messaging.Tenancy, id string, change func(*webhooks.Endpoint) error,
	claimFor func(webhooks.Endpoint) (*messaging.Claim, error),
) (webhooks.Endpoint, error) {
	if err := m.begin("ChangeEndpoint"); err != nil {
		return webhooks.Endpoint{}, err
	}
	defer m.mu.Unlock()
	stored := m.find(t, id)
	if stored == nil {
		return webhooks.Endpoint{}, fault.ErrNotFound
	}
	e := *stored
	if err := change(&e); err != nil {
		return webhooks.Endpoint{}, err
	}
	if claimFor != nil {
		claim, err := claimFor(e)
		if err != nil {
			return webhooks.Endpoint{}, err
		}
		m.claims = append(m.claims, claim)
	}
	*stored = e
	m.epoch++
	return e, nil
}

func (m *memory) DeleteEndpoint(_ context.Context, t messaging.Tenancy, id string) (webhooks.Endpoint, error) {
	if err := m.begin("DeleteEndpoint"); err != nil {
		return webhooks.Endpoint{}, err
	}
	defer m.mu.Unlock()
	e := m.find(t, id)
	if e == nil {
		return webhooks.Endpoint{}, fault.ErrNotFound
	}
	deleted := *e
	m.endpoints = slices.DeleteFunc(m.endpoints, func(e webhooks.Endpoint) bool { return e.ID == id })
	delete(m.queues, id)
	m.epoch++
	return deleted, nil
}

func (m *memory) Delivery(_ context.Context, t messaging.Tenancy, webhookID, id string) (webhooks.Delivery, error) {
	if err := m.begin("Delivery"); err != nil {
		return webhooks.Delivery{}, err
	}
	defer m.mu.Unlock()
	if row := m.row(webhookID, id); row != nil && m.find(t, webhookID) != nil {
		return row.Delivery, nil
	}
	return webhooks.Delivery{}, fault.ErrNotFound
}

func (m *memory) row(webhookID, id string) *memoryRow {
	q := m.queues[webhookID]
	if q == nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(q.rows, id, func(r *memoryRow, id string) int { return cmp.Compare(r.ID, id) })
	if !found {
		return nil
	}
	return q.rows[i]
}

func (m *memory) Deliveries(
	_ context.Context, _ messaging.Tenancy, webhookID string, f webhooks.DeliveryFilter, page messaging.Page,
) (out []webhooks.Delivery, err error) {
	if err := m.begin("Deliveries"); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for _, row := range slices.Backward(m.all(webhookID)) {
		if (f.State == "" || row.State == f.State) && len(out) < page.Limit {
			out = append(out, row)
		}
	}
	return out, nil
}

// list returns all deliveries of a webhook, oldest first.
func (m *memory) list(webhookID string) []webhooks.Delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all(webhookID)
}

func (m *memory) all(webhookID string) (out []webhooks.Delivery) {
	if q := m.queues[webhookID]; q != nil {
		for _, row := range q.rows {
			out = append(out, row.Delivery)
		}
	}
	return out
}

func (m *memory) QueueTest(_ context.Context, e webhooks.Endpoint, at time.Time) (webhooks.Delivery, error) {
	if err := m.begin("QueueTest"); err != nil {
		return webhooks.Delivery{}, err
	}
	event := messaging.Event{Type: messaging.EventWebhookTest, WorkspaceID: e.WorkspaceID, Environment: e.Environment, Timestamp: at, Webhook: &e.Webhook}
	m.record(&event)
	d := m.queue(&e.Webhook, &event, at, true)
	tell := m.queued
	m.mu.Unlock()
	tell([]string{e.ID})
	return d, nil
}

func (m *memory) QueueReplay(_ context.Context, d webhooks.Delivery, at time.Time) (webhooks.Delivery, error) {
	if err := m.begin("QueueReplay"); err != nil {
		return webhooks.Delivery{}, err
	}
	e := m.events[d.World][d.Sequence-1]
	again := m.queue(&messaging.Webhook{ID: d.WebhookID}, &e, at, true)
	tell := m.queued
	m.mu.Unlock()
	tell([]string{d.WebhookID})
	return again, nil
}

func (m *memory) QueueReplays(_ context.Context, e webhooks.Endpoint, r webhooks.Range, at time.Time, limit int) (out webhooks.Replayed, err error) {
	if err := m.begin("QueueReplays"); err != nil {
		return out, err
	}
	for _, event := range m.events[messaging.World{WorkspaceID: e.WorkspaceID, Environment: e.Environment}] {
		if event.Timestamp.Before(r.Since) || event.Timestamp.After(r.Until) || !e.Hears(&event) {
			continue
		}
		if out.More = out.Queued == limit; out.More {
			break
		}
		m.queue(&e.Webhook, &event, at, false)
		out.Queued, out.Last = out.Queued+1, event.Timestamp
	}
	tell := m.queued
	m.mu.Unlock()
	tell([]string{e.ID})
	return out, nil
}
