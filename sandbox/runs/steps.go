package runs

import (
	"context"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

// play takes one step after the other, up to the first that fails.
func (p *player) play(ctx context.Context) {
	p.run.Passed = true
	p.run.Steps = make([]StepReport, len(p.script.Steps))
	for i := range p.script.Steps {
		step, report := &p.script.Steps[i], &p.run.Steps[i]
		report.Kind, report.At = step.Kind, p.clock.Now().Sub(p.run.Began)
		if report.Skipped = !p.run.Passed; report.Skipped {
			continue
		}
		began := len(p.events)
		if step.Kind != Expect && i > 0 {
			p.since = began
		}
		p.take(ctx, step, report)
		report.Took = p.clock.Now().Sub(p.run.Began) - report.At
		report.Events, report.More = p.happenings(p.events[began:])
		p.run.Passed = report.Passed
		if ctx.Err() != nil {
			p.run.Passed = false
		}
	}
	p.run.Elapsed = p.clock.Now().Sub(p.run.Began)
	if ctx.Err() == nil {
		p.run.State = Ended
	}
}

// take takes one step.
func (p *player) take(ctx context.Context, step *Step, report *StepReport) {
	err := p.act(ctx, step, report)
	if err == nil && step.Fails != "" {
		report.Problem = &Problem{Code: "NOT_REFUSED", Message: "It was to be refused with " + step.Fails + ", and was not."}
	}
	if err != nil {
		report.Problem = problemOf(err)
	}
	report.Passed = report.Problem == nil || step.Fails != "" && report.Problem.Code == step.Fails
	if err := p.settle(ctx); err != nil {
		report.Problem, report.Passed = problemOf(err), false
	}
	if step.Kind == Expect && report.Problem == nil {
		p.await(ctx, step, report)
	}
}

// act does what a step does, but for what it waits for.
func (p *player) act(ctx context.Context, step *Step, report *StepReport) error {
	switch step.Kind { //nolint:exhaustive // control does the others
	case Send, Inbound:
		i, err := p.s.Owner.Test(ctx, p.run.WorkspaceID, p.run.InstanceID)
		if err != nil {
			return err
		}
		m, err := step.Act(ctx, i.Instance())
		if m != nil {
			report.MessageID = m.ID
		}
		return err
	case Advance:
		return p.advance(ctx, step.Lasts)
	case Connect:
		return p.s.Owner.Connect(ctx, p.run.WorkspaceID, p.run.InstanceID)
	case Expect:
		return nil
	default:
		return p.control(ctx, step)
	}
}

// control has the phone or the network do something to the instance.
func (p *player) control(ctx context.Context, step *Step) error {
	i, err := p.s.Owner.Test(ctx, p.run.WorkspaceID, p.run.InstanceID)
	if err != nil {
		return err
	}
	switch step.Kind { //nolint:exhaustive // act does the others
	case Drop:
		return p.s.Network.Drop(ctx, i, step.Lasts)
	case Reconnect:
		return p.s.Network.Reconnect(ctx, i)
	case Scan:
		return p.s.Network.Scan(ctx, i, step.Code)
	case Logout:
		return p.s.Network.Logout(ctx, i)
	case Ban:
		return p.s.Network.Ban(ctx, i, step.Lasts)
	default:
		return fault.ErrValidation.Saying("There is no such step.")
	}
}

// advance moves the clock from due to due.
func (p *player) advance(ctx context.Context, left time.Duration) error {
	for left > 0 {
		went, err := p.clock.Step(ctx, left)
		if err != nil {
			return err
		}
		left -= went
	}
	return nil
}

// await waits for an event, and moves the clock until it comes.
func (p *player) await(ctx context.Context, step *Step, report *StepReport) {
	left, seen := step.Expect.Within, p.since
	for {
		if e := p.find(&step.Expect, seen); e != nil {
			p.meet(e, step, report)
			return
		}
		seen = len(p.events)
		if left <= 0 {
			break
		}
		went, err := p.clock.Step(ctx, left)
		if err == nil {
			err = p.read(ctx)
		}
		if err != nil {
			report.Problem, report.Passed = problemOf(err), false
			return
		}
		left -= went
	}
	if !step.Expect.Absent {
		report.Passed = false
		report.Problem = &Problem{Code: "EVENT_DID_NOT_COME", Message: "No " + string(step.Expect.Event) + " came within " + step.Expect.Within.String() + "."}
	}
}

// meet notes the event that was expected, or that was not to come.
func (p *player) meet(e *heard, step *Step, report *StepReport) {
	e.met, report.Met, report.MessageID = true, e.ID, e.MessageID
	if step.Expect.Absent {
		report.Passed = false
		report.Problem = &Problem{Code: "EVENT_CAME", Message: "The event was not to come."}
	}
}

// older reports whether an event is about what was sent before the run: through a
// given instance, whose receipts may still be to come.
func (p *player) older(e *heard) bool {
	return e.Message != nil && e.Message.Direction == messaging.Outbound && e.Message.CreatedAt.Before(p.run.Began)
}

// find returns the first event from a place on that meets an expectation and has
// met none; nil: there is none.
func (p *player) find(x *Expectation, from int) *heard {
	for i := range p.events[from:] {
		e := &p.events[from+i]
		if !e.met && !p.older(e) && e.Type == x.Event && (x.Matches == nil || x.Matches(&e.Event)) {
			return e
		}
	}
	return nil
}
