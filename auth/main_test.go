package auth

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"portaria/internal/fault"
	"portaria/messaging"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a store in memory, with the promises of Store and KeyStore.
type memory struct {
	mu      sync.Mutex
	records map[string]Record
	epoch   int64
	down    error                // when set, every call answers it
	touched map[string]time.Time // what TouchKeys was given

	single, all atomic.Int64 // calls of Key and Keys
	onKey       func()       // called by Key before it answers, outside the lock
	onKeys      func()       // called by Keys after it has read
}

var (
	_ Store    = (*memory)(nil)
	_ KeyStore = (*memory)(nil)
)

func newMemory() *memory {
	return &memory{records: make(map[string]Record), epoch: 1, touched: make(map[string]time.Time)}
}

func (m *memory) set(r Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records[r.ID] = r
	m.epoch++
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = err
}

func (m *memory) Keys(context.Context) ([]Record, error) {
	m.all.Add(1)
	m.mu.Lock()
	records, err := slices.Collect(maps.Values(m.records)), m.down
	m.mu.Unlock()
	if m.onKeys != nil {
		m.onKeys()
	}
	return records, err
}

func (m *memory) Key(_ context.Context, id string) (Record, error) {
	m.single.Add(1)
	if m.onKey != nil {
		m.onKey()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return Record{}, m.down
	}
	r, ok := m.records[id]
	if !ok {
		return Record{}, fault.ErrNotFound
	}
	return r, nil
}

func (m *memory) KeyEpoch(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch, m.down
}

func (m *memory) TouchKeys(_ context.Context, usedAt map[string]time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down == nil {
		maps.Copy(m.touched, usedAt)
	}
	return m.down
}

func (m *memory) touches() map[string]time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.touched)
}

func (m *memory) FindKey(ctx context.Context, workspace, id string) (Record, error) {
	r, err := m.Key(ctx, id)
	if err == nil && r.Workspace != workspace {
		return Record{}, fault.ErrNotFound
	}
	return r, err
}

func (m *memory) ListKeys(_ context.Context, workspace string) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Record
	for _, r := range m.records {
		if r.Workspace == workspace {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b Record) int { return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID)) })
	return list, m.down
}

func (m *memory) InsertKey(_ context.Context, r Record) (Record, error) {
	r.Instances = slices.Clone(r.Instances)
	for i := range r.Instances {
		r.Instances[i].Name = "name-of-" + r.Instances[i].ID
	}
	m.set(r)
	return r, nil
}

func (m *memory) RevokeKey(ctx context.Context, workspace, id string, at time.Time) (Record, error) {
	r, err := m.FindKey(ctx, workspace, id)
	if err != nil {
		return r, err
	}
	if r.RevokedAt.IsZero() {
		r.RevokedAt = at
		m.set(r)
	}
	return r, nil
}

func (m *memory) RotateKey(_ context.Context, rotation Rotation) error {
	m.set(rotation.Old)
	m.set(rotation.Successor)
	return nil
}

// counted is bcrypt with a count, at its lowest cost.
type counted struct{ calls atomic.Int64 }

func (c *counted) compare(hash, token []byte) error {
	c.calls.Add(1)
	return bcrypt.CompareHashAndPassword(hash, token)
}

// house is a directory over a store in memory, with the keys service beside it
// as another process would have it.
type house struct {
	store     *memory
	directory *Directory
	keys      *Keys
	bcrypt    *counted
}

func newHouse(t testing.TB, with ...func(*Options)) *house {
	t.Helper()
	h := &house{store: newMemory(), bcrypt: new(counted)}
	options := Options{Store: h.store, Logger: slog.New(slog.DiscardHandler), compare: h.bcrypt.compare}
	for _, f := range with {
		f(&options)
	}
	var err error
	if h.directory, err = New(options); err != nil {
		t.Fatal(err)
	}
	if h.keys, err = NewKeys(KeysOptions{Store: h.store, BcryptCost: MinBcryptCost}); err != nil {
		t.Fatal(err)
	}
	return h
}

// load makes the directory know what the store holds.
func (h *house) load(t testing.TB) {
	t.Helper()
	if err := h.directory.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// create mints a key of workspace wsp_1, changed as asked.
func (h *house) create(t testing.TB, change ...func(*NewKey)) (Key, Token) {
	t.Helper()
	draft := NewKey{
		Workspace: "wsp_1", Environment: messaging.Test, Name: "script",
		Scopes: []string{"whatsapp:send"}, AllInstances: true,
	}
	for _, f := range change {
		f(&draft)
	}
	key, token, err := h.keys.Create(t.Context(), draft)
	if err != nil {
		t.Fatal(err)
	}
	return key, token
}

// run runs the directory until the returned function is called.
func (h *house) run(t testing.TB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.directory.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// opens fails unless the token is accepted.
func (h *house) opens(t testing.TB, token Token) *Grant {
	t.Helper()
	grant, err := h.directory.Authenticate(t.Context(), token.Reveal())
	if err != nil {
		t.Fatalf("Authenticate(%v): %v", token, err)
	}
	return grant
}

// refuses fails unless the token is refused with exactly that fault.
func (h *house) refuses(t testing.TB, text string, want error) {
	t.Helper()
	grant, err := h.directory.Authenticate(t.Context(), text)
	if err != want || grant != nil { //nolint:errorlint // the very same fault, so that no answer differs in a word
		t.Fatalf("Authenticate = %v, %v; want %v", grant, err, want)
	}
}

// forge returns a well-formed token with another secret for the same key.
func forge(token Token) string {
	text := []byte(token.text[:prefixLen+publicIDLen])
	text = appendRandom(text, secretLen)
	sum := encodeChecksum(checksum(string(text)))
	return string(append(text, sum[:]...))
}

func lockedTo(ids ...string) func(*NewKey) {
	return func(n *NewKey) { n.AllInstances, n.Instances = false, ids }
}

func named(name string, args ...any) func(*NewKey) {
	return func(n *NewKey) { n.Name = fmt.Sprintf(name, args...) }
}
