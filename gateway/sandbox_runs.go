package gateway

import (
	"context"
	"strconv"
	"unicode/utf8"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox/runs"
)

// createRun is the body of POST /v1/sandbox/runs: a script.
type createRun struct {
	Name     string   `json:"name,omitzero" maxLength:"100" description:"For people." example:"an order is confirmed"`
	Instance string   `json:"instance,omitzero" description:"The id or name of the instance that the steps are about. Left out: one of the run's own, which is gone when the run ends. A key that is locked to one instance has that one."`
	Unpaired bool     `json:"unpaired,omitzero" description:"The run's own instance begins without a phone, to rehearse pairing."`
	Steps    stepList `json:"steps" required:"true" nullable:"false" minItems:"1" maxItems:"500" description:"Played one after the other, until one fails. Each is an object with one member that is named like what it does."`
}

// maxRunName is the longest name of a run, in characters.
const maxRunName = 100

// refuseUnknown implements unknownRefuser, for the contents of messages.
func (c *createRun) refuseUnknown(member string) error {
	name, ok := stepMember(member)
	if !ok {
		return nil
	}
	return inStep(new(contentInput).refuseUnknown(name), member)
}

// inStep adds to a fault where in the script it is.
func inStep(err error, at string) error {
	if f := fault.As(err); f != nil {
		return f.With("field", at)
	}
	return err
}

// validate implements validator. All that is wrong with any step is told before
// the first one is played.
func (c *createRun) validate(call *Call, fields *fault.Fields) error {
	if err := c.checkScope(call); err != nil {
		return err
	}
	if utf8.RuneCountInString(c.Name) > maxRunName {
		fields.Add("name", "max_length", "must not be longer than 100 characters")
	}
	if !plainText(c.Name) {
		*fields = append(*fields, notPlain("name"))
	}
	if c.Unpaired && (c.Instance != "" || call.Grant.Locked()) {
		fields.Add("unpaired", "requires", "is for the run's own instance")
	}
	if n := len(c.Steps); n == 0 || n > runs.MaxSteps {
		fields.Add("steps", "length", "must be 1 to "+strconv.Itoa(runs.MaxSteps)+" steps")
		return nil
	}
	for i := range c.Steps {
		at := "steps[" + strconv.Itoa(i) + "]"
		if err := c.Steps[i].check(call, at, fields); err != nil {
			return inStep(err, at)
		}
	}
	c.checkReferences(fields)
	return nil
}

// checkScope refuses a script that sends to a key that may not.
func (c *createRun) checkScope(call *Call) error {
	if call.Grant.Can(auth.WhatsAppSend) {
		return nil
	}
	for i := range c.Steps {
		if c.Steps[i].Send != nil {
			return auth.ErrInsufficientScope.With("required", []string{string(auth.SandboxRun), string(auth.WhatsAppSend)})
		}
	}
	return nil
}

// createRun plays a script and shows what came of it.
func (s *Server) createRun(ctx context.Context, call *Call, req createRun) (runView, error) {
	script := runs.Script{
		Tenancy: call.Tenancy, KeyID: call.Grant.KeyID, Lineage: call.Grant.Lineage,
		Name: req.Name, Unpaired: req.Unpaired, Seed: call.Seed,
	}
	var err error
	if script.Instance, err = s.runInstance(ctx, call, req.Instance); err != nil {
		return runView{}, err
	}
	p := s.newPlayer(call, len(req.Steps))
	for i := range req.Steps {
		script.Steps = append(script.Steps, p.step(i, &req.Steps[i]))
	}
	run, err := s.runs.Run(ctx, script)
	if call.Grant.Messages != nil { // the steps have paid
		call.exchange.levels.messages, _ = call.Grant.Messages.Take(s.now(), 0)
	}
	if err != nil {
		return runView{}, err
	}
	return viewRun(&run), nil
}

// runInstance finds the instance of a run; nil for one of the run's own. A locked
// key has none to spare, so its runs use one that it is locked to. Faults:
// auth.ErrInstanceNotAllowed, instances.ErrNotFound, ErrInstanceRequired.
func (s *Server) runInstance(ctx context.Context, call *Call, ref string) (*messaging.Instance, error) {
	if grant := call.Grant; ref == "" {
		switch {
		case !grant.Locked():
			return nil, nil //nolint:nilnil // the run's own
		case len(grant.Instances) != 1:
			return nil, ErrInstanceRequired.Saying("This key is not locked to exactly one instance: name the instance of the run.")
		}
		ref = grant.Instances[0].ID
	}
	found, err := s.bulkInstances(ctx, call, []string{ref})
	if err != nil {
		return nil, err
	}
	call.Instance, call.InstanceID = found[0], found[0].ID
	return &found[0], nil
}

// getRun shows a run.
func (s *Server) getRun(ctx context.Context, call *Call, _ nothing) (runView, error) {
	if !messaging.ValidID(messaging.RunPrefix, call.ID) {
		return runView{}, fault.ErrNotFound
	}
	run, err := s.runs.Find(ctx, call.Tenancy, call.ID)
	if err != nil {
		return runView{}, err
	}
	return viewRun(&run), nil
}

// resetView says that the test world was cleared.
type resetView struct {
	Reset bool `json:"reset"`
}

// resetSandbox clears a workspace's test world.
func (s *Server) resetSandbox(ctx context.Context, call *Call, _ nothing) (resetView, error) {
	return resetView{Reset: true}, s.testWorld.Reset(ctx, call.Tenancy)
}
