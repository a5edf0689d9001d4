package gateway

import (
	"context"
	"net/http"
	"time"

	"portaria/events/webhooks"
	"portaria/internal/fault"
	"portaria/messaging"
)

// createWebhook makes an endpoint and shows its secret, this once.
func (s *Server) createWebhook(ctx context.Context, call *Call, req createWebhook) (webhookSecretView, error) {
	patch, err := req.patch(ctx, s, call)
	if err != nil {
		return webhookSecretView{}, err
	}
	patch.URL = &req.URL
	if patch.Instances != nil && *patch.Instances == nil {
		patch.Instances = nil
	}
	draft := webhooks.Draft{Patch: patch}
	if call.Idempotent() {
		draft.ClaimFor = claimWithoutSecret(call)
	}
	made, secret, err := s.webhooks.Create(ctx, call.Tenancy, draft)
	return webhookSecretView{webhookView: viewWebhook(made), Secret: nullable(secret.Reveal())}, err
}

// claimWithoutSecret returns what makes the claim of an answer that shows a
// secret.
func claimWithoutSecret(call *Call) func(messaging.Webhook) (*messaging.Claim, error) {
	return func(w messaging.Webhook) (*messaging.Claim, error) {
		return call.ClaimInstead(webhookSecretView{webhookView: viewWebhook(w)})
	}
}

// listWebhooksQuery is the query of GET /v1/webhooks.
type listWebhooksQuery struct{ pageQuery }

// readQuery implements queryReader.
func (l *listWebhooksQuery) readQuery(q *query) { l.page = q.page(isID(messaging.WebhookPrefix)) }

// listWebhooks lists the endpoints that the key may see, newest first.
func (s *Server) listWebhooks(ctx context.Context, call *Call, req listWebhooksQuery) (List[webhookView], error) {
	rows, err := s.webhooks.List(ctx, call.Tenancy, req.page)
	return listOf(rows, req.page, viewWebhook, func(w messaging.Webhook) string { return w.ID }), err
}

// namesWebhook refuses an id that can be no endpoint's: a database might choke
// on it.
func (c *Call) namesWebhook() error {
	if !messaging.ValidID(messaging.WebhookPrefix, c.ID) {
		return fault.ErrNotFound
	}
	return nil
}

// getWebhook shows an endpoint.
func (s *Server) getWebhook(ctx context.Context, call *Call, _ nothing) (webhookView, error) {
	if err := call.namesWebhook(); err != nil {
		return webhookView{}, err
	}
	found, err := s.webhooks.Find(ctx, call.Tenancy, call.ID)
	return viewWebhook(found), err
}

// updateWebhook changes an endpoint.
func (s *Server) updateWebhook(ctx context.Context, call *Call, req updateWebhook) (webhookView, error) {
	if err := call.namesWebhook(); err != nil {
		return webhookView{}, err
	}
	if _, err := s.webhooks.Find(ctx, call.Tenancy, call.ID); err != nil {
		return webhookView{}, err // before the instances are looked up
	}
	patch, err := req.patch(ctx, s, call)
	if err != nil {
		return webhookView{}, err
	}
	patch.URL = req.URL
	changed, err := s.webhooks.Update(ctx, call.Tenancy, call.ID, patch)
	return viewWebhook(changed), err
}

// deleteWebhook forgets an endpoint and shows what it was.
func (s *Server) deleteWebhook(ctx context.Context, call *Call, _ nothing) (webhookView, error) {
	if err := call.namesWebhook(); err != nil {
		return webhookView{}, err
	}
	deleted, err := s.webhooks.Delete(ctx, call.Tenancy, call.ID)
	return viewWebhook(deleted), err
}

// rotateSecret is the body of a request for a new secret.
type rotateSecret struct {
	Grace string `json:"grace,omitzero" pattern:"^[0-9]+(ms|s|m|h|d)$" description:"How long the secret before it signs too: 0s to 7d, 24h by default." example:"24h"`

	grace *time.Duration
}

// validate implements validator.
func (r *rotateSecret) validate(_ *Call, fields *fault.Fields) error {
	if r.Grace == "" {
		return nil
	}
	grace, err := messaging.ParseDuration(r.Grace)
	if err != nil {
		fields.Add("grace", "duration", "must be a whole number with a unit, as in 24h")
	}
	r.grace = &grace
	return nil
}

// rotateWebhookSecret gives an endpoint a new secret and shows it, this once.
func (s *Server) rotateWebhookSecret(ctx context.Context, call *Call, req rotateSecret) (webhookSecretView, error) {
	if err := call.namesWebhook(); err != nil {
		return webhookSecretView{}, err
	}
	rotation := webhooks.Rotation{Grace: req.grace}
	if call.Idempotent() {
		rotation.ClaimFor = claimWithoutSecret(call)
	}
	changed, secret, err := s.webhooks.Rotate(ctx, call.Tenancy, call.ID, rotation)
	return webhookSecretView{webhookView: viewWebhook(changed), Secret: nullable(secret.Reveal())}, err
}

// testWebhook sends an endpoint an event of its own.
func (s *Server) testWebhook(ctx context.Context, call *Call, _ nothing) (deliveryView, error) {
	if err := call.namesWebhook(); err != nil {
		return deliveryView{}, err
	}
	delivery, err := s.deliveries.Test(ctx, call.Tenancy, call.ID)
	if delivery.Attempts == 0 && delivery.State == webhooks.Pending {
		call.Answer(http.StatusAccepted)
	}
	return viewDelivery(delivery), err
}
