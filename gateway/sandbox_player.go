package gateway

import (
	"context"

	"portaria/messaging"
	"portaria/sandbox/runs"
)

// player acts for the steps of a script in the name of who asked for its run. It
// keeps what it needs of the request to itself: the steps are played while the
// request is answered, and nothing of them is the answer.
type player struct {
	server *Server
	call   Call
	row    *Row
	body   []byte   // the files in it are read when their step is played
	made   []string // the ids of the messages that steps have made; empty: none
}

// newPlayer returns the player of a request. The body is the player's from then
// on.
func (s *Server) newPlayer(call *Call, steps int) *player {
	x := call.exchange
	p := &player{server: s, call: *call, row: x.row, body: x.body, made: make([]string, steps)}
	x.body = nil
	return p
}

// callFor is the call of a step: it has no Idempotency-Key, and pays for itself.
func (p *player) callFor(i messaging.Instance) *Call {
	x := &exchange{server: p.server, row: p.row, body: p.body, began: p.server.now(), call: p.call}
	x.call.Instance, x.call.InstanceID, x.call.exchange = i, i.ID, x
	return &x.call
}

// step makes a step that was checked into one that is played; i counts from 0.
func (p *player) step(i int, in *stepInput) runs.Step {
	step := runs.Step{Kind: in.kinds()[0], Fails: in.Fails}
	switch step.Kind { //nolint:exhaustive // the others need no more than their name
	case runs.Send, runs.Inbound:
		step.Act = p.act(i, in)
	case runs.Expect:
		e := in.Expect
		step.Expect = runs.Expectation{Event: e.Event, Within: e.within, Absent: e.Absent, Matches: e.Match.matcher(p.server.Renderer)}
	case runs.Advance:
		step.Lasts = in.Advance.by
	case runs.Drop:
		step.Lasts = in.Drop.in.lasts
	case runs.Ban:
		step.Lasts = in.Ban.in.lasts
	case runs.Scan:
		step.Code = in.Scan.in.shown()
	}
	return step
}

// act returns what a step does that makes a message, or changes one.
func (p *player) act(i int, in *stepInput) func(context.Context, messaging.Instance) (*messaging.Message, error) {
	return func(ctx context.Context, instance messaging.Instance) (*messaging.Message, error) {
		for _, r := range in.references() {
			if number := referredStep(*r.id); number > 0 && p.made[number-1] != "" {
				*r.id = p.made[number-1]
			}
		}
		do := p.receive
		if in.Send != nil {
			do = p.send
		}
		m, err := do(ctx, p.callFor(instance), in)
		if m != nil {
			p.made[i] = m.ID
		}
		return m, err
	}
}

// send sends a message from the run's instance.
func (p *player) send(ctx context.Context, call *Call, in *stepInput) (*messaging.Message, error) {
	accept := p.server.compose
	if in.Send.plain() {
		accept = p.server.accept
	}
	sent, err := accept(ctx, call, in.Send)
	if err != nil {
		return nil, err
	}
	return &sent.Message, nil
}

// receive has a contact do something to the run's instance.
func (p *player) receive(ctx context.Context, call *Call, in *stepInput) (*messaging.Message, error) {
	did, err := p.server.receive(ctx, call, in.Inbound)
	if err != nil || did.call != nil {
		return nil, err
	}
	return &did.message, nil
}
