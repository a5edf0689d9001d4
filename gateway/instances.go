package gateway

import (
	"context"
	"strings"

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
	switch {
	case c.Name == "":
		fields.Add("name", "required", "is required")
	case !validName(c.Name):
		fields.Add("name", "format", "must be 1 to 64 of a-z 0-9 - _, begin with a letter or digit, and not with ins_")
	}
	c.Metadata.check(fields)
	c.Settings.check(fields)
	if c.Sandbox != nil && call.Tenancy.Environment() != messaging.Test {
		fields.Add("sandbox", "environment", "is for test keys only")
	}
	return nil
}

// validName reports whether an instance may have this name (API.md section 5).
func validName(name string) bool {
	if len(name) > 64 || strings.HasPrefix(name, string(messaging.InstancePrefix)) {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '-' || c == '_'):
		default:
			return false
		}
	}
	return name != ""
}

// createInstance makes an instance.
func (s *Server) createInstance(ctx context.Context, call *Call, req createInstance) (instanceView, error) {
	draft := instances.Draft{
		Name: req.Name, Metadata: req.Metadata.bytes(), Settings: req.Settings.bytes(),
		Unpaired: req.Sandbox != nil && req.Sandbox.Paired != nil && !*req.Sandbox.Paired,
	}
	if call.Idempotent() {
		draft.ClaimFor = func(i messaging.Instance) (*messaging.Claim, error) { return call.Claim(viewInstance(i)) }
	}
	instance, err := s.instances.Create(ctx, call.Tenancy, draft)
	return viewInstance(instance), err
}

// listInstances lists the instances that the key opens, newest first.
func (s *Server) listInstances(ctx context.Context, call *Call, req listPage) (List[instanceView], error) {
	rows, err := s.instances.List(ctx, call.Tenancy, req.page)
	return listOf(rows, req.page, viewInstance, func(i messaging.Instance) string { return i.ID }), err
}

// getInstance shows an instance.
func (s *Server) getInstance(_ context.Context, call *Call, _ nothing) (instanceView, error) {
	return viewInstance(call.Instance), nil
}

// updateInstance is the body of a change.
type updateInstance struct {
	Metadata *metadata `json:"metadata,omitzero"`
	Settings *settings `json:"settings,omitzero"`
}

// validate implements validator.
func (u *updateInstance) validate(_ *Call, fields *fault.Fields) error {
	u.Metadata.check(fields)
	u.Settings.check(fields)
	return nil
}

// updateInstance merges a change into an instance.
func (s *Server) updateInstance(ctx context.Context, call *Call, req updateInstance) (instanceView, error) {
	patch := instances.Patch{Metadata: req.Metadata.bytes(), Settings: req.Settings.bytes()}
	instance, err := s.instances.Update(ctx, call.Tenancy, call.InstanceID, patch)
	return viewInstance(instance), err
}

// deleteInstance removes an instance and shows what it was.
func (s *Server) deleteInstance(ctx context.Context, call *Call, _ nothing) (instanceView, error) {
	instance, err := s.instances.Delete(ctx, call.Tenancy, call.InstanceID)
	return viewInstance(instance), err
}
