package gateway_test

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"portaria/auth"
	"portaria/events/stream"
	"portaria/gateway"
	"portaria/gateway/gatewaytest"
	"portaria/instances"
	"portaria/instances/pairlink"
	"portaria/instances/proxy"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/sandbox"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp keeps one goroutine for the Date header of the whole process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// Its pool's cleaner notices the end of a server at its next round, within ten seconds.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

const workspace = "wsp_01jd00000000000000000000aa"

// world is everything behind the door, in memory. It keeps the promises of
// services.go that the door relies on.
type world struct {
	mu        sync.Mutex
	instances []messaging.Instance
	messages  []messaging.Message
	events    []messaging.Event
	carriages []messaging.Carriage
	claims    map[string]messaging.Claim
	logs      []messaging.RequestLog
	clock     sandbox.ClockState
	notReady  error
	pairing   messaging.Pairing
	watchers  map[chan struct{}]bool
	connects  int // pairings and connections that were begun
	pace      outbox.PaceState
	hub       *stream.Hub // hears of events that happen; nil: nobody does
	forgotten int64       // events up to this sequence are not kept any more

	resolved  int                                             // calls of Resolve
	kept      int                                             // calls of Keep
	onAccept  func()                                          // called by Accept before it stores
	onResolve func()                                          // called by Resolve
	await     func(context.Context) (messaging.Status, error) // what Await answers
}

var (
	_ gateway.Sender           = (*world)(nil)
	_ gateway.Instances        = (*world)(nil)
	_ gateway.Reader           = (*world)(nil)
	_ gateway.Awaiter          = (*world)(nil)
	_ gateway.Clocks           = (*world)(nil)
	_ gateway.IdempotencyStore = (*world)(nil)
	_ gateway.RequestLogger    = (*world)(nil)
	_ gateway.Readiness        = (*world)(nil)
)

// errRace is what a store answers to a claim that another node wrote first.
var errRace = fault.New(fault.Conflict, "IDEMPOTENCY_IN_PROGRESS", "Another request was first.")

