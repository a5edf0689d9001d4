package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/instances"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/sandbox"
	"portaria/sandbox/runs"
	"portaria/store"
	"portaria/store/storetest"
)

// sends is a step that sends a text.
func (d *realDoor) sends(to, body string) runs.Step {
	return runs.Step{Kind: runs.Send, Act: func(ctx context.Context, i messaging.Instance) (*messaging.Message, error) {
		m, err := d.app.outbox.Accept(ctx, outbox.Draft{
			Tenancy: testWorld(d.workspace), Instance: i, KeyID: "key_one", Lineage: "key_one", To: to,
			Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: body}},
		})
		return &m, err
	}}
}

func expects(event messaging.EventType, within time.Duration) runs.Step {
	return runs.Step{Kind: runs.Expect, Expect: runs.Expectation{Event: event, Within: within}}
}

// told is a report as a tester reads it.
func told(r *runs.Run) (lines []string) {
	for _, s := range r.Steps {
		line := fmt.Sprintf("%v %s %t", s.At, s.Kind, s.Passed)
		if s.Problem != nil {
			line += " " + s.Problem.Code
		}
		for _, e := range s.Events {
			line += fmt.Sprintf(" %v:%s", e.At, e.Type)
		}
		lines = append(lines, line)
	}
	return lines
}

