package gateway_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"portaria/gateway"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox"
	"portaria/sandbox/runs"
)

// testWorld is the sandbox behind the door: it does at once what it is asked.
type testWorld struct {
	*world

	mu      sync.Mutex
	lasts   []time.Duration // of drops and bans
	seeds   map[string]int64
	resets  int
	scripts []runs.Script
	kept    []runs.Run
	play    func(context.Context, *runs.Script) (runs.Run, error) // what Run does; nil: every step passes
}

var (
	_ gateway.SandboxControls = phones{}
	_ gateway.SandboxContacts = (*testWorld)(nil)
	_ gateway.SandboxRuns     = (*testWorld)(nil)
	_ gateway.SandboxWorld    = (*testWorld)(nil)
)

// newTestWorld puts a sandbox behind the door.
func newTestWorld(w *world, options *gateway.Options) *testWorld {
	tw := &testWorld{world: w, seeds: make(map[string]int64)}
	options.Controls, options.Contacts, options.Runs, options.World = phones{tw}, tw, tw, tw
	return tw
}

// phones are the phones and the network of test instances.
type phones struct{ *testWorld }

func (p phones) become(i messaging.TestInstance, state messaging.InstanceState, reason, linked string) {
	p.change(i.Instance().ID, func(i *messaging.Instance) {
		i.State, i.StateReason, i.StateSince, i.LinkedID = state, reason, time.Now(), linked
	})
}

func (p phones) Scan(_ context.Context, i messaging.TestInstance, code string) error {
	p.world.mu.Lock()
	shown := p.world.pairing
	p.world.mu.Unlock()
	switch facts := i.Instance(); {
	case facts.State != messaging.InstancePairing || shown.InstanceID != facts.ID:
		return sandbox.ErrNotPairing
	case code != "" && code != shown.QR && code != shown.Code:
		return sandbox.ErrWrongCode
	}
	p.world.scan(i.Instance().ID)
	return nil
}

func (p phones) Drop(_ context.Context, i messaging.TestInstance, lasts time.Duration) error {
	if i.Instance().State != messaging.InstanceConnected {
		return sandbox.ErrNotOnline
	}
	p.note(lasts)
	p.become(i, messaging.InstanceDisconnected, messaging.ReasonNetworkUnreachable, "device")
	return nil
}

func (p phones) Reconnect(_ context.Context, i messaging.TestInstance) error {
	if i.Instance().State == messaging.InstanceConnected {
		return sandbox.ErrNotDown
	}
	p.become(i, messaging.InstanceConnected, "", "device")
	return nil
}

func (p phones) Logout(_ context.Context, i messaging.TestInstance) error {
	if i.Instance().Phone == "" {
		return sandbox.ErrNotLinked
	}
	p.become(i, messaging.InstanceLoggedOut, messaging.ReasonDeviceRemoved, "")
	return nil
}

func (p phones) Ban(_ context.Context, i messaging.TestInstance, lasts time.Duration) error {
	if i.Instance().Phone == "" {
		return sandbox.ErrNotLinked
	}
	p.note(lasts)
	if lasts > 0 {
		p.become(i, messaging.InstanceRestricted, messaging.ReasonTemporaryBan, "device")
		return nil
	}
	p.become(i, messaging.InstanceBanned, messaging.ReasonBanned, "device")
	return nil
}

func (w *testWorld) note(lasts time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lasts = append(w.lasts, lasts)
}

// lasted returns the times of drops and bans.
func (w *testWorld) lasted() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lasts
}

func (w *testWorld) Receive(
	ctx context.Context, i messaging.TestInstance, from messaging.Address, content messaging.Content,
) (messaging.Message, error) {
	facts := i.Instance()
	if facts.State != messaging.InstanceConnected {
		return messaging.Message{}, sandbox.ErrNotOnline
	}
	now := time.Now().UTC()
	m := messaging.Message{
		ID: messaging.DrawID(ctx, messaging.MessagePrefix, now), WorkspaceID: facts.WorkspaceID, Environment: facts.Environment,
		InstanceID: facts.ID, Direction: messaging.Inbound, Peer: from, Content: content, WAMessageID: messaging.DrawWAMessageID(ctx),
		CreatedAt: now, State: messaging.State{Status: messaging.StatusReceived},
	}
	w.world.mu.Lock()
	defer w.world.mu.Unlock()
	w.messages = append(w.messages, m)
	return m, nil
}