func (w *world) Accept(ctx context.Context, d outbox.Draft) (messaging.Message, error) {
	to, err := outbox.ParseRecipient(d.To)
	if err != nil {
		return messaging.Message{}, err
	}
	now := time.Now().UTC()
	m := messaging.Message{
		ID: messaging.DrawID(ctx, messaging.MessagePrefix, now), WorkspaceID: d.Tenancy.Workspace(), Environment: d.Tenancy.Environment(),
		InstanceID: d.Instance.ID, Direction: messaging.Outbound, Peer: to, Content: d.Content, Metadata: d.Metadata,
		Priority: d.Priority, WAMessageID: messaging.DrawWAMessageID(ctx), KeyID: d.KeyID, Lineage: d.Lineage, Sandbox: d.Sandbox,
		CreatedAt: now, SendAt: d.SendAt, ExpiresAt: now.Add(d.ExpiresIn), State: messaging.State{Status: messaging.StatusQueued},
	}
	var claim *messaging.Claim
	if d.ClaimFor != nil {
		if claim, err = d.ClaimFor(m); err != nil {
			return m, err
		}
	}
	if w.onAccept != nil {
		w.onAccept()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if claim != nil {
		if _, taken := w.claims[claimKey(d.Tenancy, claim.Scope)]; taken {
			return m, errRace
		}
		w.claims[claimKey(d.Tenancy, claim.Scope)] = *claim
	}
	w.messages = append(w.messages, m)
	w.record(messaging.Event{
		Type: "message.queued", WorkspaceID: m.WorkspaceID, Environment: m.Environment, InstanceID: m.InstanceID,
		MessageID: m.ID, State: m.State, Message: &m,
	})
	return m, nil
}

func claimKey(t messaging.Tenancy, scope string) string {
	return t.Workspace() + string(t.Environment()) + scope
}

// record appends an event; the caller holds the lock.
func (w *world) record(e messaging.Event) {
	e.Sequence, e.Timestamp = w.head(e.WorkspaceID, e.Environment)+1, time.Now().UTC()
	e.ID = messaging.NewEventID(e.Sequence, e.Timestamp)
	w.events = append(w.events, e)
}

func (w *world) Cancel(ctx context.Context, t messaging.Tenancy, id string) (messaging.Message, error) {
	m, err := w.Message(ctx, t, id)
	if err != nil {
		return m, err
	}
	if !m.Status.Waiting() {
		return m, fault.ErrConflict
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.messages {
		if w.messages[i].ID == id {
			w.messages[i].Apply(messaging.StatusChange{Status: messaging.StatusCanceled, At: time.Now()})
			m = w.messages[i]
		}
	}
	return m, nil
}

func (w *world) Resolve(_ context.Context, t messaging.Tenancy, ref string) (messaging.Instance, error) {
	if w.onResolve != nil {
		w.onResolve()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resolved++
	for _, i := range w.instances {
		if (i.ID == ref || i.Name == ref) && visible(t, i.WorkspaceID, i.Environment, i.ID) {
			return i, nil
		}
	}
	return messaging.Instance{}, instances.ErrNotFound
}

func visible(t messaging.Tenancy, workspace string, env messaging.Environment, instance string) bool {
	return workspace == t.Workspace() && env == t.Environment() && t.Allowlist().Opens(instance)
}

func (w *world) Create(_ context.Context, t messaging.Tenancy, d instances.Draft) (messaging.Instance, error) {
	now := time.Now().UTC()
	i := messaging.Instance{
		ID: messaging.NewID(messaging.InstancePrefix, now), WorkspaceID: t.Workspace(), Environment: t.Environment(), Name: d.Name,
		Driver: messaging.DriverSandbox, Desired: messaging.DesiredConnected, State: messaging.InstanceConnected,
		StateSince: now, Phone: "15555550001", Metadata: d.Metadata, Settings: d.Settings, CreatedAt: now,
	}
	if d.Unpaired {
		i.State, i.Phone = messaging.InstanceCreated, ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, other := range w.instances {
		if other.Name == d.Name && other.WorkspaceID == i.WorkspaceID && other.Environment == i.Environment {
			return i, fault.New(fault.Conflict, "NAME_TAKEN", "This name is taken.")
		}
	}
	if d.ClaimFor != nil {
		claim, err := d.ClaimFor(i)
		if err != nil {
			return i, err
		}
		w.claims[claimKey(t, claim.Scope)] = *claim
	}
	w.instances = append(w.instances, i)
	w.record(messaging.Event{
		Type: messaging.EventInstanceCreated, WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, Instance: &i,
	})
	return i, nil
}

func (w *world) Update(ctx context.Context, t messaging.Tenancy, id string, p instances.Patch) (messaging.Instance, error) {
	i, err := w.Resolve(ctx, t, id)
	if p.Metadata != nil {
		i.Metadata = p.Metadata
	}
	if p.Settings != nil {
		i.Settings = p.Settings
	}
	return i, err
}

func (w *world) Delete(ctx context.Context, t messaging.Tenancy, id string) (messaging.Instance, error) {
	return w.Resolve(ctx, t, id)
}

func (w *world) List(_ context.Context, t messaging.Tenancy, p messaging.Page) ([]messaging.Instance, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return newest(w.instances, p, func(i messaging.Instance) (string, bool) {
		return i.ID, visible(t, i.WorkspaceID, i.Environment, i.ID)
	}), nil
}

// newest returns a page of what is visible, newest first, and one row more.
func newest[T any](rows []T, p messaging.Page, see func(T) (id string, ok bool)) []T {
	var page []T
	begun := p.Cursor == ""
	for _, row := range slices.Backward(rows) {
		id, ok := see(row)
		if ok && begun && len(page) <= p.Limit {
			page = append(page, row)
		}
		begun = begun || id == p.Cursor
	}
	return page
}

func (w *world) Message(_ context.Context, t messaging.Tenancy, id string) (messaging.Message, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.messages {
		if m.ID == id && visible(t, m.WorkspaceID, m.Environment, m.InstanceID) {
			return m, nil
		}
	}
	return messaging.Message{}, fault.ErrNotFound
}

func (w *world) MessageByWAID(_ context.Context, t messaging.Tenancy, instanceID, waMessageID string) (messaging.Message, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.messages {
		if m.WAMessageID == waMessageID && m.InstanceID == instanceID && visible(t, m.WorkspaceID, m.Environment, m.InstanceID) {
			return m, nil
		}
	}
	return messaging.Message{}, fault.ErrNotFound
}

func (w *world) Messages(_ context.Context, t messaging.Tenancy, f messaging.MessageFilter, p messaging.Page) ([]messaging.Message, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return newest(w.messages, p, func(m messaging.Message) (string, bool) {
		return m.ID, visible(t, m.WorkspaceID, m.Environment, m.InstanceID) &&
			(f.InstanceID == "" || f.InstanceID == m.InstanceID) && (f.Lineage == "" || f.Lineage == m.Lineage) &&
			(f.To == "" || f.To == m.Peer.WAID) && (f.Status == "" || f.Status == m.Status)
	}), nil
}

func (w *world) Events(_ context.Context, t messaging.Tenancy, f messaging.EventFilter, p messaging.Page) ([]messaging.Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rows := w.events
	if f.After != "" {
		sequence, _ := messaging.EventSequence(f.After)
		rows = slices.DeleteFunc(slices.Clone(rows), func(e messaging.Event) bool { return e.Sequence <= sequence })
		slices.Reverse(rows)
	}
	return newest(rows, p, func(e messaging.Event) (string, bool) {
		return e.ID, visible(t, e.WorkspaceID, e.Environment, e.InstanceID) &&
			(f.InstanceID == "" || f.InstanceID == e.InstanceID) && (f.MessageID == "" || f.MessageID == e.MessageID) &&
			(f.Type == "" || f.Type == e.Type)
	}), nil
}

func (w *world) RequestLogs(_ context.Context, t messaging.Tenancy, f messaging.LogFilter, p messaging.Page) ([]messaging.RequestLog, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return newest(w.logs, p, func(l messaging.RequestLog) (string, bool) {
		return "", l.WorkspaceID == t.Workspace() && l.Environment == t.Environment() && (f.Lineage == "" || f.Lineage == l.Lineage)
	}), nil
}

func (w *world) Carriages(_ context.Context, t messaging.Tenancy, instance string, p messaging.Page) ([]messaging.Carriage, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return newest(w.carriages, p, func(c messaging.Carriage) (string, bool) {
		return "", t.Allowlist().Opens(c.InstanceID) && (instance == "" || instance == c.InstanceID)
	}), nil
}

func (w *world) Await(ctx context.Context, t messaging.Tenancy, id string, _ messaging.Status) (messaging.Message, error) {
	m, err := w.Message(ctx, t, id)
	if err == nil && w.await != nil {
		m.Status, err = w.await(ctx)
	}
	return m, err
}

func (w *world) Show(context.Context, string) (sandbox.ClockState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock, nil
}

func (w *world) SetMode(_ context.Context, _ string, mode sandbox.Mode) (sandbox.ClockState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock.Mode = mode
	return w.clock, nil
}

func (w *world) Advance(_ context.Context, _ string, by time.Duration) (sandbox.ClockState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock.Now = w.clock.Now.Add(by)
	return w.clock, nil
}

func (w *world) Claimed(_ context.Context, t messaging.Tenancy, scope string) (messaging.Claim, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	claim, ok := w.claims[claimKey(t, scope)]
	return claim, ok, nil
}

func (w *world) Keep(_ context.Context, t messaging.Tenancy, claim messaging.Claim) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept++
	w.claims[claimKey(t, claim.Scope)] = claim
	return nil
}

func (w *world) Log(row messaging.RequestLog) {
	w.mu.Lock()
	defer w.mu.Unlock()
	row.ID = int64(len(w.logs) + 1)
	w.logs = append(w.logs, row)
}

func (w *world) Ready(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.notReady
}

// machineClock is the world's time in these tests.
type machineClock struct{}

func (machineClock) Now() time.Time { return time.Now().UTC() }

func (machineClock) At(time.Time, func()) (forget func()) { return func() {} }

func (machineClock) Deadline(time.Time, func()) (forget func()) { return func() {} }

// house is a running door with the world behind it.
type house struct {
	*world
	*gatewaytest.Client

	server   *gateway.Server
	keys     *auth.Keys
	addr     string
	logged   *lockedBuffer
	shelf    *shelf
	hooks    *webhookShelf
	bulks    *bulkShelf
	acts     *actsShelf
	sandbox  *testWorld
	spoolDir string
	ring     *keyStore
	known    *auth.Directory
	stop     func() error // ends Serve and returns what it returned
}

// open starts a door on a free loopback port.
func open(t *testing.T, change ...func(*gateway.Options)) *house {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return openOn(t, listener, change...)
}

// openOn serves on a listener.
func openOn(t *testing.T, listener net.Listener, change ...func(*gateway.Options)) *house {
	t.Helper()
	w := &world{claims: make(map[string]messaging.Claim), clock: sandbox.ClockState{Mode: sandbox.Real, Now: time.Now()}}
	store := &keyStore{records: make(map[string]auth.Record), world: w}
	directory, err := auth.New(auth.Options{Store: store, Concurrency: 2})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := auth.NewKeys(auth.KeysOptions{Store: store, Directory: directory, BcryptCost: auth.MinBcryptCost})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{world: w, keys: keys, ring: store, known: directory, logged: new(lockedBuffer)}
	options := gateway.Options{
		Auth: directory, Sender: w, Instances: w, Reader: w, Awaiter: w, Clocks: w, Idempotency: w, Logs: w, Ready: w,
		Media: h.library(t), Connections: w, Numbers: w, Proxies: new(proxy.Book), Pacer: w, Links: pairlink.New(newLinkStore(w), nil),
		Logger:  slog.New(slog.NewTextHandler(h.logged, nil)),
		ClockOf: func(messaging.Tenancy) messaging.Clock { return machineClock{} },
		Version: "test",
	}
	h.hooks, h.bulks = furnish(t, w, &options), newBulkShelf(w, &options)
	h.acts = newActsShelf(w, &options)
	h.sandbox = newTestWorld(w, &options)
	h.spoolDir = t.TempDir()
	options.SpoolDir = h.spoolDir
	for _, f := range change {
		f(&options)
	}
	if h.server, err = gateway.New(options); err != nil {
		t.Fatal(err)
	}
	h.addr = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(ctx, listener) }()
	h.stop = sync.OnceValue(func() error { cancel(); return <-served })
	t.Cleanup(func() {
		if err := h.stop(); err != nil {
			t.Errorf("Serve returned %v", err)
		}
	})
	h.Client = gatewaytest.NewClient(t, h.URL())
	return h
}

// URL implements gatewaytest.Fixture.
func (h *house) URL() string { return "http://" + h.addr }

// Rows implements gatewaytest.Fixture.
func (h *house) Rows() []gateway.Row { return h.server.Rows() }

// Mint implements gatewaytest.Fixture.
func (h *house) Mint(t *testing.T, draft auth.NewKey) (id, token string) {
	t.Helper()
	draft.Workspace, draft.Name = workspace, "test"
	key, secret, err := h.keys.Create(t.Context(), draft)
	if err != nil {
		t.Fatal(err)
	}
	return key.ID, secret.Reveal()
}

// Revoke implements gatewaytest.Fixture.
func (h *house) Revoke(t *testing.T, id string) {
	t.Helper()
	if _, err := h.keys.Revoke(t.Context(), workspace, id); err != nil {
		t.Fatal(err)
	}
}

// Foreign implements gatewaytest.Fixture.
func (h *house) Foreign(_ *testing.T, env messaging.Environment) (instanceID, messageID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	i := messaging.Instance{ID: messaging.NewID(messaging.InstancePrefix, now), WorkspaceID: "wsp_other", Environment: env, Name: "theirs"}
	m := messaging.Message{ID: messaging.NewID(messaging.MessagePrefix, now), WorkspaceID: "wsp_other", Environment: env, InstanceID: i.ID}
	h.instances, h.messages = append(h.instances, i), append(h.messages, m)
	return i.ID, m.ID
}

// instance makes an instance behind the door's back.
func (h *house) instance(t *testing.T, name string) messaging.Instance {
	t.Helper()
	tenancy := messaging.NewTenancy(workspace, messaging.Test, messaging.AllInstances())
	i, err := h.Create(t.Context(), tenancy, instances.Draft{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// key mints a test key that opens every instance.
func (h *house) key(t *testing.T, scopes ...string) string {
	t.Helper()
	_, token := h.Mint(t, auth.NewKey{
		Environment: messaging.Test, Scopes: scopes, AllInstances: true, RatePerMinute: 6_000_000, RateBurst: 1_000_000,
	})
	return token
}

// locked mints a test key that opens the given instances.
func (h *house) locked(t *testing.T, scopes []string, ids ...string) string {
	t.Helper()
	_, token := h.Mint(t, auth.NewKey{Environment: messaging.Test, Scopes: scopes, Instances: ids})
	return token
}

func (h *house) accepted() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.messages)
}

// lockedBuffer collects the log.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// keyStore keeps keys in memory.
type keyStore struct {
	mu      sync.Mutex
	records map[string]auth.Record
	epoch   int64
	world   *world // knows the names of instances
}

func (s *keyStore) Keys(context.Context) ([]auth.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.records)), nil
}

func (s *keyStore) Key(_ context.Context, id string) (auth.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.records[id]; ok {
		return r, nil
	}
	return auth.Record{}, fault.ErrNotFound
}

func (s *keyStore) KeyEpoch(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch, nil
}

// revokeElsewhere ends a key as another process does.
func (s *keyStore) revokeElsewhere(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[id]
	r.RevokedAt = time.Now()
	s.records[id] = r
	s.epoch++
}

func (s *keyStore) TouchKeys(context.Context, map[string]time.Time) error { return nil }

func (s *keyStore) FindKey(ctx context.Context, _, id string) (auth.Record, error) {
	return s.Key(ctx, id)
}

func (s *keyStore) ListKeys(context.Context, string) ([]auth.Record, error) { return nil, nil }

func (s *keyStore) InsertKey(_ context.Context, r auth.Record) (auth.Record, error) {
	s.world.mu.Lock()
	for i := range r.Instances {
		for _, instance := range s.world.instances {
			if instance.ID == r.Instances[i].ID {
				r.Instances[i].Name = instance.Name
			}
		}
	}
	s.world.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[r.ID] = r
	return r, nil
}

func (s *keyStore) RevokeKey(_ context.Context, _, id string, at time.Time) (auth.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[id]
	r.RevokedAt = at
	s.records[id] = r
	return r, nil
}

func (s *keyStore) RotateKey(_ context.Context, rotation auth.Rotation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[rotation.Old.ID], s.records[rotation.Successor.ID] = rotation.Old, rotation.Successor
	return nil
}

// nobody knows no key.
type nobody struct{}

func (nobody) Authenticate(context.Context, string) (*auth.Grant, error) {
	return nil, auth.ErrUnauthorized
}
