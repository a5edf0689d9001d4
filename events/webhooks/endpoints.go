package webhooks

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"portaria/internal/fault"
	"portaria/internal/guard"
	"portaria/internal/seal"
	"portaria/messaging"
)

// How long a rotated secret stays valid.
const (
	DefaultGrace = 24 * time.Hour
	MaxGrace     = 7 * 24 * time.Hour
)

// Options are what Endpoints are made of. Store, Box, Guard and Now must be set.
type Options struct {
	Store     Store
	Box       *seal.Box
	Guard     *guard.Guard
	AllowHTTP bool                                // http URLs are taken too
	Now       func(t messaging.Tenancy) time.Time // the time of a caller's world
	Changed   func(webhookID string)              // hears of every change; must not block; nil: nobody does
	Logger    *slog.Logger                        // nil: none
}

// Endpoints is what callers do with webhooks. It is safe for concurrent use.
type Endpoints struct {
	store     Store
	box       *seal.Box
	guard     *guard.Guard
	allowHTTP bool
	now       func(messaging.Tenancy) time.Time
	changed   func(string)
	log       *slog.Logger
	ids       messaging.IDSource // by the machine's time: a sandbox clock may stand still
}

// New returns the endpoints of a store. It fails when a part is missing.
func New(o Options) (*Endpoints, error) {
	if o.Store == nil || o.Box == nil || o.Guard == nil || o.Now == nil {
		return nil, errors.New("webhooks: endpoints need a store, a box, a guard and a clock")
	}
	if o.Changed == nil {
		o.Changed = func(string) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Endpoints{store: o.Store, box: o.Box, guard: o.Guard, allowHTTP: o.AllowHTTP, now: o.Now, changed: o.Changed, log: o.Logger}, nil
}

// Create makes an endpoint. Its secret is shown this once. A caller who is
// locked to instances hears of these alone.
// Faults: fault.ErrValidation, ErrURLNotAllowed, ErrInstanceNotAllowed,
// ErrTooMany, and those of the claim.
func (s *Endpoints) Create(ctx context.Context, t messaging.Tenancy, d Draft) (messaging.Webhook, Secret, error) {
	if d.URL == nil {
		d.URL = new(string)
	}
	if err := s.admit(ctx, t, &d.Patch); err != nil {
		return messaging.Webhook{}, Secret{}, err
	}
	now := time.Now()
	e := Endpoint{Webhook: messaging.Webhook{
		ID: s.ids.Draw(ctx, messaging.WebhookPrefix, now), WorkspaceID: t.Workspace(), Environment: t.Environment(),
		Events: []string{allEvents}, Chats: messaging.AllChats, Enabled: true, CreatedAt: s.worldTime(t),
	}}
	if open := t.Allowlist(); !open.All() {
		e.Instances = append([]string{}, open.IDs()...)
	}
	d.apply(&e.Webhook)
	secret := NewSecret()
	e.Secret = secret.sealFor(s.box, &e.Webhook)
	var claim *messaging.Claim
	if d.ClaimFor != nil {
		var err error
		if claim, err = d.ClaimFor(e.Webhook); err != nil {
			return messaging.Webhook{}, Secret{}, err
		}
	}
	if err := s.store.InsertEndpoint(ctx, e, claim); err != nil {
		return messaging.Webhook{}, Secret{}, err
	}
	s.changed(e.ID)
	return e.Webhook, secret, nil
}

// admit judges what a caller sends, before anything is stored.
func (s *Endpoints) admit(ctx context.Context, t messaging.Tenancy, p *Patch) error {
	if err := p.check(t); err != nil {
		return err
	}
	if p.URL == nil {
		return nil
	}
	return s.admitURL(ctx, *p.URL)
}

// Find returns an endpoint. Fault: fault.ErrNotFound.
func (s *Endpoints) Find(ctx context.Context, t messaging.Tenancy, id string) (messaging.Webhook, error) {
	e, err := s.store.Endpoint(ctx, t, id)
	return e.Webhook, err
}

// List returns endpoints, newest first.
func (s *Endpoints) List(ctx context.Context, t messaging.Tenancy, page messaging.Page) ([]messaging.Webhook, error) {
	list, err := s.store.Endpoints(ctx, t, page)
	out := make([]messaging.Webhook, len(list))
	for i := range list {
		out[i] = list[i].Webhook
	}
	return out, err
}

// Update changes an endpoint. Faults: fault.ErrNotFound, fault.ErrValidation,
// ErrURLNotAllowed, ErrInstanceNotAllowed.
func (s *Endpoints) Update(ctx context.Context, t messaging.Tenancy, id string, p Patch) (messaging.Webhook, error) {
	if _, err := s.store.Endpoint(ctx, t, id); err != nil {
		return messaging.Webhook{}, err // before the resolver is asked
	}
	if err := s.admit(ctx, t, &p); err != nil {
		return messaging.Webhook{}, err
	}
	e, err := s.store.ChangeEndpoint(ctx, t, id, func(e *Endpoint) error {
		p.apply(&e.Webhook)
		return nil
	}, nil)
	if err != nil {
		return messaging.Webhook{}, err
	}
	s.changed(id)
	return e.Webhook, nil
}

// Delete forgets an endpoint, with all that it has not been told yet, and
// returns it as it was. Fault: fault.ErrNotFound.
func (s *Endpoints) Delete(ctx context.Context, t messaging.Tenancy, id string) (messaging.Webhook, error) {
	e, err := s.store.DeleteEndpoint(ctx, t, id)
	if err != nil {
		return messaging.Webhook{}, err
	}
	s.changed(id)
	return e.Webhook, nil
}

// Rotation says how a secret is replaced.
type Rotation struct {
	Grace *time.Duration // how long the old secret signs too; nil: DefaultGrace
	// ClaimFor makes the claim that is stored with the change; nil for none.
	ClaimFor func(messaging.Webhook) (*messaging.Claim, error)
}

// Rotate gives an endpoint a new secret, which is shown this once. Until the
// grace has passed, deliveries are signed with the old one too; a second
// rotation within it forgets the oldest.
// Faults: fault.ErrNotFound, fault.ErrValidation, and those of the claim.
func (s *Endpoints) Rotate(ctx context.Context, t messaging.Tenancy, id string, r Rotation) (messaging.Webhook, Secret, error) {
	grace := DefaultGrace
	set(&grace, r.Grace)
	if grace < 0 || grace > MaxGrace {
		return messaging.Webhook{}, Secret{}, fault.Fields{{Field: "grace", Rule: "range", Message: "must lie between 0s and 7d"}}.Err()
	}
	secret, now := NewSecret(), s.worldTime(t)
	var claimFor func(Endpoint) (*messaging.Claim, error)
	if r.ClaimFor != nil {
		claimFor = func(e Endpoint) (*messaging.Claim, error) { return r.ClaimFor(e.Webhook) }
	}
	e, err := s.store.ChangeEndpoint(ctx, t, id, func(e *Endpoint) error {
		e.PreviousSecret, e.SecretRotatedUntil = e.Secret, now.Add(grace)
		if grace == 0 {
			e.PreviousSecret, e.SecretRotatedUntil = "", time.Time{}
		}
		e.Secret = secret.sealFor(s.box, &e.Webhook)
		return nil
	}, claimFor)
	if err != nil {
		return messaging.Webhook{}, Secret{}, err
	}
	s.changed(id)
	return e.Webhook, secret, nil
}

// worldTime is the time of a caller's world in the precision that is stored.
func (s *Endpoints) worldTime(t messaging.Tenancy) time.Time {
	return s.now(t).UTC().Truncate(time.Microsecond)
}
