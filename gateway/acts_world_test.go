package gateway_test

import (
	"cmp"
	"context"
	"testing"
	"time"

	"portaria/gateway"
	"portaria/instances"
	"portaria/internal/fault"
	"portaria/messaging"
)

var _ gateway.MessageActs = (*actsShelf)(nil)

// actsShelf does with the world's messages what is no sending. It takes all of
// them for sent: the rules are not the door's.
type actsShelf struct {
	*world

	edits []messaging.Edit
	typed []messaging.Typing
	read  []string // ids of messages
	fault error    // what every act answers; nil: it is done
}

func newActsShelf(w *world, o *gateway.Options) *actsShelf {
	a := &actsShelf{world: w}
	o.Acts = a
	return a
}

func (a *actsShelf) Edit(ctx context.Context, t messaging.Tenancy, id string, edit messaging.Edit) (messaging.Message, error) {
	return a.amend(ctx, t, id, func(m *messaging.Message) {
		a.edits = append(a.edits, edit)
		m.Content, _ = m.Amended(edit)
		m.EditedAt = time.Now().UTC()
	})
}

func (a *actsShelf) Revoke(ctx context.Context, t messaging.Tenancy, id string) (messaging.Message, error) {
	return a.amend(ctx, t, id, func(m *messaging.Message) { m.RevokedAt = time.Now().UTC() })
}

func (a *actsShelf) amend(ctx context.Context, t messaging.Tenancy, id string, change func(*messaging.Message)) (messaging.Message, error) {
	if m, err := a.Message(ctx, t, id); cmp.Or(err, a.fault) != nil {
		return m, cmp.Or(err, a.fault)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.messages {
		if a.messages[i].ID == id {
			change(&a.messages[i])
			return a.messages[i], nil
		}
	}
	return messaging.Message{}, fault.ErrNotFound
}

func (a *actsShelf) Type(_ context.Context, i messaging.Instance, _ messaging.Address, typing messaging.Typing) error {
	return a.act(i, func() { a.typed = append(a.typed, typing) })
}

func (a *actsShelf) MarkRead(_ context.Context, i messaging.Instance, messages []messaging.Message) error {
	return a.act(i, func() {
		for _, m := range messages {
			a.read = append(a.read, m.ID)
		}
	})
}

func (a *actsShelf) act(i messaging.Instance, do func()) error {
	if i.State != messaging.InstanceConnected {
		return instances.ErrNotConnected
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fault == nil {
		do()
	}
	return a.fault
}

// Inbound implements gatewaytest.Fixture.
func (h *house) Inbound(_ *testing.T, environment messaging.Environment, instanceID string) (messageID string) {
	return h.receive(messaging.Message{
		WorkspaceID: workspace, Environment: environment, InstanceID: instanceID,
		Peer:    messaging.Address{Input: "+5511912345678", WAID: "5511912345678@s.whatsapp.net"},
		Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: "?"}},
	})
}

// receive stores an inbound message and returns its id.
func (w *world) receive(m messaging.Message) string {
	m.ID, m.WAMessageID = messaging.NewID(messaging.MessagePrefix, time.Now()), messaging.NewWAMessageID()
	m.Direction, m.State = messaging.Inbound, messaging.State{Status: messaging.StatusReceived}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.messages = append(w.messages, m)
	return m.ID
}
