package whatsapp

import (
	"context"
	"errors"
	"fmt"

	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/session"
	"go.mau.fi/libsignal/signalerror"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"portaria/messaging"
)

// greet sees to it that there is a session with every recipient of a batch.
// whatsmeow would do the same for one message after the other, but when it gets
// no keys, it sends a message that nobody can read.
func (s *sending) greet(ctx context.Context, batch []messaging.Outgoing) error {
	var strangers []types.JID
	asked := make(map[types.JID][]string) // the addresses of callers
	for i := range batch {
		waID := batch[i].To.WAID
		p, known := s.people.find(waID, s.now())
		if !known || !p.exists || p.ready {
			continue
		}
		if p.lid.IsEmpty() { // an answer without the id that sessions are named by
			s.people.forget(waID)
			continue
		}
		if len(asked[p.lid]) == 0 {
			strangers = append(strangers, p.lid)
		}
		asked[p.lid] = append(asked[p.lid], waID)
	}
	if len(strangers) == 0 {
		return nil
	}
	ready, err := s.link.greet(ctx, strangers)
	if err != nil {
		return err
	}
	for lid := range ready {
		for _, waID := range asked[lid] {
			if p, known := s.people.find(waID, s.now()); known {
				p.ready = true
				s.people.put(waID, p)
			}
		}
	}
	return nil
}

// greet makes sessions with the devices of people, where there are none yet. It
// returns those whose phone can read us.
func (l *link) greet(ctx context.Context, people []types.JID) (map[types.JID]bool, error) {
	devices, err := l.client.GetUserDevices(ctx, append(people, l.lid.ToNonAD()))
	if err != nil {
		return nil, fmt.Errorf("devices: %w", err)
	}
	var addresses []string
	for _, device := range devices {
		addresses = append(addresses, device.SignalAddress().String())
	}
	sessions, err := l.keeper.GetManySessions(ctx, addresses)
	if err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	var missing []types.JID
	ready := make(map[types.JID]bool, len(people))
	for _, device := range devices {
		switch {
		case device == l.lid || device == l.jid:
		case sessions[device.SignalAddress().String()] == nil:
			missing = append(missing, device)
		case device.Device == 0:
			ready[device] = true
		}
	}
	for device, bundle := range internals(l.client).FetchPreKeysNoError(ctx, missing) {
		if bundle == nil {
			continue
		}
		if err := l.establish(ctx, device, bundle); err != nil {
			return nil, fmt.Errorf("session with a device: %w", err)
		}
		if device.Device == 0 {
			ready[device] = true
		}
	}
	return ready, nil
}

// establish makes the session with one device.
func (l *link) establish(ctx context.Context, device types.JID, bundle *prekey.Bundle) error {
	l.keeper.mu.Lock()
	defer l.keeper.mu.Unlock()
	builder := session.NewBuilderFromSignal(l.client.Store, device.SignalAddress(), store.SignalProtobufSerializer)
	err := builder.ProcessBundle(ctx, bundle)
	if !errors.Is(err, signalerror.ErrUntrustedIdentity) {
		return err
	}
	// The person has another phone. WhatsApp's own apps trust it, and so do we.
	if err := internals(l.client).ClearUntrustedIdentity(ctx, device); err != nil {
		return err
	}
	return builder.ProcessBundle(ctx, bundle)
}
