package webhooks_test

import (
	"cmp"
	"context"
	"errors"
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

type memoryRow struct {
	webhooks.Delivery

	node string
}

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
	row := &memoryRow{node: m.node, Delivery: webhooks.Delivery{
		World: messaging.World{WorkspaceID: e.WorkspaceID, Environment: e.Environment},
		ID:    m.ids.Next(messaging.DeliveryPrefix, time.Now()), WebhookID: w.ID,
		Sequence: e.Sequence, EventID: e.ID, EventType: e.Type, InstanceID: e.InstanceID, Direct: direct,
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
		if row.State == webhooks.Pending && row.node == node && keep(row) {
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

func (m *memory) Attempted(_ context.Context, a webhooks.Attempt) error { return m.attempted("", a) }

// attempted records a try as that of a node; empty: of whose it is.
func (m *memory) attempted(node string, a webhooks.Attempt) error {
	if err := m.begin("Attempted"); err != nil {
		return err
	}
	defer m.mu.Unlock()
	row := m.row(a.WebhookID, a.ID)
	if row == nil || row.State != webhooks.Pending || node != "" && row.node != node {
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

func (m *memory) SetFailing(_ context.Context, e webhooks.Endpoint, since time.Time) error {
	return m.change("SetFailing", e.ID, func(e *webhooks.Endpoint) { e.FailingSince = since })
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
			if _, owned := m.nodes[row.node]; row.State == webhooks.Pending && row.node != node && !owned {
				row.node, found = node, true
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
