package gateway

import (
	"context"

	"portaria/instances"
	"portaria/internal/fault"
	"portaria/messaging"
)

// createInstance is the body of a new instance.
type createInstance struct {
	Name     string           `json:"name" required:"true" pattern:"^[a-z0-9][a-z0-9_-]{0,63}$" description:"Unique in the key's environment; never changed. Must not begin with ins_." example:"support"`
	Metadata *metadata        `json:"metadata,omitzero"`
	Settings *settings        `json:"settings,omitzero"`
	Sandbox  *instanceSandbox `json:"sandbox,omitzero"`
}

// instanceSandbox is what a test key may ask of a new instance.
type instanceSandbox struct {
	Paired *bool `json:"paired,omitzero" description:"false: begin without a phone, to rehearse pairing."`
}

// validate implements validator.
func (c *createInstance) validate(call *Call, fields *fault.Fields) error {
	instances.CheckName(fields, c.Name) // here too, so that all that is wrong is told at once
	c.Metadata.check(fields)
	c.Settings.check(fields)
	if c.Sandbox != nil && call.Tenancy.Environment() != messaging.Test {
		fields.Add("sandbox", "environment", "is for test keys only")
	}
	return nil
}

// createInstance makes an instance.
func (s *Server) createInstance(ctx context.Context, call *Call, req createInstance) (instanceView, error) {
	draft := instances.Draft{
		Name: req.Name, Metadata: req.Metadata.bytes(), Settings: req.Settings.bytes(),
		Unpaired: req.Sandbox != nil && req.Sandbox.Paired != nil && !*req.Sandbox.Paired,
	}
	if call.Idempotent() {
		draft.ClaimFor = func(i messaging.Instance) (*messaging.Claim, error) { return call.Claim(s.viewInstance(i)) }
	}
	instance, err := s.instances.Create(ctx, call.Tenancy, draft)
	return s.viewInstance(instance), err
}

// listInstances lists the instances that the key opens, newest first.
func (s *Server) listInstances(ctx context.Context, call *Call, req listPage) (List[instanceView], error) {
	rows, err := s.instances.List(ctx, call.Tenancy, req.page)
	return listOf(rows, req.page, s.viewInstance, func(i messaging.Instance) string { return i.ID }), err
}

// getInstance shows an instance.
func (s *Server) getInstance(_ context.Context, call *Call, _ nothing) (instanceView, error) {
	return s.viewInstance(call.Instance), nil
}

// updateInstance is the body of a change.
type updateInstance struct {
	Metadata *metadata `json:"metadata,omitzero"`
	Settings *settings `json:"settings,omitzero"`
}

// validate implements validator.
func (u *updateInstance) validate(call *Call, fields *fault.Fields) error {
	u.Metadata.check(fields)
	u.Settings.checkOver(call.Instance.Settings, fields)
	return nil
}

// updateInstance merges a change into an instance.
func (s *Server) updateInstance(ctx context.Context, call *Call, req updateInstance) (instanceView, error) {
	patch := instances.Patch{Metadata: req.Metadata.bytes(), Settings: req.Settings.bytes()}
	instance, err := s.instances.Update(ctx, call.Tenancy, call.InstanceID, patch)
	return s.viewInstance(instance), err
}

// deleteInstance removes an instance and shows what it was.
func (s *Server) deleteInstance(ctx context.Context, call *Call, _ nothing) (instanceView, error) {
	instance, err := s.instances.Delete(ctx, call.Tenancy, call.InstanceID)
	return s.viewInstance(instance), err
}
