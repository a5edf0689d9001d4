package instances_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/instances"
	"portaria/messaging"
	"portaria/store/storetest"
)

// Two managers on one database, as two processes are: whatever each of them
// did, both know the same once they have read it.
func TestTwoProcessesComeToKnowTheSame(t *testing.T) {
	for _, engine := range storetest.Used {
		t.Run(engine, func(t *testing.T) {
			w := newWorld(t, engine, lateness{})
			beside := instances.NewManager(instances.Options{Store: w.beside(), Now: w.now})
			round := 0
			rapid.Check(t, func(rt *rapid.T) {
				round++
				model := make(map[string]map[string]any) // metadata by name
				tenancy := messaging.NewTenancy(storetest.Workspace(t, w.store, fmt.Sprint("w", round)).Workspace(), messaging.Test, messaging.AllInstances())
				for range rapid.IntRange(1, 8).Draw(rt, "acts") {
					m := rapid.SampledFrom([]*instances.Manager{w.manager, beside}).Draw(rt, "by")
					act(rt, m, tenancy, model)
				}
				for _, m := range []*instances.Manager{w.manager, beside} {
					if err := m.Load(t.Context()); err != nil {
						rt.Fatal(err)
					}
					known, err := m.List(t.Context(), tenancy, messaging.Page{Limit: 50})
					if err != nil {
						rt.Fatal(err)
					}
					got := make(map[string]map[string]any)
					for _, i := range known {
						got[i.Name] = members(t, i.Metadata)
					}
					if diff := cmp.Diff(model, got); diff != "" {
						rt.Fatal(diff)
					}
				}
				for name := range model { // so that later readings are short
					if _, err := beside.Delete(t.Context(), tenancy, name); err != nil {
						rt.Fatal(err)
					}
				}
			})
		})
	}
}

// act makes, patches or deletes one of a few instances, and the model with it.
// A manager that does not know of a deletion yet answers from memory; the
// database has the last word, so every act begins with a reading.
func act(t *rapid.T, m *instances.Manager, tenancy messaging.Tenancy, model map[string]map[string]any) {
	ctx := context.Background()
	if err := m.Load(ctx); err != nil {
		t.Fatal(err)
	}
	name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
	_, known := model[name]
	var err error
	switch what := rapid.SampledFrom([]string{"create", "patch", "patch", "delete"}).Draw(t, "act"); {
	case !known:
		_, err = m.Create(ctx, tenancy, instances.Draft{Name: name})
		model[name] = map[string]any{}
	case what == "delete":
		_, err = m.Delete(ctx, tenancy, name)
		delete(model, name)
	default:
		member, value := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "member"), rapid.IntRange(0, 9).Draw(t, "value")
		patch := fmt.Appendf(nil, `{"%s":%d}`, member, value)
		model[name][member] = float64(value)
		if value == 0 {
			patch = fmt.Appendf(nil, `{"%s":null}`, member)
			delete(model[name], member)
		}
		_, err = m.Update(ctx, tenancy, name, instances.Patch{Metadata: patch})
	}
	if err != nil {
		t.Fatal(err)
	}
}
