package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/events/webhooks"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/store"
	"portaria/store/storetest"
)

// toldWorld is what a property knows of a world: its endpoints as they are, and
// which of its events each must be told.
type toldWorld struct {
	s         *store.Store
	tenancy   messaging.Tenancy
	instances []messaging.Instance
	endpoints []webhooks.Endpoint
	fresh     []messaging.Event
	want      map[string][]string // event ids by endpoint
}

// settle matches what was told since the last step.
func (w *toldWorld) settle() {
	for i := range w.fresh {
		for j := range w.endpoints {
			if w.endpoints[j].Hears(&w.fresh[i]) {
				id := w.endpoints[j].ID
				w.want[id] = append(w.want[id], w.fresh[i].ID)
			}
		}
	}
	w.fresh = nil
}

func (w *toldWorld) filter(t *rapid.T, e *webhooks.Endpoint) {
	patterns := []string{"*", "message.*", "message.queued", "message.sent", "instance.*", "instance.created", "call.received", "webhook.*", "mess*"}
	e.Events = rapid.SliceOfNDistinct(rapid.SampledFrom(patterns), 1, 3, rapid.ID).Draw(t, "events")
	e.Enabled = rapid.IntRange(0, 4).Draw(t, "enabled") > 0
	e.Instances = nil
	if len(w.instances) > 0 && rapid.Bool().Draw(t, "narrow") {
		e.Instances = []string{}
		for _, i := range w.instances {
			if rapid.Bool().Draw(t, "instance") {
				e.Instances = append(e.Instances, i.ID)
			}
		}
	}
}

// step does one thing at random.
func (w *toldWorld) step(t *rapid.T) error {
	ctx := context.Background()
	kind := rapid.IntRange(0, 9).Draw(t, "step")
	if kind == 0 && len(w.endpoints) < 8 || len(w.endpoints) == 0 {
		e := storetest.NewEndpoint(w.tenancy)
		w.filter(t, &e)
		w.endpoints = append(w.endpoints, e)
		return w.s.InsertEndpoint(ctx, e, nil)
	}
	if kind == 1 && len(w.instances) < 4 || len(w.instances) == 0 {
		i := storetest.NewInstance(w.tenancy, fmt.Sprintf("i%d", len(w.instances)))
		w.instances = append(w.instances, i)
		return w.s.InsertInstance(ctx, i, nil)
	}
	i := rapid.SampledFrom(w.instances).Draw(t, "of")
	at := rapid.IntRange(0, len(w.endpoints)-1).Draw(t, "endpoint")
	e := &w.endpoints[at]
	switch kind {
	case 2, 3:
		w.filter(t, e)
		_, err := w.s.ChangeEndpoint(ctx, w.tenancy, e.ID, func(stored *webhooks.Endpoint) error { *stored = *e; return nil }, nil)
		return err
	case 4:
		gone := e.ID
		w.endpoints = slices.Delete(w.endpoints, at, at+1)
		delete(w.want, gone)
		_, err := w.s.DeleteEndpoint(ctx, w.tenancy, gone)
		return err
	case 5:
		e.Enabled = false
		return w.s.Disable(ctx, *e, messaging.ReasonGone, time.Now())
	case 6:
		_, err := w.s.QueueTest(ctx, *e, time.Now())
		if err == nil {
			w.want[e.ID] = append(w.want[e.ID], w.fresh[len(w.fresh)-1].ID)
		}
		return err
	default:
		m := storetest.Message(i, "15005550006", "x")
		if err := w.s.Accept(ctx, outbox.Acceptance{Message: &m}, func(int64) {}); err != nil {
			return err
		}
		return w.s.Report(ctx,
			messaging.StatusChange{WorkspaceID: m.WorkspaceID, Environment: m.Environment, MessageID: m.ID, Status: messaging.StatusSent, At: time.Now()},
			messaging.CallReceived{
				WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, Call: messaging.Call{ID: m.ID, At: time.Now()},
			})
	}
}

// An endpoint is told of everything that it hears of as it is then, once, and of
// nothing else, whatever is changed in between.
func TestDeliveriesAreExactlyWhatEndpointsHear(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var world *toldWorld
		s.Tell(func(c store.Committed) {
			if world != nil {
				world.fresh = append(world.fresh, c...)
			}
		})
		worlds := 0
		rapid.Check(t, func(rt *rapid.T) {
			worlds++
			tenancy := storetest.Workspace(t, s, fmt.Sprintf("w%d", worlds))
			world = &toldWorld{s: s, tenancy: tenancy, want: make(map[string][]string)}
			for range rapid.IntRange(3, 12).Draw(rt, "steps") {
				if err := world.step(rt); err != nil {
					rt.Fatal(err)
				}
				world.settle()
			}
			for _, e := range world.endpoints {
				var got []string
				for _, d := range storetest.Deliveries(t, s, e) {
					got = append(got, d.EventID)
				}
				if diff := cmp.Diff(world.want[e.ID], got); diff != "" {
					rt.Fatalf("%+v (-want +got):\n%s", e.Webhook, diff)
				}
			}
		})
	})
}

