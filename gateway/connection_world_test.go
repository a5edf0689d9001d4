package gateway_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"portaria/gateway"
	"portaria/instances"
	"portaria/instances/pairlink"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/sandbox"
)

var (
	_ gateway.Connections  = (*world)(nil)
	_ gateway.Numbers      = (*world)(nil)
	_ gateway.Pacer        = (*world)(nil)
	_ gateway.PairingLinks = (*pairlink.Links)(nil)
	_ pairlink.Store       = (*linkStore)(nil)
)

// firstToken is that of the first QR.
const firstToken = "FIRSTFIRSTFIRSTFIRSTFIRST2"

// The world's network pairs at once: an instance without a phone that is asked
// to connect shows a code from then on, and scan links it.

// change alters an instance and tells those who watch it.
func (w *world) change(id string, alter func(*messaging.Instance)) messaging.Instance {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.instances {
		if w.instances[i].ID != id {
			continue
		}
		alter(&w.instances[i])
		for told := range w.watchers {
			select {
			case told <- struct{}{}:
			default:
			}
		}
		return w.instances[i]
	}
	return messaging.Instance{}
}

func (w *world) Connect(ctx context.Context, t messaging.Tenancy, id, pairPhone string) (messaging.Instance, error) {
	i, err := w.Resolve(ctx, t, id)
	if err != nil || i.State == messaging.InstanceConnected {
		return i, err
	}
	return w.change(id, func(i *messaging.Instance) {
		w.connects++
		i.Desired, i.PairPhone, i.State, i.StateReason = messaging.DesiredConnected, pairPhone, messaging.InstancePairing, ""
		if i.Linked() {
			i.State = messaging.InstanceConnected
		}
		w.pairing = messaging.Pairing{InstanceID: id, ExpiresAt: time.Now().Add(time.Minute), QR: sandbox.LinkQR(firstToken)}
		if pairPhone != "" {
			w.pairing.QR, w.pairing.Code = "", "ABCD-1234"
		}
	}), nil
}

func (w *world) Disconnect(ctx context.Context, t messaging.Tenancy, id string) (messaging.Instance, error) {
	return w.end(ctx, t, id, messaging.InstanceDisconnected)
}

func (w *world) Restart(ctx context.Context, t messaging.Tenancy, id string) (messaging.Instance, error) {
	return w.end(ctx, t, id, messaging.InstanceConnecting)
}

func (w *world) Logout(ctx context.Context, t messaging.Tenancy, id string) (messaging.Instance, error) {
	return w.end(ctx, t, id, messaging.InstanceLoggedOut)
}

func (w *world) end(ctx context.Context, t messaging.Tenancy, id string, state messaging.InstanceState) (messaging.Instance, error) {
	if i, err := w.Resolve(ctx, t, id); err != nil {
		return i, err
	}
	return w.change(id, func(i *messaging.Instance) { i.State = state }), nil
}

func (w *world) Pairing(ctx context.Context, t messaging.Tenancy, id string) (messaging.Pairing, error) {
	i, err := w.Resolve(ctx, t, id)
	if err != nil {
		return messaging.Pairing{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case i.State == messaging.InstanceConnected:
		return messaging.Pairing{}, instances.ErrAlreadyConnected
	case i.State != messaging.InstancePairing || w.pairing.InstanceID != id:
		return messaging.Pairing{}, instances.ErrNotPairing
	default:
		return w.pairing, nil
	}
}

func (w *world) Watch(string) (changes <-chan struct{}, stop func()) {
	told := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watchers == nil {
		w.watchers = make(map[chan struct{}]bool)
	}
	w.watchers[told] = true
	return told, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.watchers, told)
	}
}

// watched returns how many watch.
func (w *world) watched() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.watchers)
}

// begun returns how often a pairing or a connection was asked for.
func (w *world) begun() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.connects
}

// scan is the owner's phone.
func (w *world) scan(id string) {
	w.change(id, func(i *messaging.Instance) {
		i.State, i.LinkedID, i.Phone = messaging.InstanceConnected, "device", "5511912345678"
	})
}

// show puts another code up.
func (w *world) show(id, qr string) {
	w.change(id, func(*messaging.Instance) { w.pairing.QR = qr })
}

// timeOut ends the pairing without a phone.
func (w *world) timeOut(id string) {
	w.change(id, func(i *messaging.Instance) {
		i.State, i.StateReason = messaging.InstanceCreated, messaging.ReasonPairingTimeout
	})
}

func (w *world) Check(ctx context.Context, t messaging.Tenancy, id string, numbers []messaging.Address) ([]messaging.NumberCheck, error) {
	i, err := w.Resolve(ctx, t, id)
	if err != nil {
		return nil, err
	}
	if i.State != messaging.InstanceConnected {
		return nil, instances.ErrNotConnected
	}
	found := make([]messaging.NumberCheck, len(numbers))
	for n, number := range numbers {
		found[n] = messaging.NumberCheck{Input: number.Input}
		if !number.IsSandboxNumber() {
			found[n].Exists, found[n].WAID, found[n].LID = true, number.WAID, "123@lid"
		}
	}
	return found, nil
}

func (w *world) Pace(_ context.Context, _ messaging.Tenancy, _ string) (outbox.PaceState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pace, nil
}

// linkStore keeps pairing links in memory.
type linkStore struct {
	world *world

	mu    sync.Mutex
	links map[string]pairlink.Link
}

func newLinkStore(w *world) *linkStore {
	return &linkStore{world: w, links: make(map[string]pairlink.Link)}
}

func (s *linkStore) InsertPairingLink(_ context.Context, l pairlink.Link, claim *messaging.Claim) error {
	if claim != nil {
		s.world.mu.Lock()
		s.world.claims[claimKey(l.Tenancy, claim.Scope)] = *claim
		s.world.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.Tenancy = messaging.NewTenancy(l.Tenancy.Workspace(), l.Tenancy.Environment(), messaging.OnlyInstances(l.InstanceID))
	s.links[l.TokenHash] = l
	return nil
}

func (s *linkStore) PairingLink(_ context.Context, tokenHash string) (pairlink.Link, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.links[tokenHash]; ok {
		return l, nil
	}
	return pairlink.Link{}, fault.ErrNotFound
}

func (s *linkStore) TryPairingPIN(_ context.Context, tokenHash string, most int, right func(pairlink.Link) bool) (bool, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.links[tokenHash]
	if !ok || l.WrongPINs >= most {
		return false, 0, fault.ErrNotFound
	}
	if right(l) {
		return true, l.WrongPINs, nil
	}
	l.WrongPINs++
	s.links[tokenHash] = l
	return false, l.WrongPINs, nil
}

func (s *linkStore) UsePairingLinks(_ context.Context, instanceID string, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for hash, l := range s.links {
		if l.InstanceID == instanceID && l.UsedAt.IsZero() {
			l.UsedAt = at
			s.links[hash] = l
		}
	}
	return nil
}

// unpaired makes an instance that waits for a phone.
func (h *house) unpaired(t *testing.T, name string) messaging.Instance {
	t.Helper()
	tenancy := messaging.NewTenancy(workspace, messaging.Test, messaging.AllInstances())
	i, err := h.Create(t.Context(), tenancy, instances.Draft{Name: name, Unpaired: true})
	if err != nil {
		t.Fatal(err)
	}
	return i
}
