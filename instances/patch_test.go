package instances_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"portaria/instances"
	"portaria/messaging"
	"portaria/store/storetest"
)

// A lost update is one that was answered 200 and is not there. The patches come
// from two processes, and a third one reads.
func TestEveryMemberOfConcurrentPatchesIsKept(t *testing.T) {
	const patches = 80
	each(t, func(w *world) {
		i := w.create("one")
		beside := instances.NewManager(instances.Options{Store: w.beside(), Now: w.now})
		var callers sync.WaitGroup
		for n := range patches {
			m := []*instances.Manager{w.manager, beside}[n%2]
			callers.Go(func() {
				patch := instances.Patch{Metadata: fmt.Appendf(nil, `{"m%d":%d}`, n, n)}
				got, err := m.Update(w.t.Context(), w.tenancy, i.ID, patch)
				if err != nil || members(w.t, got.Metadata)[fmt.Sprint("m", n)] != float64(n) {
					w.t.Errorf("patch %d: %s, %v", n, got.Metadata, err)
				}
			})
		}
		callers.Wait()
		w.load()
		stored, err := w.store.FindInstance(w.t.Context(), i.WorkspaceID, i.Environment, i.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		if n := len(members(w.t, stored.Metadata)); n != patches {
			w.t.Errorf("%d of %d members are stored", n, patches)
		}
		if diff := cmp.Diff(stored, w.resolve(i.ID)); diff != "" {
			w.t.Errorf("in memory: %s", diff)
		}
	})
}

func members(t *testing.T, object []byte) (out map[string]any) {
	t.Helper()
	if err := json.Unmarshal(object, &out); err != nil {
		t.Errorf("%s: %v", object, err)
	}
	return out
}

// A caller reads its own write, whoever else patches at the time.
func TestAPatchIsSeenAsSoonAsItIsAnswered(t *testing.T) {
	each(t, func(w *world) {
		i := w.create("one")
		w.run()
		var callers sync.WaitGroup
		for n := range 8 {
			callers.Go(func() {
				for round := range 5 {
					patch := instances.Patch{Settings: fmt.Appendf(nil, `{"m%d":%d}`, n, round)}
					if _, err := w.manager.Update(w.t.Context(), w.tenancy, i.ID, patch); err != nil {
						w.t.Error(err)
						return
					}
					if got := members(w.t, w.resolve(i.ID).Settings)[fmt.Sprint("m", n)]; got != float64(round) {
						w.t.Errorf("member m%d is %v after %d was answered", n, got, round)
					}
				}
			})
		}
		callers.Wait()
	})
}

// The answer to the first patch may be overtaken by the second one. What the
// manager knows in the end must not be the older of the two.
func TestPatchesReachTheMemoryInTheOrderOfTheirCommits(t *testing.T) {
	for _, engine := range storetest.Used {
		t.Run(engine, func(t *testing.T) {
			var patches atomic.Int32
			second := make(chan struct{})
			patch := func(w *world, text string) {
				if _, err := w.manager.Update(context.Background(), w.tenancy, "one", instances.Patch{Metadata: []byte(text)}); err != nil {
					t.Error(err)
				}
			}
			w := newWorld(t, engine, lateness{patch: func(w *world) {
				if patches.Add(1) > 1 {
					return
				}
				go func() {
					defer close(second)
					patch(w, `{"b":2}`)
				}()
				select {
				case <-second: // it has overtaken this one
				case <-time.After(100 * time.Millisecond): // it waits for its turn
				}
			}})
			w.create("one")
			patch(w, `{"a":1}`)
			<-second
			if got := w.resolve("one").Metadata; string(got) != `{"a":1,"b":2}` {
				t.Errorf("metadata is %s", got)
			}
		})
	}
}

// The news of a state carries the metadata of its commit. A patch that was
// answered since must not be taken back, not even until the next reading.
func TestNewsOfAStateLeavesAPatchAlone(t *testing.T) {
	each(t, func(w *world) {
		i := w.create("one")
		w.report(i, messaging.EventInstanceDisconnected, messaging.InstanceDisconnected)
		if _, err := w.manager.Update(w.t.Context(), w.tenancy, i.ID, instances.Patch{Metadata: []byte(`{"a":1}`)}); err != nil {
			w.t.Fatal(err)
		}
		w.run()
		w.idle()
		if got := w.resolve(i.ID); string(got.Metadata) != `{"a":1}` || got.State != messaging.InstanceDisconnected {
			w.t.Errorf("metadata %s, state %s", got.Metadata, got.State)
		}
	})
}

func TestAPatchThatIsNotValidChangesNothing(t *testing.T) {
	each(t, func(w *world) {
		i, err := w.manager.Create(w.t.Context(), w.tenancy, instances.Draft{Name: "one", Metadata: []byte(`{"a":"` + strings.Repeat("x", 3000) + `"}`)})
		if err != nil {
			w.t.Fatal(err)
		}
		for name, c := range map[string]struct {
			patch instances.Patch
			field string
		}{
			"a list": {instances.Patch{Metadata: []byte(`[1]`)}, "metadata"},
			"broken": {instances.Patch{Settings: []byte(`{"a":`)}, "settings"},
			"large once merged": {instances.Patch{
				Metadata: []byte(`{"b":"` + strings.Repeat("x", 1500) + `"}`), Settings: []byte(`{"b":1}`),
			}, "metadata"},
		} {
			_, err := w.manager.Update(w.t.Context(), w.tenancy, i.ID, c.patch)
			if diff := cmp.Diff([]string{c.field}, refused(err)); diff != "" {
				w.t.Errorf("%s: %v\n%s", name, err, diff)
			}
		}
		w.load()
		if diff := cmp.Diff(i, w.resolve(i.ID)); diff != "" {
			w.t.Error(diff)
		}
	})
}

// Another process may have deleted it a moment ago, and this one not know yet.
func TestAPatchOfWhatAnotherProcessDeletedIsNotFound(t *testing.T) {
	each(t, func(w *world) {
		i := w.create("one")
		if err := w.beside().DeleteInstance(w.t.Context(), i); err != nil {
			w.t.Fatal(err)
		}
		patch := instances.Patch{Metadata: []byte(`{"a":1}`)}
		if _, err := w.manager.Update(w.t.Context(), w.tenancy, i.ID, patch); !errors.Is(err, instances.ErrNotFound) {
			w.t.Errorf("patch: %v; want ErrNotFound", err)
		}
	})
}
