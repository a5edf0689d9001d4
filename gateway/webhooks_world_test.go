package gateway_test

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"portaria/events/stream"
	"portaria/events/webhooks"
	"portaria/gateway"
	"portaria/instances/proxy"
	"portaria/internal/fault"
	"portaria/internal/guard"
	"portaria/internal/seal"
	"portaria/messaging"
)

// webhookShelf keeps endpoints and deliveries in memory. It tries deliveries of
// tests at once, and well.
type webhookShelf struct {
	world *world

	mu         sync.Mutex
	endpoints  []webhooks.Endpoint
	deliveries []webhooks.Delivery
	ids        messaging.IDSource
	stuck      bool // tests are never tried
}

var _ webhooks.Store = (*webhookShelf)(nil)

func (s *webhookShelf) InsertEndpoint(_ context.Context, e webhooks.Endpoint, claim *messaging.Claim) error {
	if claim != nil {
		s.world.mu.Lock()
		defer s.world.mu.Unlock()
		t := messaging.NewTenancy(e.WorkspaceID, e.Environment, messaging.AllInstances())
		s.world.claims[claimKey(t, claim.Scope)] = *claim
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.endpoints) == webhooks.MaxEndpoints {
		return webhooks.ErrTooMany
	}
	s.endpoints = append(s.endpoints, e)
	return nil
}

// sees reports whether a tenancy opens an endpoint wholly.
func sees(t messaging.Tenancy, e *webhooks.Endpoint) bool {
	open := t.Allowlist()
	inside := open.All() || len(e.Instances) > 0 && !slices.ContainsFunc(e.Instances, func(id string) bool { return !open.Opens(id) })
	return e.WorkspaceID == t.Workspace() && e.Environment == t.Environment() && inside
}

// at finds an endpoint; s.mu is held.
func (s *webhookShelf) at(t messaging.Tenancy, id string) int {
	return slices.IndexFunc(s.endpoints, func(e webhooks.Endpoint) bool { return e.ID == id && sees(t, &e) })
}

func (s *webhookShelf) Endpoint(_ context.Context, t messaging.Tenancy, id string) (webhooks.Endpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.at(t, id); i >= 0 {
		return s.endpoints[i], nil
	}
	return webhooks.Endpoint{}, fault.ErrNotFound
}

func (s *webhookShelf) Endpoints(_ context.Context, t messaging.Tenancy, p messaging.Page) ([]webhooks.Endpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return newest(s.endpoints, p, func(e webhooks.Endpoint) (string, bool) { return e.ID, sees(t, &e) }), nil
}

func (s *webhookShelf) ChangeEndpoint(
	_ context.Context, t messaging.Tenancy, id string, change func(*webhooks.Endpoint) error,
	claimFor func(webhooks.Endpoint) (*messaging.Claim, error),
) (webhooks.Endpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.at(t, id)
	if i < 0 {
		return webhooks.Endpoint{}, fault.ErrNotFound
	}
	if err := change(&s.endpoints[i]); err != nil {
		return webhooks.Endpoint{}, err
	}
	if claimFor != nil {
		claim, err := claimFor(s.endpoints[i])
		if err != nil {
			return webhooks.Endpoint{}, err
		}
		s.world.mu.Lock()
		defer s.world.mu.Unlock()
		s.world.claims[claimKey(t, claim.Scope)] = *claim
	}
	return s.endpoints[i], nil
}

func (s *webhookShelf) DeleteEndpoint(_ context.Context, t messaging.Tenancy, id string) (webhooks.Endpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.at(t, id)
	if i < 0 {
		return webhooks.Endpoint{}, fault.ErrNotFound
	}
	deleted := s.endpoints[i]
	s.endpoints = slices.Delete(s.endpoints, i, i+1)
	return deleted, nil
}

func (s *webhookShelf) Delivery(_ context.Context, t messaging.Tenancy, webhookID, id string) (webhooks.Delivery, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at(t, webhookID) < 0 {
		return webhooks.Delivery{}, fault.ErrNotFound
	}
	for i := range s.deliveries {
		if d := &s.deliveries[i]; d.ID == id && d.WebhookID == webhookID {
			if d.EventType == messaging.EventWebhookTest && d.State == webhooks.Pending && !s.stuck {
				d.State, d.Attempts, d.StatusCode, d.Answer = webhooks.Delivered, 1, 204, "thanks"
				d.Duration, d.AttemptedAt = 12*time.Millisecond, d.CreatedAt.Add(time.Second)
			}
			return *d, nil
		}
	}
	return webhooks.Delivery{}, fault.ErrNotFound
}