// alter changes a message.
func (w *testWorld) alter(id string, change func(*messaging.Message)) {
	w.world.mu.Lock()
	defer w.world.mu.Unlock()
	for i := range w.messages {
		if w.messages[i].ID == id {
			change(&w.messages[i])
		}
	}
}

func (w *testWorld) ReceiveEdit(_ context.Context, _ messaging.TestInstance, m *messaging.Message, content messaging.Content) error {
	w.alter(m.ID, func(m *messaging.Message) { m.Content, m.EditedAt = content, time.Now() })
	return nil
}

func (w *testWorld) ReceiveRevoke(_ context.Context, _ messaging.TestInstance, m *messaging.Message) error {
	w.alter(m.ID, func(m *messaging.Message) { m.RevokedAt = time.Now() })
	return nil
}

func (w *testWorld) ReceiveCall(_ context.Context, i messaging.TestInstance, call messaging.Call) (messaging.Call, error) {
	if i.Instance().State != messaging.InstanceConnected {
		return call, sandbox.ErrNotOnline
	}
	call.ID, call.At = "CA11", time.Now()
	return call, nil
}

func (w *testWorld) Run(ctx context.Context, s runs.Script) (runs.Run, error) {
	run, err := w.playing()(ctx, &s)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scripts = append(w.scripts, s)
	if err == nil {
		w.kept = append(w.kept, run)
	}
	return run, err
}

func (w *testWorld) playing() func(context.Context, *runs.Script) (runs.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.play != nil {
		return w.play
	}
	return playAll
}

// playAll acts on every step, as far as the door has a part in it, and lets all
// pass.
func playAll(ctx context.Context, s *runs.Script) (runs.Run, error) {
	now := time.Now().UTC()
	run := runs.Run{
		ID: messaging.NewID(messaging.RunPrefix, now), WorkspaceID: s.Tenancy.Workspace(), Lineage: s.Lineage, Name: s.Name,
		State: runs.Ended, Passed: true, StartedAt: now, EndedAt: now, Report: runs.Report{Began: now},
	}
	var i messaging.Instance
	if s.Instance != nil {
		i = *s.Instance
	}
	run.InstanceID = i.ID
	for _, step := range s.Steps {
		report := runs.StepReport{Kind: step.Kind, Passed: true}
		if step.Act != nil {
			m, err := step.Act(ctx, i)
			report.Problem = problemOf(err)
			report.Passed = (step.Fails == "") == (err == nil) && (err == nil || report.Problem.Code == step.Fails)
			if m != nil {
				report.MessageID = m.ID
			}
		}
		run.Passed = run.Passed && report.Passed
		run.Steps = append(run.Steps, report)
	}
	return run, nil
}

func problemOf(err error) *runs.Problem {
	if f := fault.As(err); f != nil {
		return &runs.Problem{Code: f.Code(), Message: f.Message()}
	}
	return nil
}

func (w *testWorld) Find(_ context.Context, t messaging.Tenancy, id string) (runs.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.kept {
		if r.ID == id && r.WorkspaceID == t.Workspace() && t.Environment() == messaging.Test && t.Allowlist().Opens(r.InstanceID) {
			return r, nil
		}
	}
	return runs.Run{}, fault.ErrNotFound
}

// script returns the script that was played last.
func (w *testWorld) script(t *testing.T) runs.Script {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.scripts) == 0 {
		t.Fatal("no script was played")
	}
	return w.scripts[len(w.scripts)-1]
}

func (w *testWorld) Reset(context.Context, messaging.Tenancy) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resets++
	return nil
}

// SeedSource implements gateway.SandboxWorld.
func (*testWorld) SeedSource(_ context.Context, workspace string) (string, error) {
	return workspace, nil
}

func (w *testWorld) NextSeed(_ context.Context, workspace, seed string) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.seeds[workspace+seed]
	w.seeds[workspace+seed]++
	return n, nil
}

// drawn returns how many requests drew from a seed.
func (w *testWorld) drawn(seed string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seeds[workspace+seed]
}

func (w *testWorld) InstanceShowing(_ context.Context, qr string) (messaging.Instance, error) {
	w.world.mu.Lock()
	defer w.world.mu.Unlock()
	for _, i := range w.instances {
		if w.pairing.QR == qr && w.pairing.InstanceID == i.ID && i.State == messaging.InstancePairing && i.Environment == messaging.Test {
			return i, nil
		}
	}
	return messaging.Instance{}, fault.ErrNotFound
}
