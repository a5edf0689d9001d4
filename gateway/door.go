package gateway

import (
	"context"
	"slices"
	"strings"

	"portaria/auth"
	"portaria/instances"
	"portaria/internal/fault"
)

// refusals are a row's refusals, made once so that refusing costs no map.
type refusals struct {
	scope error
}

func newRefusals(row *Row) refusals {
	required := auth.ErrInsufficientScope.With("required", row.required())
	if len(row.AnyOf) > 0 && len(row.Scopes) == 0 {
		required = required.With("any", true)
	}
	return refusals{scope: required}
}

// hasID reports whether a path names an object by its id.
func hasID(path string) bool { return strings.Contains(path, "{id}") }

// hasDelivery reports whether a path names a delivery of that object.
func hasDelivery(path string) bool { return strings.Contains(path, "{delivery}") }

// pass takes a request through the door in the order of API.md section 4:
// authenticate, limit, lock, scope, environment, validate; then the handler.
func (x *exchange) pass(ctx context.Context, instanceRef string, refusals refusals) error {
	if err := x.authenticate(ctx); err != nil {
		return err
	}
	if err := x.spendRequest(); err != nil {
		return err
	}
	if x.row.Instance == InstanceQuery {
		instanceRef = string(x.http.QueryArgs().Peek("instance"))
	}
	if err := x.unlock(instanceRef); err != nil {
		return err
	}
	if err := x.authorize(refusals); err != nil {
		return err
	}
	if err := x.findInstance(ctx, instanceRef); err != nil {
		return err
	}
	x.call.narrow(x.row.Sees)
	if err := x.takeBody(); err != nil {
		return err
	}
	if x.slow {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), max(x.row.Deadline, defaultDeadline))
		defer cancel()
	}
	return x.actOnce(ctx)
}

// authenticate finds the grant of the presented key.
func (x *exchange) authenticate(ctx context.Context) error {
	token, err := x.headers.token()
	if err != nil {
		return err
	}
	grant, err := x.server.auth.Authenticate(ctx, token)
	if err != nil {
		return err
	}
	x.call.Grant = grant
	x.call.Tenancy = grant.Tenancy()
	x.setHeader(nameEnvironment, string(grant.Environment))
	return nil
}

// unlock decides from the grant alone whether a locked key may name this
// instance, and whether it may act at all on the workspace. The same answer
// meets instances that exist and those that do not.
func (x *exchange) unlock(ref string) error {
	grant := x.call.Grant
	if !grant.Locked() {
		return nil
	}
	if x.row.WorkspaceAct {
		return auth.ErrInstanceLocked
	}
	named := x.row.Instance == InstancePath || x.row.Instance == InstanceQuery && ref != ""
	if !named {
		return nil
	}
	id, ok := grant.InstanceID(ref)
	if !ok {
		return auth.ErrInstanceNotAllowed
	}
	x.call.InstanceID = id
	return nil
}

// authorize checks scopes and environment. A row that the key's environment
// does not have is WRONG_ENVIRONMENT even for a key without its scope: in that
// environment the scope cannot be had.
func (x *exchange) authorize(refusals refusals) error {
	if env := x.row.Environments; env != nil && !slices.Contains(env, x.call.Grant.Environment) {
		return auth.ErrWrongEnvironment
	}
	if !x.row.permits(x.call.Grant) {
		return refusals.scope
	}
	return nil
}

// findInstance finds the instance that the row is about. A list narrowed by
// ?instance= needs no more than the id, which a lock already has.
func (x *exchange) findInstance(ctx context.Context, ref string) error {
	switch x.row.Instance {
	case InstanceNone, InstanceBody:
		return nil
	case InstanceQuery:
		if ref == "" || x.call.InstanceID != "" {
			return nil
		}
	case InstanceKey:
		if len(x.call.Grant.Instances) != 1 {
			return ErrInstanceRequired
		}
		ref = x.call.Grant.Instances[0].ID
	case InstancePath:
	}
	if x.call.InstanceID != "" {
		ref = x.call.InstanceID
	}
	if !plainText(ref) {
		return x.noSuchInstance()
	}
	instance, err := x.server.instances.Resolve(ctx, x.call.Tenancy, ref)
	if err != nil {
		return err
	}
	x.call.Instance, x.call.InstanceID = instance, instance.ID
	return nil
}

// noSuchInstance answers for a reference that can name no instance, without
// asking the database, which would choke on it. In a query it is a bad value,
// as any other parameter's would be.
func (x *exchange) noSuchInstance() error {
	if x.row.Instance == InstanceQuery {
		return refusedQuery(fault.Fields{notPlain("instance")})
	}
	return instances.ErrNotFound
}

// spendRequest takes the row's cost from the key's bucket.
func (x *exchange) spendRequest() error {
	grant := x.call.Grant
	level, ok := grant.Requests.Take(x.began, max(x.row.Cost, 1))
	x.levels.requests = level
	if grant.Messages != nil && x.row.SpendsMessages {
		x.levels.messages, _ = grant.Messages.Take(x.began, 0)
		x.levels.hasMessages = true
	}
	if !ok {
		return auth.ErrRateLimited.After(level.RetryAfter)
	}
	return nil
}

// spendMessages takes n tokens of the key's message bucket.
func (x *exchange) spendMessages(n int) error {
	bucket := x.call.Grant.Messages
	if bucket == nil {
		return nil
	}
	level, ok := bucket.Take(x.began, n)
	x.levels.messages, x.levels.hasMessages = level, true
	if !ok {
		return auth.ErrRateLimited.With("policy", "messages").After(level.RetryAfter)
	}
	return nil
}
