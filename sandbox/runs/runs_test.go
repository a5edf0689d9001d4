package runs_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox"
	"portaria/sandbox/runs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is everything that runs need, without a database: a store of runs and
// events, and instances that only exist.
type world struct {
	service *runs.Service
	tenancy messaging.Tenancy

	mu        sync.Mutex
	runs      map[string]runs.Run
	events    []messaging.Event
	instances map[string]messaging.Instance
	fail      map[string]error // by what is asked
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		tenancy: messaging.NewTenancy("wsp_one", messaging.Test, messaging.AllInstances()),
		runs:    make(map[string]runs.Run), instances: make(map[string]messaging.Instance), fail: make(map[string]error),
	}
	clocks, err := sandbox.NewClocks(sandbox.ClocksOptions{Store: w})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = clocks.Close() })
	w.service = runs.New(runs.Options{
		Store: w, Owner: w, Network: w, Clocks: clocks, Idle: func(context.Context, string) error { return nil },
	})
	return w
}

func (w *world) err(what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fail[what]
}

// happens records an event of an instance.
func (w *world) happens(instance string, typ messaging.EventType, message string) {
	w.mu.Lock()
	e := messaging.Event{
		ID: "evt", Sequence: int64(len(w.events) + 1), Type: typ, WorkspaceID: "wsp_one", Environment: messaging.Test,
		InstanceID: instance, MessageID: message,
	}
	w.events = append(w.events, e)
	w.mu.Unlock()
	w.service.Tell([]messaging.Event{e})
}

func (w *world) SandboxClock(context.Context, string) (sandbox.SavedClock, error) {
	return sandbox.SavedClock{Mode: sandbox.Real}, nil
}
func (w *world) SaveSandboxClock(context.Context, string, sandbox.SavedClock) error { return nil }

func (w *world) InsertRun(_ context.Context, r runs.Run) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.runs[r.ID]; ok {
		return fault.ErrConflict
	}
	w.runs[r.ID] = r
	return w.fail["InsertRun"]
}

func (w *world) EndRun(_ context.Context, r runs.Run) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.fail["EndRun"]; err != nil {
		return err
	}
	w.runs[r.ID] = r
	return nil
}

func (w *world) FindRun(_ context.Context, _ messaging.Tenancy, id string) (runs.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r, ok := w.runs[id]; ok {
		return r, nil
	}
	return runs.Run{}, fault.ErrNotFound
}

func (w *world) OpenRuns(context.Context) ([]runs.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Collect(maps.Values(w.runs)), func(r runs.Run) bool { return r.State != runs.Running }), nil
}

func (w *world) EventsAt(_ context.Context, _ messaging.World, sequences []int64) (out []messaging.Event, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range sequences {
		out = append(out, w.events[n-1])
	}
	return out, nil
}

func (w *world) ForgetRun(_ context.Context, r runs.Run) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.runs, r.ID)
	return nil
}

func (w *world) SettleInstance(context.Context, string) error            { return w.err("SettleInstance") }
func (w *world) SeedSource(context.Context, string) (string, error)      { return "default", nil }
func (w *world) NextSeed(context.Context, string, string) (int64, error) { return 0, nil }
func (w *world) Connect(context.Context, string, string) error           { return nil }
func (w *world) Scan(context.Context, messaging.TestInstance, string) error {
	return sandbox.ErrNotPairing
}
func (w *world) Reconnect(context.Context, messaging.TestInstance) error { return nil }
func (w *world) Logout(context.Context, messaging.TestInstance) error    { return nil }

func (w *world) Create(_ context.Context, _, id, name string, _ bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.instances[id] = messaging.Instance{ID: id, Name: name, WorkspaceID: "wsp_one", Environment: messaging.Test}
	return w.fail["Create"]
}

func (w *world) Test(_ context.Context, _, id string) (messaging.TestInstance, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	test, _ := w.instances[id].Test()
	return test, nil
}

func (w *world) Delete(_ context.Context, _, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.instances, id)
	return w.fail["Delete"]
}

func (w *world) Drop(_ context.Context, i messaging.TestInstance, _ time.Duration) error {
	w.happens(i.Instance().ID, messaging.EventInstanceDisconnected, "")
	return nil
}

func (w *world) Ban(context.Context, messaging.TestInstance, time.Duration) error {
	panic("a step panics")
}

func (w *world) sends(message string) runs.Step {
	return runs.Step{Kind: runs.Send, Act: func(_ context.Context, i messaging.Instance) (*messaging.Message, error) {
		w.happens(i.ID, "message.sent", message)
		return &messaging.Message{ID: message}, nil
	}}
}

func expects(typ messaging.EventType) runs.Step {
	return runs.Step{Kind: runs.Expect, Expect: runs.Expectation{Event: typ}}
}

func passed(r *runs.Run) (out []bool) {
	for i := range r.Steps {
		out = append(out, r.Steps[i].Passed)
	}
	return out
}