// What the dispatcher goes by: a live delivery is due by the machine's clock,
// whenever its event happened; one of a test world by the world's.
func TestADeliveryIsDueByTheClockOfItsWorld(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		s.DeliverAs("me")
		long := time.Date(2031, 3, 1, 12, 0, 0, 0, time.UTC)
		test := storetest.Workspace(t, s, "w")
		live := messaging.NewTenancy(test.Workspace(), messaging.Live, messaging.AllInstances())
		for _, tenancy := range []messaging.Tenancy{test, live} {
			e := storetest.Endpoint(t, s, tenancy)
			i := storetest.NewInstance(tenancy, "one")
			i.CreatedAt = long
			if err := s.InsertInstance(t.Context(), i, nil); err != nil {
				t.Fatal(err)
			}
			events, err := s.Events(t.Context(), tenancy, messaging.EventFilter{}, messaging.Page{Limit: 1})
			if err != nil || len(events) != 1 {
				t.Fatal(err)
			}
			got := storetest.Deliveries(t, s, e)
			if len(got) != 1 {
				t.Fatalf("%d deliveries", len(got))
			}
			want := webhooks.Delivery{
				World: messaging.World{WorkspaceID: tenancy.Workspace(), Environment: tenancy.Environment()},
				ID:    got[0].ID, WebhookID: e.ID, Sequence: 1, EventID: events[0].ID, EventType: messaging.EventInstanceCreated,
				InstanceID: i.ID, Node: "me", CreatedAt: long, State: webhooks.Pending, Due: long,
			}
			if tenancy.Environment() == messaging.Live {
				if age := time.Since(got[0].Due); age < 0 || age > time.Minute {
					t.Errorf("live: due %s", got[0].Due)
				}
				want.Due, want.CreatedAt = got[0].Due, got[0].Due
			}
			if diff := cmp.Diff(want, got[0]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tenancy.Environment(), diff)
			}
		}
	})
}

// Whoever is told of an event finds its deliveries, and the order of telling is
// that of the commits, whichever way an event was written.
func TestDeliveriesAreToldAfterTheirCommit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var told []string
		s.Tell(func(c store.Committed) {
			for _, e := range c {
				told = append(told, string(e.Type))
			}
		})
		s.TellQueued(func(ids []string) { told = append(told, ids...) })
		tenancy := storetest.Workspace(t, s, "w")
		all := storetest.Endpoint(t, s, tenancy)
		calls := storetest.Endpoint(t, s, tenancy, func(e *webhooks.Endpoint) { e.Events = []string{"call.received"} })
		i := storetest.Instance(t, s, tenancy, "one")
		call := func() messaging.Record {
			return messaging.CallReceived{
				WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID,
				Call: messaging.Call{ID: messaging.NewWAMessageID(), At: time.Now()},
			}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(s.Report(t.Context(), call(), call()))
		tested, err := s.QueueTest(t.Context(), calls, time.Now())
		must(err)
		must(s.DeliveryQueue().Attempted(t.Context(), tried(tested, webhooks.Delivered)))
		_, err = s.QueueReplay(t.Context(), tested, time.Now())
		must(err)
		must(s.Disable(t.Context(), calls, messaging.ReasonFailing, time.Now()))
		must(s.Disable(t.Context(), calls, messaging.ReasonFailing, time.Now()))
		must(s.DeleteInstance(t.Context(), i))
		both := []string{all.ID, calls.ID}
		slices.Sort(both)
		want := slices.Concat(
			[]string{"instance.created", all.ID}, []string{"call.received", "call.received"}, both, []string{"webhook.test", calls.ID},
			[]string{calls.ID}, []string{"webhook.disabled", all.ID}, []string{"instance.deleted", all.ID},
		)
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// tried is a delivery after one more try.
func tried(d webhooks.Delivery, state webhooks.DeliveryState) webhooks.Attempt {
	d.Attempts++
	d.State, d.AttemptedAt = state, d.Due.Add(time.Second)
	d.StatusCode, d.Duration, d.Answer = 200, 12*time.Millisecond, "ok"
	if state != webhooks.Delivered {
		d.StatusCode, d.ErrorClass, d.Answer = 500, webhooks.ClassStatus, "no"
	}
	return webhooks.Attempt{Delivery: d}
}

// A schedule may begin with a wait: it counts from the event, on either clock.
func TestAFirstWaitIsWaited(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		instance := storetest.Instance(t, s, tenancy, "one")
		e := storetest.Endpoint(t, s, tenancy, func(e *webhooks.Endpoint) { e.Schedule = []time.Duration{time.Hour, 0} })
		storetest.Called(t, s, instance, time.Now())
		got := storetest.Deliveries(t, s, e)
		if len(got) != 1 || got[0].Due.Sub(got[0].CreatedAt) != time.Hour {
			t.Errorf("deliveries: %+v; want one, due an hour after it was made", got)
		}
	})
}
