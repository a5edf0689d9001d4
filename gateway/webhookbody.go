package gateway

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/auth"
	"portaria/events/webhooks"
	"portaria/instances"
	"portaria/internal/fault"
	"portaria/messaging"
)

// createWebhook is the body of a new webhook.
type createWebhook struct {
	URL string `json:"url" required:"true" maxLength:"2048" description:"https, at a public address; more if the operator allows it." example:"https://example.com/portaria"`
	webhookBody
}

// validate implements validator.
func (c *createWebhook) validate(_ *Call, fields *fault.Fields) error {
	if c.URL == "" {
		fields.Add("url", "required", "is required")
	}
	c.check(fields)
	return nil
}

// updateWebhook is the body of a change.
type updateWebhook struct {
	URL *string `json:"url,omitzero" maxLength:"2048" example:"https://example.com/portaria"`
	webhookBody
}

// validate implements validator.
func (u *updateWebhook) validate(_ *Call, fields *fault.Fields) error {
	u.check(fields)
	return nil
}

// webhookBody is what can be said of a webhook. Most of it is judged where
// webhooks are kept; here it is read.
type webhookBody struct {
	Description *string         `json:"description,omitzero" maxLength:"256"`
	Events      *[]string       `json:"events,omitzero" minItems:"1" maxItems:"50" description:"Types as message.delivered, families as message.*, or *. Everything by default." example:"[\"message.*\",\"instance.logged_out\"]"`
	Instances   instanceRefs    `json:"instances,omitzero"`
	Chats       *string         `json:"chats,omitzero" enum:"all,direct,group" description:"From which chats it hears of messages; all by default."`
	Ordered     *bool           `json:"ordered,omitzero" description:"One delivery at a time for each instance, in the order of the events: the next one waits until the one before has been delivered or has finally failed. Slower; false by default."`
	Enabled     *bool           `json:"enabled,omitzero" description:"true by default."`
	RetryPolicy retryPolicyBody `json:"retry_policy,omitzero" nullable:"true" description:"null: the usual one."`
}

func (w *webhookBody) check(fields *fault.Fields) {
	w.Instances.check(fields)
	w.RetryPolicy.check(fields)
}

// patch returns what the body says. That all instances are asked for is only
// said where there were fewer: a new webhook has them anyway, or all that its
// maker opens.
// Faults: auth.ErrInstanceNotAllowed, instances.ErrNotFound.
func (w *webhookBody) patch(ctx context.Context, s *Server, call *Call) (webhooks.Patch, error) {
	p := webhooks.Patch{
		Description: w.Description, Events: w.Events, Chats: (*messaging.Chats)(w.Chats), Ordered: w.Ordered, Enabled: w.Enabled,
	}
	if w.RetryPolicy.given {
		p.MaxAttempts, p.Schedule = w.RetryPolicy.changes()
	}
	if !w.Instances.given {
		return p, nil
	}
	ids, err := w.Instances.resolve(ctx, s, call)
	p.Instances = &ids
	return p, err
}

// maxWebhookInstances is how many instances a webhook can be narrowed to.
const maxWebhookInstances = 1000

// instanceRefs are the instances that a webhook is narrowed to, by id or name;
// null: it is not.
type instanceRefs struct {
	given bool
	list  []string // nil: null
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (r *instanceRefs) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	r.given = true
	return json.UnmarshalDecode(decoder, &r.list)
}

// JSONSchemaBytes describes the type in the OpenAPI document.
func (instanceRefs) JSONSchemaBytes() ([]byte, error) {
	return []byte(`{"type":["array","null"],"items":{"type":"string"},"minItems":1,"maxItems":` + strconv.Itoa(maxWebhookInstances) +
		`,"description":"Ids or names; null or absent: all instances, also those to come. A locked key names those that it opens; without, it gets them all."}`), nil
}

func (*instanceRefs) form(jsontext.Kind) any { return nil }