// What is expected is what happened since the last step that was no expectation;
// each event meets one.
func TestExpectationsLookBackToTheLastAct(t *testing.T) {
	for name, x := range map[string]struct {
		steps func(*world) []runs.Step
		want  []bool
	}{
		"each event once": {func(w *world) []runs.Step {
			return []runs.Step{w.sends("a"), expects("message.sent"), expects("message.sent")}
		}, []bool{true, true, false}},
		"of the last alone": {func(w *world) []runs.Step {
			return []runs.Step{w.sends("a"), {Kind: runs.Drop}, expects("message.sent")}
		}, []bool{true, true, false}},
		"absent": {func(w *world) []runs.Step {
			return []runs.Step{w.sends("a"), {Kind: runs.Expect, Expect: runs.Expectation{Event: "message.read", Absent: true}}}
		}, []bool{true, true}},
		"not absent": {func(w *world) []runs.Step {
			return []runs.Step{w.sends("a"), {Kind: runs.Expect, Expect: runs.Expectation{Event: "message.sent", Absent: true}}, w.sends("b")}
		}, []bool{true, false, false}},
		"refused as it should be": {func(*world) []runs.Step {
			return []runs.Step{{Kind: runs.Scan, Fails: "INSTANCE_NOT_PAIRING"}, {Kind: runs.Scan, Fails: "OTHER"}}
		}, []bool{true, false}},
		"not refused": {func(*world) []runs.Step { return []runs.Step{{Kind: runs.Logout, Fails: "CONFLICT"}} }, []bool{false}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r, err := w.service.Run(t.Context(), runs.Script{Tenancy: w.tenancy, Steps: x.steps(w)})
			if err != nil || !slices.Equal(passed(&r), x.want) || r.Passed != !slices.Contains(x.want, false) {
				t.Errorf("passed %t %v, want %v: %v", r.Passed, passed(&r), x.want, err)
			}
			if r.State != runs.Ended || len(w.instances) != 0 {
				t.Errorf("it is %s, and %d instances are left", r.State, len(w.instances))
			}
		})
	}
}

// A step that panics ends its run like any other: the instance is free again.
func TestAPanicEndsTheRun(t *testing.T) {
	w := newWorld(t)
	func() {
		defer func() { _ = recover() }()
		_, _ = w.service.Run(t.Context(), runs.Script{Tenancy: w.tenancy, Steps: []runs.Step{{Kind: runs.Ban}}})
	}()
	if open, _ := w.OpenRuns(t.Context()); len(open) != 0 || len(w.instances) != 0 {
		t.Errorf("%d runs are open, %d instances are left", len(open), len(w.instances))
	}
	resume, err := w.service.Pause("wsp_one")
	if err != nil {
		t.Fatalf("it is still played: %v", err)
	}
	if _, err := w.service.Run(t.Context(), runs.Script{Tenancy: w.tenancy}); !errors.Is(err, runs.ErrInProgress) {
		t.Errorf("a run began in a workspace that is being reset: %v", err)
	}
	resume()
}

// A run whose end failed does not keep its seed, and the next process ends it.
func TestARunWhoseEndFailedGivesWay(t *testing.T) {
	w := newWorld(t)
	w.fail["EndRun"] = errors.New("the store is down")
	script := runs.Script{Tenancy: w.tenancy, Seed: "s"}
	if _, err := w.service.Run(t.Context(), script); err == nil {
		t.Fatal("the end did not fail")
	}
	w.fail["EndRun"] = nil
	if r, err := w.service.Run(t.Context(), script); err != nil || r.State != runs.Ended {
		t.Errorf("again: %s, %v", r.State, err)
	}
	w.runs["run_left"] = runs.Run{ID: "run_left", WorkspaceID: "wsp_one", InstanceID: "ins_left", OwnInstance: true, State: runs.Running}
	w.instances["ins_left"] = messaging.Instance{ID: "ins_left"}
	if err := w.service.Recover(t.Context()); err != nil || w.runs["run_left"].State != runs.Aborted || len(w.instances) != 0 {
		t.Errorf("left: %s, %d instances: %v", w.runs["run_left"].State, len(w.instances), err)
	}
}

// A request whose time is up gets what came of its run so far.
func TestARunEndsWithItsRequest(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := w.service.Run(ctx, runs.Script{Tenancy: w.tenancy, Steps: []runs.Step{
		{Kind: runs.Send, Act: func(context.Context, messaging.Instance) (*messaging.Message, error) { cancel(); return nil, ctx.Err() }},
		w.sends("never"),
	}})
	if err != nil || r.State != runs.Aborted || r.Passed || r.Steps[0].Problem == nil || r.Steps[0].Problem.Code != "TIMEOUT" || !r.Steps[1].Skipped {
		t.Errorf("run = %+v, %v", r, err)
	}
}