// A run plays its steps by a clock of its own: what happens, and when by that
// clock, is the same every time.
func TestARunTellsTheSameEveryTime(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		d := newRealDoor(t, s)
		for range 3 {
			r, err := d.app.runs.Run(t.Context(), runs.Script{
				Tenancy: testWorld(d.workspace), Name: "order", Steps: []runs.Step{
					d.sends("+12025550123", "hello"),
					expects("message.read", time.Second),
					d.sends("+15005550009", "nobody"),
					expects("message.failed", 0),
					d.sends("+15005550019", "echo"),
					{Kind: runs.Advance, Lasts: time.Minute},
					{Kind: runs.Drop},
					d.sends("+12025550123", "waits"),
					{Kind: runs.Expect, Expect: runs.Expectation{Event: "message.sent", Within: time.Hour, Absent: true, Matches: func(*messaging.Event) bool { return false }}},
					{Kind: runs.Reconnect},
					{Kind: runs.Logout},
					{Kind: runs.Connect},
					{Kind: runs.Scan},
					expects("instance.banned", time.Second),
					{Kind: runs.Ban},
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			want := []string{
				"0s send true 0s:message.queued 0s:message.sent",
				"0s expect true 100ms:message.delivered 300ms:message.read",
				"300ms send true 300ms:message.queued 300ms:message.failed",
				"300ms expect true",
				"300ms send true 300ms:message.queued 300ms:message.sent",
				"300ms advance true 400ms:message.delivered 600ms:message.read 700ms:message.received",
				"1m0.3s drop true 1m0.3s:instance.disconnected",
				"1m0.3s send true 1m0.3s:message.queued",
				"1m0.3s expect true",
				"1h1m0.3s reconnect true 1h1m0.3s:instance.connected 1h1m0.3s:message.sent",
				"1h1m0.3s logout true 1h1m0.3s:instance.logged_out",
				"1h1m0.3s connect true 1h1m0.3s:instance.pairing",
				"1h1m0.3s scan true 1h1m0.3s:instance.connected",
				"1h1m0.3s expect false EVENT_DID_NOT_COME 1h1m0.4s:message.delivered 1h1m0.6s:message.read",
				"1h1m1.3s ban false",
			}
			if diff := cmp.Diff(want, told(&r)); diff != "" {
				t.Error(diff)
			}
			if r.Passed || r.State != runs.Ended || !r.OwnInstance {
				t.Errorf("run = %+v", r)
			}
			stored, err := d.app.runs.Find(t.Context(), testWorld(d.workspace), r.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r, stored); diff != "" {
				t.Error(diff)
			}
		}
		if all, err := d.app.manager.List(t.Context(), testWorld(d.workspace), messaging.Page{Limit: 10}); err != nil || len(all) != 0 {
			t.Errorf("%d instances are left: %v", len(all), err)
		}
	})
}

// play plays a script of the test world.
func (d *realDoor) play(t *testing.T, s runs.Script) runs.Run {
	t.Helper()
	s.Tenancy = testWorld(d.workspace)
	r, err := d.app.runs.Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Runs side by side, with others who send in the same world meanwhile, tell what
// each tells alone.
func TestRunsSideBySideDoNotMeet(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		d := newRealDoor(t, s)
		steps := []runs.Step{
			d.sends("+12025550123", "hello"), expects("message.read", time.Second), d.sends("+15005550013", "hiccup"),
			{Kind: runs.Advance, Lasts: time.Hour},
			d.sends("+15005550014", "drop"), expects("message.read", time.Minute),
			{Kind: runs.Drop},
			d.sends("+12025550123", "waits"),
			{Kind: runs.Reconnect},
			expects("message.read", time.Second),
		}
		alone := d.play(t, runs.Script{Steps: steps})
		if !alone.Passed {
			t.Fatalf("alone: %v", told(&alone))
		}
		busy, err := d.app.manager.Create(t.Context(), testWorld(d.workspace), instances.Draft{Name: "busy"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() {
			for step := d.sends("+12025550123", "noise"); ctx.Err() == nil; {
				if _, err := step.Act(ctx, busy); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
		var others sync.WaitGroup
		for range 8 {
			others.Go(func() {
				r, err := d.app.runs.Run(t.Context(), runs.Script{Tenancy: testWorld(d.workspace), Steps: steps})
				if err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(told(&alone), told(&r)); diff != "" {
					t.Error(diff)
				}
			})
		}
		others.Wait()
		stop()
		work.Wait()
	})
}

// newFrozenDoor is a real door to a world whose clock stands, with an instance in
// it.
func newFrozenDoor(t *testing.T, s *store.Store) (*realDoor, messaging.Tenancy, messaging.Instance) {
	t.Helper()
	d := newRealDoor(t, s)
	world := testWorld(d.workspace)
	if _, err := d.app.clocks.SetMode(t.Context(), d.workspace, sandbox.Frozen); err != nil {
		t.Fatal(err)
	}
	i, err := d.app.manager.Create(t.Context(), world, instances.Draft{Name: "given"})
	if err != nil {
		t.Fatal(err)
	}
	return d, world, i
}

// One instance is in one run at a time; afterwards its workspace's clock tells
// what the run left to come.
func TestARunOnAGivenInstanceGivesItBack(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		d, world, i := newFrozenDoor(t, s)
		within := runs.Step{Kind: runs.Inbound, Act: func(ctx context.Context, i messaging.Instance) (*messaging.Message, error) {
			_, err := d.app.runs.Run(ctx, runs.Script{Tenancy: world, Instance: &i, Steps: []runs.Step{{Kind: runs.Drop}}})
			return nil, err
		}, Fails: "SANDBOX_RUN_IN_PROGRESS"}
		r := d.play(t, runs.Script{Instance: &i, Steps: []runs.Step{within, d.sends("+12025550123", "hello")}})
		if !r.Passed || r.OwnInstance || r.InstanceID != i.ID {
			t.Fatalf("run = %+v", r)
		}
		id := r.Steps[1].MessageID
		if m, err := d.app.store.Message(t.Context(), world, id); err != nil || m.Status != messaging.StatusSent {
			t.Errorf("after the run it is %s: %v", m.Status, err)
		}
		if _, err := d.app.clocks.Advance(t.Context(), d.workspace, time.Second); err != nil {
			t.Fatal(err)
		}
		if m, err := d.app.store.Message(t.Context(), world, id); err != nil || m.Status != messaging.StatusRead {
			t.Errorf("a second later it is %s: %v", m.Status, err)
		}
	})
}

// A seed makes the ids of a run the same every time, also when the run before it
// is still there: that one gives way.
func TestASeedMakesARunsIDsTheSame(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		d := newRealDoor(t, s)
		given, err := d.app.manager.Create(t.Context(), testWorld(d.workspace), instances.Draft{Name: "given"})
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]string)
		for _, script := range []runs.Script{{Seed: "a"}, {Seed: "b"}, {Seed: "a", Instance: &given}} {
			script.Steps = []runs.Step{d.sends("+12025550123", "one"), d.sends("+12025550123", "two"), {Kind: runs.Advance, Lasts: time.Second}}
			first := d.play(t, script)
			again := d.play(t, script)
			if diff := cmp.Diff(told(&first), told(&again)); diff != "" || !first.Passed {
				t.Errorf("passed %t, %s", first.Passed, diff)
			}
			ids := func(r *runs.Run) string {
				return r.ID + " " + r.InstanceID + " " + r.Steps[0].MessageID + " " + r.Steps[1].MessageID
			}
			if script.Instance != nil { // its messages are still there
				if ids(&first) == ids(&again) {
					t.Errorf("ids: %s twice", ids(&first))
				}
				w := testWorlds{s, d.app}
				if err := w.Reset(t.Context(), testWorld(d.workspace)); err != nil {
					t.Fatal(err)
				}
				again = d.play(t, script)
			}
			if ids(&first) != ids(&again) {
				t.Errorf("ids: %s\nand then: %s", ids(&first), ids(&again))
			}
			if before, ok := seen[first.Steps[0].MessageID]; ok {
				t.Errorf("seed %s has the ids of seed %s", script.Seed, before)
			}
			seen[first.Steps[0].MessageID] = script.Seed
			found, err := d.app.store.Events(t.Context(), testWorld(d.workspace), messaging.EventFilter{MessageID: again.Steps[0].MessageID}, messaging.Page{Limit: 50})
			if err != nil || len(found) != 4 {
				t.Errorf("the message has %d events: %v", len(found), err)
			}
		}
	})
}