func (s *webhookShelf) Deliveries(
	_ context.Context, _ messaging.Tenancy, webhookID string, f webhooks.DeliveryFilter, p messaging.Page,
) ([]webhooks.Delivery, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := s.deliveries
	if f.After != "" {
		rows = slices.Clone(rows)
		slices.Reverse(rows)
		p.Cursor = f.After
	}
	return newest(rows, p, func(d webhooks.Delivery) (string, bool) {
		return d.ID, d.WebhookID == webhookID && (f.State == "" || f.State == d.State)
	}), nil
}

// hold keeps tests from being tried.
func (s *webhookShelf) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck = true
}

// queue adds a delivery of an event.
func (s *webhookShelf) queue(e webhooks.Endpoint, event messaging.Event) webhooks.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := webhooks.Delivery{
		World: messaging.World{WorkspaceID: e.WorkspaceID, Environment: e.Environment},
		ID:    s.ids.Next(messaging.DeliveryPrefix, time.Now()), WebhookID: e.ID, EventID: event.ID, EventType: event.Type, Sequence: event.Sequence,
		InstanceID: event.InstanceID, CreatedAt: event.Timestamp, State: webhooks.Pending, Due: event.Timestamp,
	}
	s.deliveries = append(s.deliveries, d)
	return d
}

func (s *webhookShelf) QueueTest(_ context.Context, e webhooks.Endpoint, at time.Time) (webhooks.Delivery, error) {
	return s.queue(e, s.world.happen(messaging.Event{
		Type: messaging.EventWebhookTest, WorkspaceID: e.WorkspaceID, Environment: e.Environment, Timestamp: at, Webhook: &e.Webhook,
	})), nil
}

func (s *webhookShelf) QueueReplay(_ context.Context, d webhooks.Delivery, at time.Time) (webhooks.Delivery, error) {
	return s.queue(webhooks.Endpoint{Webhook: messaging.Webhook{ID: d.WebhookID, WorkspaceID: d.WorkspaceID, Environment: d.Environment}},
		messaging.Event{ID: d.EventID, Type: d.EventType, Sequence: d.Sequence, InstanceID: d.InstanceID, Timestamp: at}), nil
}

func (s *webhookShelf) QueueReplays(_ context.Context, _ webhooks.Endpoint, r webhooks.Range, _ time.Time, _ int) (webhooks.Replayed, error) {
	done := webhooks.Replayed{Queued: 3, Last: r.Until}
	if r.All {
		done.Queued, done.More = 10_000, true
	}
	return done, nil
}

// happen records an event and wakes who listens.
func (w *world) happen(e messaging.Event) messaging.Event {
	w.mu.Lock()
	w.record(e)
	e = w.events[len(w.events)-1]
	hub := w.hub
	w.mu.Unlock()
	if hub != nil {
		hub.Tell([]messaging.Event{e})
	}
	return e
}

// head returns the last sequence of a world; w.mu is held.
func (w *world) head(workspace string, env messaging.Environment) (last int64) {
	for i := range w.events {
		if e := &w.events[i]; e.WorkspaceID == workspace && e.Environment == env {
			last = e.Sequence
		}
	}
	return last
}

// EventHead implements stream.Store.
func (w *world) EventHead(_ context.Context, of messaging.World) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.head(of.WorkspaceID, of.Environment), nil
}

// EventsAfter implements stream.Store.
func (w *world) EventsAfter(_ context.Context, of messaging.World, after int64, limit int) ([]messaging.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var page []messaging.Event
	for _, e := range w.events {
		if e.WorkspaceID == of.WorkspaceID && e.Environment == of.Environment && e.Sequence > max(after, w.forgotten) && len(page) < limit {
			page = append(page, e)
		}
	}
	return page, nil
}

// furnish gives a door its webhooks and streams.
func furnish(t testing.TB, w *world, o *gateway.Options) *webhookShelf {
	t.Helper()
	shelf := &webhookShelf{world: w}
	loopback := guard.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	box, err := seal.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	endpoints, err := webhooks.New(webhooks.Options{
		Store: shelf, Box: box, Guard: loopback, AllowHTTP: true, Now: func(messaging.Tenancy) time.Time { return time.Now() },
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Webhooks, o.Deliveries = endpoints, endpoints
	w.hub = newHub(t, w)
	o.Streams = w.hub
	return shelf
}

// newHub runs a hub on a world until the test ends.
func newHub(t testing.TB, w *world, change ...func(*stream.Options)) *stream.Hub {
	t.Helper()
	o := stream.Options{
		Store: w, Render: gateway.NewRenderer(new(proxy.Book)).RenderEvent, Logger: slog.New(slog.DiscardHandler),
		Still: 20 * time.Millisecond,
	}
	for _, f := range change {
		f(&o)
	}
	hub, err := stream.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- hub.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			t.Errorf("the hub's Run returned %v", err)
		}
	})
	return hub
}