func (*instanceRefs) shape() string { return "must be a list of instances, or null" }

func (r *instanceRefs) check(fields *fault.Fields) {
	switch {
	case r.list != nil && len(r.list) == 0:
		fields.Add("instances", "length", "must name an instance, or be null for all")
	case len(r.list) > maxWebhookInstances:
		fields.Add("instances", "length", "must not name more than "+strconv.Itoa(maxWebhookInstances)+" instances")
	}
}

// resolve returns the ids of the instances; nil for all.
// Faults: auth.ErrInstanceNotAllowed, instances.ErrNotFound.
func (r *instanceRefs) resolve(ctx context.Context, s *Server, call *Call) ([]string, error) {
	if r.list == nil {
		return nil, nil
	}
	ids := make([]string, 0, len(r.list))
	for _, ref := range r.list {
		id, err := s.instanceID(ctx, call, ref)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// instanceID finds the instance that a body names. What a locked key may name
// follows from its grant alone, as at the door.
func (s *Server) instanceID(ctx context.Context, call *Call, ref string) (string, error) {
	if call.Grant.Locked() {
		id, ok := call.Grant.InstanceID(ref)
		if !ok {
			return "", auth.ErrInstanceNotAllowed
		}
		return id, nil
	}
	if !plainText(ref) {
		return "", instances.ErrNotFound
	}
	instance, err := s.instances.Resolve(ctx, call.Tenancy, ref)
	return instance.ID, err
}

// retryPolicyBody is how often a webhook is tried; null: as usual.
type retryPolicyBody struct {
	given    bool
	null     bool
	policy   retryPolicyObject
	schedule []time.Duration
}

// retryPolicyObject is what a retry policy says.
type retryPolicyObject struct {
	MaxAttempts *int      `json:"max_attempts,omitzero" minimum:"1" maximum:"50" description:"As many as schedule has by default."`
	Schedule    *[]string `json:"schedule,omitzero" minItems:"1" maxItems:"50" description:"The wait before each try, 0s to 7d, counted from the failure before it, ±20 %. One that is shorter than max_attempts goes on with its last, a longer one is cut." example:"[\"0s\",\"5s\",\"5m\"]"`
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (r *retryPolicyBody) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	r.given, r.null = true, decoder.PeekKind() == 'n'
	return json.UnmarshalDecode(decoder, &r.policy, strict)
}

func (r *retryPolicyBody) form(kind jsontext.Kind) any {
	if kind == '{' {
		return &r.policy
	}
	return nil
}

func (*retryPolicyBody) shape() string { return "must be an object, or null" }

// check reads the schedule.
func (r *retryPolicyBody) check(fields *fault.Fields) {
	if most := r.policy.MaxAttempts; most != nil && *most < 1 {
		fields.Add("retry_policy.max_attempts", "range", "must lie between 1 and 50")
	}
	if r.policy.Schedule == nil {
		return
	}
	for i, text := range *r.policy.Schedule {
		wait, err := messaging.ParseDuration(text)
		if err != nil {
			fields.Add("retry_policy.schedule["+strconv.Itoa(i)+"]", "duration", "must be a whole number with a unit, as in 5s")
		}
		r.schedule = append(r.schedule, wait)
		if len(*fields) >= maxFaults {
			return
		}
	}
}

// changes returns what the policy sets: both, for it replaces the one before as a
// whole. What it does not say, and all of it if it is null, is as usual.
func (r *retryPolicyBody) changes() (maxAttempts *int, schedule *[]time.Duration) {
	if !r.given {
		return nil, nil
	}
	maxAttempts, schedule = r.policy.MaxAttempts, new([]time.Duration)
	if maxAttempts == nil {
		maxAttempts = new(int)
	}
	if r.policy.Schedule != nil {
		*schedule = append([]time.Duration{}, r.schedule...)
	}
	return maxAttempts, schedule
}