// What waits for an instance when its run begins comes by the run's clock too, in
// its order, and what the run leaves comes afterwards, after as long as it would
// have taken.
func TestWhatWaitsForAnInstanceComesByItsRunsClock(t *testing.T) {
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		d, world, i := newFrozenDoor(t, s)
		later := func(by time.Duration) runs.Step {
			return runs.Step{Kind: runs.Send, Act: func(ctx context.Context, i messaging.Instance) (*messaging.Message, error) {
				m, err := d.app.outbox.Accept(ctx, outbox.Draft{
					Tenancy: world, Instance: i, KeyID: "key_one", Lineage: "key_one", To: "+12025550123",
					Content: messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: "later"}},
					SendAt:  d.app.clocks.Of(d.workspace, i.ID).Now().Add(by),
				})
				return &m, err
			}}
		}
		if _, err := later(20*time.Minute).Act(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		r := d.play(t, runs.Script{Instance: &i, Steps: []runs.Step{
			later(40 * time.Minute), expects("message.sent", time.Hour), // not that of the message from before
			{Kind: runs.Drop, Lasts: time.Hour},
			{Kind: runs.Advance, Lasts: 30 * time.Minute},
		}})
		sent := 0
		for _, step := range r.Steps {
			for _, e := range step.Events {
				if e.Type == "message.sent" {
					sent++
					if want := time.Duration(sent) * 20 * time.Minute; e.At.Round(time.Millisecond) != want {
						t.Errorf("message %d was sent at %v", sent, e.At)
					}
				}
			}
		}
		if !r.Passed || sent != 2 || r.Steps[1].MessageID != r.Steps[0].MessageID {
			t.Fatalf("%d were sent: %v", sent, told(&r))
		}
		for _, x := range []struct {
			after time.Duration
			state messaging.InstanceState
		}{{29 * time.Minute, messaging.InstanceDisconnected}, {time.Minute, messaging.InstanceConnected}} {
			if _, err := d.app.clocks.Advance(t.Context(), d.workspace, x.after); err != nil {
				t.Fatal(err)
			}
			if now, err := d.app.manager.Resolve(t.Context(), world, i.ID); err != nil || now.State != x.state {
				t.Errorf("after another %v it is %s: %v", x.after, now.State, err)
			}
		}
	})
}
